//! What view calls cost over HTTP: alone, by their own paths, in batches and in multicalls,
//! one connection and many; beside the same stack answering a constant. And what an idle
//! connection takes.
#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench reports floats; criterion's macros document nothing"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};
use metashrew_server::{Server, ServerHandle, ServerOptions, resident_memory};
use metashrew_store::{BlockHash, BlockRef, Store};
use metashrew_testing::guests;
use serde_json::{Value, json};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `counter` answers, more or less.
const CONSTANT: &str = r#"{"jsonrpc":"2.0","id":1,"result":"0x01000000"}"#;

const IDLE_CONNECTIONS: usize = 5_000;

fn runtime(stateful: bool) -> MetashrewRuntime {
    let store = Store::in_memory();
    let options = RuntimeOptions {
        views: ViewOptions {
            enabled: stateful,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    let runtime = MetashrewRuntime::with_options(&guests::chained(), store.clone(), options)
        .expect("the guest loads");
    let writes = runtime.process_block(0, &[0; 100]).expect("it indexes");
    let [hash, parent] = [1, 0].map(|byte| BlockHash::from_bytes([byte; 32]));
    let block = BlockRef::new(0, hash, parent);
    store.commit(&block, &writes).expect("memory takes it");
    runtime
}

async fn serve(stateful: bool) -> ServerHandle {
    let address = "127.0.0.1:0".parse().expect("an address");
    let options = ServerOptions {
        max_open_connections: 2 * IDLE_CONNECTIONS,
        ..ServerOptions::default()
    };
    let server = Server::bind(address, runtime(stateful), options).await;
    server.expect("a free port")
}

/// What the server stands on, without the server: it reads a body and answers always the
/// same.
async fn serve_constant() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let answer = async |request: Request<Incoming>| {
        request.into_body().collect().await?;
        let answer = Response::builder().header("content-type", "application/json");
        let answer = answer.body(Full::new(Bytes::from_static(CONSTANT.as_bytes())));
        Ok::<_, hyper::Error>(answer.expect("a right head"))
    };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).expect("it is open");
            let http = http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service_fn(answer)));
        }
    });
    address
}

/// One connection that is kept, and does no more than it must.
struct Connection {
    stream: BufReader<TcpStream>,
    /// The tag of the last answer.
    tag: String,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("it is open");
        Self {
            stream: BufReader::new(stream),
            tag: String::new(),
        }
    }

    /// The body of the answer.
    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.stream
            .get_mut()
            .write_all(request)
            .expect("it is open");
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).expect("it answers");
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().expect("a number");
            }
            if let Some(tag) = line.strip_prefix("etag:") {
                tag.trim().clone_into(&mut self.tag);
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("it answers");
        body
    }
}

/// What a caller sends at a time.
#[derive(Clone, Copy)]
enum Parcel {
    View,
    /// A view by its own path.
    Post,
    Get,
    /// Such a `GET` by a client that has the answer.
    Has,
    Batch(usize),
    Multicall(usize),
}

impl Parcel {
    /// How many views it asks.
    fn views(self) -> u64 {
        match self {
            Self::View | Self::Post | Self::Get | Self::Has => 1,
            Self::Batch(views) | Self::Multicall(views) => views as u64,
        }
    }

    /// The whole request, to a server that gives the answer `tag`.
    fn request(self, tag: &str) -> Vec<u8> {
        let at_path = |head: &str| format!("{head} HTTP/1.1\r\nhost: localhost\r\n");
        match self {
            Self::Post => {
                let head = at_path("POST /view/counter");
                return format!("{head}content-length: 0\r\n\r\n").into_bytes();
            }
            Self::Get => return format!("{}\r\n", at_path("GET /view/counter")).into_bytes(),
            Self::Has => {
                let head = at_path("GET /view/counter");
                return format!("{head}if-none-match: {tag}\r\n\r\n").into_bytes();
            }
            Self::View | Self::Batch(_) | Self::Multicall(_) => {}
        }
        let call = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let view = || call("metashrew_view", json!(["counter", "0x", "latest"]));
        let body = match self {
            Self::View | Self::Post | Self::Get | Self::Has => view(),
            Self::Batch(views) => (0..views).map(|_| view()).collect(),
            Self::Multicall(views) => {
                let calls = vec![("counter", "0x"); views];
                call("metashrew_multicall", json!([calls, "latest"]))
            }
        };
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head, body].concat().into_bytes()
    }

    /// Whether each of its views was answered.
    fn is_answered_by(self, body: &[u8]) -> bool {
        match self {
            Self::Post | Self::Get => return body.len() == 4,
            Self::Has => return body.is_empty(),
            Self::View | Self::Batch(_) | Self::Multicall(_) => {}
        }
        let text = String::from_utf8_lossy(body);
        let results = text.matches("\"0x").count();
        results as u64 == self.views() && !text.contains("\"error\"")
    }
}

/// Several callers, each on a connection of its own, one parcel after the other; the
/// time is that of one parcel, all callers together.
fn together(address: SocketAddr, parcel: Parcel, callers: u64, parcels: u64) -> Duration {
    let each = parcels.div_ceil(callers);
    let mut first = Connection::open(address);
    first.ask(&Parcel::Get.request(""));
    let request = parcel.request(&first.tag);
    let mut connections: Vec<_> = (0..callers).map(|_| Connection::open(address)).collect();
    for connection in &mut connections {
        assert!(parcel.is_answered_by(&connection.ask(&request)));
    }
    let begun = Instant::now();
    thread::scope(|scope| {
        for connection in &mut connections {
            scope.spawn(|| {
                for _ in 0..each {
                    assert!(parcel.is_answered_by(&connection.ask(&request)));
                }
            });
        }
    });
    begun
        .elapsed()
        .mul_f64(parcels as f64 / (each * callers) as f64)
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("an executor")
}

fn bench(criterion: &mut Criterion, name: &str, address: SocketAddr, parcel: Parcel) {
    let mut group = criterion.benchmark_group(format!("http/{name}"));
    group.throughput(Throughput::Elements(parcel.views()));
    for callers in [1, 2, 8, 64] {
        group.bench_function(format!("{callers} connections"), |bencher| {
            bencher.iter_custom(|parcels| together(address, parcel, callers, parcels));
        });
    }
}

fn over_http(criterion: &mut Criterion) {
    let executor = executor();
    let constant = executor.block_on(serve_constant());
    bench(criterion, "constant", constant, Parcel::View);
    let parcels = [
        ("view", Parcel::View),
        ("post", Parcel::Post),
        ("get", Parcel::Get),
        ("not modified", Parcel::Has),
        ("batch of 100", Parcel::Batch(100)),
        ("multicall of 100", Parcel::Multicall(100)),
    ];
    for (name, stateful) in [("warm", true), ("fresh", false)] {
        let server = executor.block_on(serve(stateful));
        for (what, parcel) in parcels {
            let name = format!("counter/{name}/{what}");
            bench(criterion, &name, server.local_addr(), parcel);
        }
    }
}

/// Prints what idle connections take, half of which have asked something. The client's
/// sockets are in this process, too, but hold no buffers.
fn idle_connections(_: &mut Criterion) {
    let executor = executor();
    let server = executor.block_on(serve(true));
    let request = Parcel::View.request("");
    let mut kept = Vec::with_capacity(IDLE_CONNECTIONS);
    let before = resident_memory();
    for index in 0..IDLE_CONNECTIONS {
        let mut connection = Connection::open(server.local_addr());
        if index % 2 == 0 {
            assert!(!connection.ask(&request).is_empty());
        }
        kept.push(connection.stream.into_inner());
    }
    if let (Some(before), Some(after)) = (before, resident_memory()) {
        let each = after.saturating_sub(before) / kept.len() as u64;
        println!(
            "http/idle: {each} bytes for each of {} connections",
            kept.len()
        );
    }
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = http; config = settings(); targets = over_http, idle_connections }
criterion_main!(http);

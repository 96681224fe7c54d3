//! A served runtime over a chain of generated blocks, and ways to ask it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bitcoin::hashes::Hash;
use metashrew_runtime::{MetashrewRuntime, ModuleCache, RuntimeOptions, ViewOptions};
use metashrew_server::{Server, ServerHandle, ServerOptions};
use metashrew_store::{BlockHash, BlockRecord, BlockRef, Store};
use metashrew_testing::chain::{Chain, Mined};
use serde_json::{Value, json};

/// The height of the first block of the chain.
pub(crate) const FIRST: u32 = 100;

pub(crate) struct Served {
    pub(crate) chain: Chain,
    pub(crate) runtime: MetashrewRuntime,
    pub(crate) handle: ServerHandle,
    pub(crate) tokio: tokio::runtime::Runtime,
}

/// How a test wants the server.
pub(crate) struct Setup {
    pub(crate) wasm: Vec<u8>,
    pub(crate) store: Store,
    pub(crate) blocks: usize,
    pub(crate) views: ViewOptions,
    pub(crate) server: ServerOptions,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            wasm: metashrew_testing::guests::chained(),
            store: Store::in_memory(),
            blocks: 5,
            views: ViewOptions::default(),
            server: ServerOptions::default(),
        }
    }
}

impl Setup {
    pub(crate) fn serve(self) -> Served {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let options = RuntimeOptions {
            cache: ModuleCache::User,
            views: self.views,
            ..RuntimeOptions::default()
        };
        let runtime = MetashrewRuntime::with_options(&self.wasm, self.store, options).unwrap();
        let bound = Server::bind(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            runtime.clone(),
            self.server,
        );
        let handle = tokio.block_on(bound).unwrap();
        let mut served = Served {
            chain: Chain::new(7).start(FIRST),
            runtime,
            handle,
            tokio,
        };
        served.grow(self.blocks);
        served
    }
}

impl Served {
    pub(crate) fn new() -> Self {
        Setup::default().serve()
    }

    /// A server that lets pages of these origins call.
    pub(crate) fn with_cors(cors: &str) -> Self {
        Setup {
            server: ServerOptions {
                cors: cors.parse().unwrap(),
                ..ServerOptions::default()
            },
            ..Setup::default()
        }
        .serve()
    }

    /// Mines and commits blocks.
    pub(crate) fn grow(&mut self, blocks: usize) {
        let mined = self.chain.mine(blocks).to_vec();
        for block in &mined {
            self.commit(block);
        }
    }

    pub(crate) fn commit(&self, block: &Mined) -> BlockRecord {
        let writes = self
            .runtime
            .process_block(block.height, &block.bytes)
            .unwrap();
        self.runtime
            .store()
            .commit(&block_ref(block), &writes)
            .unwrap()
    }

    pub(crate) fn tip(&self) -> BlockRecord {
        *self.runtime.store().snapshot().tip().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.handle.local_addr())
    }

    /// Runs a test's future where the server runs.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tokio.block_on(future)
    }

    /// The answer that a client of others' making gets to a request.
    pub(crate) fn asked_by_another_client(&self, request: &Value) -> Value {
        let mut answer = ureq::post(self.url())
            .content_type("application/json")
            .send(request.to_string())
            .unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The whole answer to one call.
    pub(crate) fn answer(&self, method: &str, params: &Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, body) = self.post(&request.to_string());
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["jsonrpc"], "2.0");
        assert_eq!(answer["id"], 1);
        answer
    }

    /// The result of one call that must succeed.
    pub(crate) fn result(&self, method: &str, params: &Value) -> Value {
        let answer = self.answer(method, params);
        assert_eq!(answer.get("error"), None, "{method} {params}");
        answer["result"].clone()
    }

    /// The error of one call that must fail.
    pub(crate) fn error(&self, method: &str, params: &Value) -> Value {
        let answer = self.answer(method, params);
        assert_eq!(answer.get("result"), None, "{method} {params}");
        answer["error"].clone()
    }

    /// Status and body of the answer to a JSON body.
    pub(crate) fn post(&self, body: &str) -> (u16, String) {
        let (head, body) = self.send("POST", &[("content-type", "application/json")], body);
        (status(&head), body)
    }

    /// As [`Self::post`], at a path of its own.
    pub(crate) fn post_at(&self, path: &str, body: &str) -> (u16, String) {
        let headers = [("content-type", "application/json")];
        let mut stream = self.open_at("POST", path, &headers, body.len());
        stream.write_all(body.as_bytes()).unwrap();
        let (head, body) = read_answer(&mut stream);
        (status(&head), body)
    }

    /// A connection on which a JSON body was posted; its answer is still to be read.
    pub(crate) fn start(&self, body: &Value) -> TcpStream {
        let body = body.to_string();
        let mut stream = self.open("POST", &[("content-type", "application/json")], body.len());
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    /// What a client of others' making gets.
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent("")
            .accept("")
            .allow_non_standard_methods(true)
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if matches!(method, "GET" | "HEAD") {
            agent.run(request.body(()).unwrap())
        } else {
            agent.run(request.body(body).unwrap())
        };
        let mut answer = answer.unwrap();
        let body = answer.body_mut().with_config().limit(1 << 30);
        let body = body.read_to_vec().unwrap();
        Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body,
        }
    }

    /// What a client gets by `GET`.
    pub(crate) fn got(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask("GET", target, headers, b"")
    }

    /// Status, head and body of the answer to a probe.
    pub(crate) fn get(&self, path: &str) -> (u16, String, String) {
        let mut stream = self.open_at("GET", path, &[], 0);
        let (head, body) = read_answer(&mut stream);
        (status(&head), head, body)
    }

    /// Head and body of the answer to a request.
    pub(crate) fn send(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (String, String) {
        let mut stream = self.open(method, headers, body.len());
        stream.write_all(body.as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    /// As [`Self::send`], at a path of its own.
    pub(crate) fn send_at(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (String, String) {
        let mut stream = self.open_at(method, path, headers, body.len());
        stream.write_all(body.as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    /// A connection on which the head of a request was sent.
    pub(crate) fn open(&self, method: &str, headers: &[(&str, &str)], length: usize) -> TcpStream {
        self.open_at(method, "/", headers, length)
    }

    /// A connection on which the head of a request was sent, at a path.
    pub(crate) fn open_at(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> TcpStream {
        let address = self.handle.local_addr();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{}content-length: {length}\r\n\r\n",
            headers.concat()
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The error that it is, as JSON-RPC has it.
    pub(crate) fn error(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert_eq!(self.header("cache-control"), "no-store");
        let answer: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(answer["jsonrpc"], "2.0");
        assert_eq!(answer["id"], Value::Null);
        answer["error"].clone()
    }
}

/// Head, in lower case, and body of the answer on a connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> (String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// One call of a view, as an entry of a batch or alone.
pub(crate) fn view_request(id: usize, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "metashrew_view", "params": params })
}

pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::yield_now();
    }
}

pub(crate) fn status(head: &str) -> u16 {
    head.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn block_ref(block: &Mined) -> BlockRef {
    BlockRef::new(
        block.height,
        BlockHash::from_bytes(block.hash.to_byte_array()),
        BlockHash::from_bytes(block.parent.to_byte_array()),
    )
}

/// The key under which the guest keeps a block's header, as hex.
pub(crate) fn header_key(height: u32) -> String {
    let mut key = b"hdr/".to_vec();
    key.extend_from_slice(&height.to_be_bytes());
    hex::encode_prefixed(key)
}

/// The header of a block, as hex.
pub(crate) fn header(block: &Mined) -> String {
    hex::encode_prefixed(&block.bytes[..80])
}

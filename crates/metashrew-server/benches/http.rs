//! What view calls cost over HTTP: alone, in batches and in multicalls, one connection
//! and many.
#![allow(
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench reports floats; criterion's macros document nothing"
)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};
use metashrew_server::{Server, ServerHandle, ServerOptions};
use metashrew_store::{BlockHash, BlockRef, Store};
use metashrew_testing::guests;

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

async fn serve(stateful: bool) -> (ServerHandle, HttpClient) {
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(address, runtime(stateful), ServerOptions::default())
        .await
        .expect("a free port");
    let client = HttpClientBuilder::default()
        .build(format!("http://{}", server.local_addr()))
        .expect("a client");
    (server, client)
}

/// What a caller sends at a time.
#[derive(Clone, Copy)]
enum Parcel {
    View,
    Batch(usize),
    Multicall(usize),
}

impl Parcel {
    /// How many views it asks.
    fn views(self) -> u64 {
        match self {
            Self::View => 1,
            Self::Batch(views) | Self::Multicall(views) => views as u64,
        }
    }

    async fn send(self, client: &HttpClient) {
        match self {
            Self::View => {
                let answer: String = client
                    .request("metashrew_view", rpc_params!["counter", "0x", "latest"])
                    .await
                    .expect("it answers");
                assert!(answer.starts_with("0x"));
            }
            Self::Batch(views) => {
                let mut batch = BatchRequestBuilder::new();
                for _ in 0..views {
                    batch
                        .insert("metashrew_view", rpc_params!["counter", "0x", "latest"])
                        .expect("texts are JSON");
                }
                let answers = client.batch_request::<String>(batch).await;
                let answers = answers.expect("it answers");
                assert_eq!(answers.num_successful_calls(), views);
            }
            Self::Multicall(views) => {
                let calls = vec![("counter", "0x"); views];
                let answers: Vec<serde_json::Value> = client
                    .request("metashrew_multicall", rpc_params![calls, "latest"])
                    .await
                    .expect("it answers");
                assert!(answers.iter().all(|answer| answer["result"].is_string()));
                assert_eq!(answers.len(), views);
            }
        }
    }
}

/// Several callers, each on a connection of its own, one parcel after the other; the
/// time is that of one parcel, all callers together.
async fn together(client: &HttpClient, parcel: Parcel, callers: u64, parcels: u64) -> Duration {
    let each = parcels.div_ceil(callers);
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    parcel.send(&client).await;
                }
            })
        })
        .collect();
    let made = each * callers.len() as u64;
    for caller in callers {
        caller.await.expect("it ends");
    }
    begun.elapsed().mul_f64(parcels as f64 / made as f64)
}

fn over_http(criterion: &mut Criterion) {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("an executor");
    let parcels = [
        ("view", Parcel::View),
        ("batch of 100", Parcel::Batch(100)),
        ("multicall of 100", Parcel::Multicall(100)),
    ];
    for (name, stateful) in [("warm", true), ("fresh", false)] {
        let (_server, client) = executor.block_on(serve(stateful));
        for (what, parcel) in parcels {
            let mut group = criterion.benchmark_group(format!("http/counter/{name}/{what}"));
            group.throughput(Throughput::Elements(parcel.views()));
            for callers in [1, 2, 8, 64] {
                group.bench_function(format!("{callers} connections"), |bencher| {
                    bencher.iter_custom(|parcels| {
                        executor.block_on(together(&client, parcel, callers, parcels))
                    });
                });
            }
        }
    }
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = http; config = settings(); targets = over_http }
criterion_main!(http);

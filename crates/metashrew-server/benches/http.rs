//! What a view call costs over HTTP, one caller and many.
#![allow(
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench reports floats; criterion's macros document nothing"
)]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::rpc_params;
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};
use metashrew_server::{Server, ServerHandle, ServerOptions};
use metashrew_store::{BlockHash, BlockRef, Store};
use metashrew_testing::guests;

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
    let block = BlockRef {
        height: 0,
        hash: BlockHash::from_bytes([1; 32]),
        parent: BlockHash::from_bytes([0; 32]),
    };
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

/// Several callers, each one call after the other; the time is that of one call,
/// all callers together.
async fn together(client: &HttpClient, callers: u64, calls: u64) -> Duration {
    let each = calls.div_ceil(callers);
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    let answer: String = client
                        .request("metashrew_view", rpc_params!["counter", "0x", "latest"])
                        .await
                        .expect("it answers");
                    assert!(answer.starts_with("0x"));
                }
            })
        })
        .collect();
    let made = each * callers.len() as u64;
    for caller in callers {
        caller.await.expect("it ends");
    }
    begun.elapsed().mul_f64(calls as f64 / made as f64)
}

fn over_http(criterion: &mut Criterion) {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("an executor");
    for (name, stateful) in [("warm", true), ("fresh", false)] {
        let (_server, client) = executor.block_on(serve(stateful));
        for callers in [1, 8, 64] {
            criterion.bench_function(
                &format!("http/counter/{name}, {callers} callers"),
                |bencher| {
                    bencher
                        .iter_custom(|calls| executor.block_on(together(&client, callers, calls)));
                },
            );
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

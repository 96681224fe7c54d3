//! What one client may have: who takes all that it can leaves room to others.

// Other systems have one address of their own machine, and not a network of them.
#![cfg(target_os = "linux")]

use std::io::Read;

use metashrew_server::ServerOptions;
use metashrew_store::Store;
use metashrew_testing::guests;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::{Client, EventStream, get, raw, stat};
use crate::feed::model::Model;
use crate::harness::{Served, Setup, wait_until};

const ONE: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

fn serve(server: ServerOptions) -> Served {
    Setup {
        server,
        ..Setup::default()
    }
    .serve()
}

async fn at(served: &Served, address: [u8; 4]) -> Client {
    Client::at(served, address).await.unwrap()
}

/// The `data` of the error of a subscription that is refused.
async fn refused(client: &mut Client, params: Value) -> Value {
    let answer = client.answer("metashrew_subscribe", params).await;
    assert_eq!(answer["error"]["code"], -32006, "{answer}");
    answer["error"]["data"].clone()
}

#[test]
fn one_that_takes_all_subscriptions_leaves_as_many_to_others() {
    let served = serve(ServerOptions {
        max_subscriptions: 6,
        ..ServerOptions::default()
    });
    served.block_on(async {
        let mut one = [at(&served, ONE).await, at(&served, ONE).await];
        let mut last = String::new();
        for number in 0..3 {
            last = one[number % 2].subscribe(json!(["heads"])).await;
        }
        let full = json!({ "kind": "client_subscriptions", "limit": 3 });
        for client in &mut one {
            assert_eq!(refused(client, json!(["heads"])).await, full);
        }
        let mut other = at(&served, OTHER).await;
        for _ in 0..3 {
            other.subscribe(json!(["heads"])).await;
        }
        let count = |reason| stat(&served, &["subscriptions", "refused", reason]);
        assert_eq!(count("client_subscriptions"), 2);
        assert_eq!(count("too_many_subscriptions"), 0);
        // What it gives back it may have again.
        one[0].result("metashrew_unsubscribe", json!([last])).await;
        wait_until(|| stat(&served, &["subscriptions", "open", "heads"]) == 5);
        one[1].subscribe(json!(["heads"])).await;
    });
}

#[test]
fn one_that_takes_all_memory_leaves_as_much_to_others() {
    let served = serve(ServerOptions {
        subscription_memory: 1000,
        ..ServerOptions::default()
    });
    let writes = |bytes: usize| json!(["writes", { "prefix": "00".repeat(bytes) }]);
    served.block_on(async {
        let mut one = at(&served, ONE).await;
        one.subscribe(writes(400)).await;
        one.subscribe(writes(100)).await;
        let full = json!({ "kind": "client_subscription_memory", "limit": 500 });
        assert_eq!(refused(&mut one, writes(1)).await, full);
        at(&served, OTHER).await.subscribe(writes(500)).await;
        one.subscribe(json!(["heads"])).await;
    });
}

#[test]
fn one_that_opens_all_streams_leaves_as_many_to_others() {
    let served = serve(ServerOptions {
        max_open_connections: 8,
        ..ServerOptions::default()
    });
    // Six are for streams.
    let streams = [(); 3].map(|()| raw(&served));
    let mut refused = get(&served, "/subscribe/heads", &[("connection", "close")]);
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("\r\nretry-after: 1\r\n"), "{answer}");
    let data = r#""data":{"kind":"client_streams","limit":3}"#;
    assert!(answer.contains(data), "{answer}");
    assert_eq!(stat(&served, &["refused", "client_streams"]), 1);
    let others = served.block_on(async {
        let mut others = Vec::new();
        for _ in 0..3 {
            let mut other = at(&served, OTHER).await;
            other.subscribe(json!(["heads"])).await;
            others.push(other);
        }
        match Client::at(&served, OTHER).await {
            Err(Error::Http(refused)) => assert_eq!(refused.status(), 429),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it is one too many"),
        }
        others
    });
    drop(streams);
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 3);
    EventStream::open(&served, "/subscribe/heads", &[]);
    drop(others);
}

#[test]
fn a_share_is_a_setting() {
    let served = serve(ServerOptions {
        max_subscriptions: 4,
        client_share: 100,
        ..ServerOptions::default()
    });
    served.block_on(async {
        let mut one = at(&served, ONE).await;
        for _ in 0..4 {
            one.subscribe(json!(["heads"])).await;
        }
        let full = json!({ "kind": "too_many_subscriptions", "limit": 4 });
        assert_eq!(refused(&mut one, json!(["heads"])).await, full);
    });
}

/// A server over the model's store, whose views' answers do not depend on the height.
fn views(model: &Model, subscription_memory: usize) -> Served {
    Setup {
        wasm: guests::height_independent(),
        store: model.store.clone(),
        blocks: 0,
        server: ServerOptions {
            subscription_memory,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

async fn watch(client: &mut Client, key: &str) {
    let input = hex::encode(key);
    let params = json!(["view", { "function": "get", "input": input, "as": "text" }]);
    client.subscribe(params).await;
    let (_, answer) = client.event().await;
    assert_eq!(answer["result"], "", "{answer}");
}

#[test]
fn views_of_one_that_has_all_memory_are_run_at_every_block_and_others_are_not() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"-", b"-")]);
    let bytes =
        |served: &Served| usize::try_from(stat(served, &["subscriptions", "bytes"])).unwrap();
    // What one view takes.
    let served = views(&model, 1 << 20);
    let view = served.block_on(async {
        let mut client = at(&served, ONE).await;
        watch(&mut client, "a").await;
        bytes(&served)
    });
    drop(served);

    // One client has room for two, and for the input of a third.
    let served = views(&model, 2 * (2 * view + view / 2));
    served.block_on(async {
        let (mut one, mut other) = (at(&served, ONE).await, at(&served, OTHER).await);
        // Once for all that ask it.
        for key in ["a", "a", "b", "c"] {
            watch(&mut one, key).await;
        }
        watch(&mut other, "d").await;
        let run = || stat(&served, &["subscriptions", "views_run"]);
        let mut expect = 4;
        assert_eq!(run(), expect);
        for _ in 0..5 {
            model.commit(&[(b"-", b"-")]);
            // That of `c`.
            expect += 1;
            wait_until(|| run() == expect);
        }
        model.commit(&[(b"d", b"1")]);
        let (_, answer) = other.event().await;
        assert_eq!(
            (&answer["result"], &answer["cursor"]),
            (&json!("1"), &json!(model.tip()))
        );
        wait_until(|| run() == expect + 2);
    });
}

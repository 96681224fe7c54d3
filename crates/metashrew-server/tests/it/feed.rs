//! Subscriptions without a transport, compared with a model of the chain: consumers that come,
//! go and resume while blocks come and go.

mod consumers;
mod deep;
mod lengths;
pub(crate) mod model;
mod random;
mod views;

use std::time::Duration;

use metashrew_runtime::{MetashrewRuntime, ModuleCache, PendingBlock, RuntimeOptions};
use metashrew_server::{InProcess, InProcessSubscription, ServerOptions};
use metashrew_store::{Store, UndoneLimits};
use metashrew_testing::guests;
use serde_json::{Value, json};

use self::model::Model;

fn runtime(wasm: &[u8], store: Store) -> MetashrewRuntime {
    let options = RuntimeOptions {
        cache: ModuleCache::User,
        ..RuntimeOptions::default()
    };
    MetashrewRuntime::with_options(wasm, store, options).unwrap()
}

/// A subscriber hears where it stands at once, and looks for pending blocks at once.
fn options() -> ServerOptions {
    ServerOptions {
        position_interval: Duration::from_millis(5),
        pending_interval: Duration::from_millis(1),
        ..ServerOptions::default()
    }
}

/// Told where it stands as good as never.
fn quiet() -> ServerOptions {
    ServerOptions {
        position_interval: Duration::from_hours(1),
        ..options()
    }
}

async fn subscribe(server: &InProcess, params: &Value) -> InProcessSubscription {
    server.subscribe(&params.to_string()).await.unwrap()
}

async fn refused(server: &InProcess, params: &Value) -> Value {
    let refused = server.subscribe(&params.to_string()).await.err().unwrap();
    serde_json::from_str(&refused).unwrap()
}

async fn next(subscription: &mut InProcessSubscription) -> Value {
    let event = subscription.next().await;
    let read: Value = serde_json::from_slice(&event.data).unwrap();
    assert_eq!(
        read.get("cursor").and_then(Value::as_str),
        event.cursor.as_deref()
    );
    assert_eq!(read["type"] == "end", event.end);
    read
}

async fn stats(server: &InProcess) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "metashrew_stats" });
    let answer = server.answer(request.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    answer["result"]["subscriptions"].clone()
}

#[tokio::test]
async fn a_subscription_begins_at_the_tip_or_before_the_first_block() {
    let mut model = Model::new(Store::in_memory());
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    let mut early = subscribe(&server, &json!({ "kind": "heads" })).await;
    let position = next(&mut early).await;
    assert_eq!(position["cursor"], "first");
    assert_eq!(position["height"], Value::Null);
    model.commit(&[(b"a", b"1")]);
    model.commit(&[(b"b", b"2")]);
    let first = next(&mut early).await;
    assert_eq!(first["type"], "block");
    assert_eq!(first["height"], model::FIRST);
    let second = next(&mut early).await;
    assert_eq!(second["parent"], first["hash"]);
    assert_eq!(second["cursor"], model.tip());

    let mut late = subscribe(&server, &json!({ "kind": "heads" })).await;
    assert_eq!(next(&mut late).await["cursor"], model.tip());
    let mut all = subscribe(&server, &json!({ "kind": "writes", "from": "first" })).await;
    assert_eq!(next(&mut all).await["type"], "position");
    let told = next(&mut all).await;
    assert_eq!(told["writes"], json!([{ "key": "0x61", "value": "0x31" }]));
    assert_eq!(told["height"], model::FIRST);
    assert_eq!(next(&mut all).await["cursor"], model.tip());
    model.commit(&[(b"c", b"")]);
    let told = next(&mut all).await;
    assert_eq!(told["writes"], json!([{ "key": "0x63", "value": "0x" }]));
    assert_eq!(next(&mut late).await["cursor"], model.tip());
}

#[tokio::test]
async fn what_is_undone_is_told_with_the_values_below() {
    let mut model = Model::new(Store::in_memory());
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    model.commit(&[(b"a1", b"old"), (b"b1", b"old")]);
    let ancestor = model.tip();
    let mut writes = subscribe(
        &server,
        &json!({ "kind": "writes", "prefix": hex::encode("a") }),
    )
    .await;
    let mut other = subscribe(
        &server,
        &json!({ "kind": "writes", "prefix": hex::encode("x") }),
    )
    .await;
    let mut heads = subscribe(&server, &json!({ "kind": "heads" })).await;
    for subscription in [&mut writes, &mut other, &mut heads] {
        assert_eq!(next(subscription).await["type"], "position");
    }
    model.commit(&[(b"a1", b"new"), (b"a2", b"new"), (b"b1", b"new")]);
    let undone_first = model.tip();
    assert_eq!(
        next(&mut writes).await["writes"].as_array().unwrap().len(),
        2
    );
    model.commit(&[(b"b1", b"newer")]);
    assert_eq!(next(&mut heads).await["cursor"], undone_first);
    let undone_last = next(&mut heads).await["hash"].clone();
    model.rollback(2);
    let undo = next(&mut writes).await;
    assert_eq!(
        (&undo["type"], &undo["cursor"]),
        (&json!("undo"), &json!(ancestor))
    );
    let expect = json!([
        { "key": hex::encode_prefixed("a1"), "value": hex::encode_prefixed("old") },
        { "key": hex::encode_prefixed("a2"), "value": "0x" },
    ]);
    assert_eq!(undo["writes"], expect);
    let undo = next(&mut heads).await;
    assert_eq!(undo["cursor"], ancestor);
    let undone = undo["undone"].as_array().unwrap();
    assert_eq!(undone.len(), 2);
    assert_eq!(undone[0]["hash"], undone_last);
    // It was told nothing of what went.
    model.commit(&[(b"x", b"1")]);
    assert_eq!(next(&mut other).await["type"], "block");

    // From a block that went, even if nobody was subscribed meanwhile.
    let late = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    let resume = json!({ "kind": "writes", "prefix": hex::encode("a"), "cursor": undone_first });
    let mut resumed = subscribe(&late, &resume).await;
    let undo = next(&mut resumed).await;
    assert_eq!((&undo["type"], &undo["writes"]), (&json!("undo"), &expect));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_resumed_from_is_refused() {
    let mut model = Model::new(Store::in_memory());
    model.store.set_undone_limits(UndoneLimits {
        blocks: 0,
        bytes: 0,
    });
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    model.commit(&[(b"a", b"1")]);
    model.commit(&[(b"a", b"2")]);
    let undone = model.tip();
    let mut live = subscribe(&server, &json!({ "kind": "heads", "cursor": undone })).await;
    model.rollback(1);
    model.commit(&[(b"a", b"3")]);
    let error = refused(&server, &json!({ "kind": "heads", "cursor": undone })).await;
    assert_eq!(error["code"], -32016);
    assert_eq!(error["data"]["kind"], "cursor_too_old");
    assert_eq!(error["data"]["first"], model::FIRST);
    let ahead = format!("9999:0x{}", "ab".repeat(32));
    let error = refused(&server, &json!({ "kind": "writes", "cursor": ahead })).await;
    assert_eq!(error["code"], -32016);
    assert_eq!(error["data"]["kind"], "cursor_ahead");
    // One that was there when it happened is told, and that is the end.
    let end = next(&mut live).await;
    assert_eq!(
        (&end["type"], &end["reason"]),
        (&json!("end"), &json!("cursor_too_old"))
    );
    assert_eq!(end["cursor"], undone);
}

#[tokio::test]
async fn so_many_subscriptions_there_may_be() {
    let model = Model::new(Store::in_memory());
    let options = ServerOptions {
        max_subscriptions: 2,
        subscription_memory: 8,
        ..quiet()
    };
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &options);
    let long = json!({ "kind": "writes", "prefix": "00".repeat(9) });
    assert_eq!(
        refused(&server, &long).await["data"]["kind"],
        "subscription_memory"
    );
    let fits = json!({ "kind": "writes", "prefix": "00".repeat(8) });
    let held = [
        subscribe(&server, &fits).await,
        subscribe(&server, &json!({ "kind": "heads" })).await,
    ];
    let error = refused(&server, &json!({ "kind": "heads" })).await;
    assert_eq!(
        (&error["code"], &error["data"]["kind"]),
        (&json!(-32006), &json!("too_many_subscriptions"))
    );
    assert_eq!(stats(&server).await["open"]["writes"], 1);
    drop(held);
    assert_eq!(stats(&server).await["open"]["writes"], 0);
    subscribe(&server, &fits).await;
}

#[tokio::test]
async fn a_long_event_comes_in_parts() {
    let mut model = Model::new(Store::in_memory());
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    model.commit(&[(b"k", b"below")]);
    let mut writes = subscribe(
        &server,
        &json!({ "kind": "writes", "prefix": hex::encode("k") }),
    )
    .await;
    next(&mut writes).await;
    let value = vec![7; 100_000];
    let keys: Vec<_> = (0..40)
        .map(|number| format!("k{number:03}").into_bytes())
        .collect();
    let written: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &value[..])).collect();
    let below = model.tip();
    model.commit(&written);
    let mut told = Vec::new();
    for number in 0.. {
        let part = next(&mut writes).await;
        assert_eq!(
            (&part["type"], &part["part"]),
            (&json!("block"), &json!(number))
        );
        let length = part.to_string().len();
        assert!(length < 3 << 20, "{length}");
        let keys = part["writes"].as_array().unwrap().iter();
        told.extend(keys.map(|write| write["key"].as_str().unwrap().to_owned()));
        assert_eq!(part.get("parent").is_some(), number == 0);
        if part["last"] == true {
            assert_eq!(part["cursor"], model.tip());
            assert!(number >= 5, "{number}");
            break;
        }
        assert_eq!(part.get("cursor"), None);
    }
    let expect: Vec<_> = keys.iter().map(hex::encode_prefixed).collect();
    assert_eq!(told, expect);
    // What went is told in one: all keys are absent below.
    model.rollback(1);
    let undo = next(&mut writes).await;
    assert_eq!(
        (&undo["type"], &undo["cursor"]),
        (&json!("undo"), &json!(below))
    );
    assert_eq!(undo["writes"].as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn pending_blocks_are_told_whenever_there_is_another() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let runtime = runtime(&guests::chained(), model.store.clone());
    let server = InProcess::new(runtime.clone(), &options());
    let mut pending = subscribe(
        &server,
        &json!({ "kind": "pending", "prefix": hex::encode("hdr/") }),
    )
    .await;
    assert_eq!(next(&mut pending).await, json!({ "type": "none" }));
    let set = |model: &Model, byte: u8| {
        let block = PendingBlock {
            parent: model.tip_hash(),
            block: vec![byte; 200].into(),
        };
        runtime.set_pending(Some(block)).unwrap();
    };
    for byte in [1, 2] {
        set(&model, byte);
        let told = next(&mut pending).await;
        assert_eq!(told["type"], "pending");
        assert_eq!(told["height"], model::FIRST + 1);
        let writes = told["writes"].as_array().unwrap();
        assert_eq!(writes.len(), 1);
        let header = vec![byte; 80];
        assert_eq!(writes[0]["value"], hex::encode_prefixed(header));
    }
    model.commit(&[(b"a", b"2")]);
    assert_eq!(next(&mut pending).await["type"], "none");
    set(&model, 3);
    assert_eq!(next(&mut pending).await["height"], model::FIRST + 2);
}

#[tokio::test]
async fn a_server_that_stops_tells_the_end_and_where_to_resume() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    let kinds = [
        json!({ "kind": "heads" }),
        json!({ "kind": "writes" }),
        json!({ "kind": "view", "function": "get", "input": hex::encode("a") }),
        json!({ "kind": "pending" }),
    ];
    let mut all = Vec::new();
    for params in &kinds {
        let mut subscription = subscribe(&server, params).await;
        next(&mut subscription).await;
        all.push(subscription);
    }
    // One that has not told anything yet, and one that is to be told of a block.
    all.push(subscribe(&server, &kinds[0]).await);
    model.commit(&[(b"a", b"2")]);
    next(&mut all[0]).await;
    server.stop();
    let [ahead, below] = [model.tip(), model.below(&model.tip())];
    // Pending blocks have no cursor.
    let expect = [Some(&ahead), Some(&below), Some(&below), None, Some(&below)];
    for (subscription, cursor) in all.iter_mut().zip(expect) {
        let end = next(subscription).await;
        let mut expect = json!({ "type": "end", "reason": "shutdown" });
        if let Some(cursor) = cursor {
            expect["cursor"] = json!(cursor);
        }
        assert_eq!(end, expect);
    }
    // There is nothing after it.
    let more = tokio::time::timeout(Duration::from_millis(20), all[0].next());
    more.await.unwrap_err();
    let mut late = subscribe(&server, &kinds[0]).await;
    assert_eq!(next(&mut late).await["reason"], "shutdown");
}

#[tokio::test]
async fn a_table_is_told_by_its_name() {
    let mut model = Model::new(Store::in_memory());
    let wasm = metashrew_testing::push::without_sdk();
    let runtime = runtime(&wasm, model.store.clone());
    let server = InProcess::new(runtime.clone(), &options());
    model.commit(&[(b"k\x05a", b"1")]);
    let error = refused(&server, &json!({ "kind": "writes", "storage": "sixth" })).await;
    assert_eq!(error["code"], -32602);
    assert_eq!(error["data"]["parameter"], "storage");
    let both = json!({ "kind": "writes", "storage": "fifth", "prefix": "00" });
    assert_eq!(refused(&server, &both).await["code"], -32602);
    let keys = |event: &Value| -> Vec<String> {
        let writes = event["writes"].as_array().unwrap().iter();
        writes
            .map(|write| write["key"].as_str().unwrap().to_owned())
            .collect()
    };
    for (name, expect) in [
        ("fifth", vec!["0x6b0561"]),
        ("items", vec!["0x6b0561", "0x6b0661"]),
    ] {
        let params = json!({ "kind": "writes", "storage": name });
        let mut writes = subscribe(&server, &params).await;
        assert_eq!(next(&mut writes).await["cursor"], model.tip());
        // What is written elsewhere is passed over.
        model.commit(&[(b"l", b"2")]);
        model.commit(&[(b"a", b"2"), (b"k\x05a", b"2"), (b"k\x06a", b"2")]);
        let block = loop {
            let event = next(&mut writes).await;
            if event["type"] == "block" {
                break event;
            }
        };
        assert_eq!(block["cursor"], model.tip());
        assert_eq!(keys(&block), expect);
        model.rollback(1);
        let undo = next(&mut writes).await;
        assert_eq!(undo["type"], "undo");
        assert_eq!(keys(&undo), expect);
    }
    let mut pending = subscribe(&server, &json!({ "kind": "pending", "storage": "fifth" })).await;
    let block = PendingBlock {
        parent: model.tip_hash(),
        block: vec![7; 200].into(),
    };
    runtime.set_pending(Some(block)).unwrap();
    let told = loop {
        let event = next(&mut pending).await;
        if event["type"] == "pending" {
            break event;
        }
    };
    assert_eq!(keys(&told), ["0x6b0570"]);
}

//! What is too long to be told: its length is told in its place, and the subscription goes on.

use metashrew_runtime::PendingBlock;
use metashrew_server::{InProcess, ServerOptions};
use metashrew_store::Store;
use metashrew_testing::guests;
use serde_json::{Value, json};

use super::model::Model;
use super::{next, options, quiet, runtime, subscribe};

/// Bytes of a value that is told.
const TOLD: usize = 5_000;

/// Values may have twice as many bytes in JSON.
fn bounded(options: ServerOptions) -> ServerOptions {
    ServerOptions {
        max_response: 2 * u32::try_from(TOLD).unwrap(),
        ..options
    }
}

#[tokio::test]
async fn a_value_that_is_too_long_is_told_by_its_length_and_more_follows() {
    let mut model = Model::new(Store::in_memory());
    let server = InProcess::new(
        runtime(&guests::chained(), model.store.clone()),
        &bounded(quiet()),
    );
    let mut writes = subscribe(&server, &json!({ "kind": "writes" })).await;
    next(&mut writes).await;
    let (fits, long) = (vec![1; TOLD], vec![2; TOLD + 1]);
    model.commit(&[(b"a", b"1"), (b"b", &fits), (b"c", &long), (b"d", b"4")]);
    let mut told = Vec::new();
    let mut event = Value::Null;
    while event.get("cursor").is_none() {
        event = next(&mut writes).await;
        assert_eq!(event["type"], "block");
        told.extend(event["writes"].as_array().unwrap().clone());
    }
    assert_eq!(event["cursor"], model.tip());
    let expect = json!([
        { "key": "0x61", "value": "0x31" },
        { "key": "0x62", "value": hex::encode_prefixed(&fits) },
        { "key": "0x63", "value": null, "length": TOLD + 1 },
        { "key": "0x64", "value": "0x34" },
    ]);
    assert_eq!(Value::from(told), expect);
    // An undo tells the value below in the same way.
    let below = model.tip();
    model.commit(&[(b"c", b"short")]);
    assert_eq!(next(&mut writes).await["type"], "block");
    model.rollback(1);
    let undo = next(&mut writes).await;
    assert_eq!(
        (&undo["type"], &undo["cursor"]),
        (&json!("undo"), &json!(below))
    );
    let expect = json!([{ "key": "0x63", "value": null, "length": TOLD + 1 }]);
    assert_eq!(undo["writes"], expect);
    model.commit(&[(b"e", b"5")]);
    assert_eq!(next(&mut writes).await["cursor"], model.tip());
}

#[tokio::test]
async fn so_it_is_of_a_pending_block() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let length = u32::try_from(TOLD + 1).unwrap();
    let wasm = guests::rewriting_values(3, length, 1);
    let runtime = runtime(&wasm, model.store.clone());
    let server = InProcess::new(runtime.clone(), &bounded(options()));
    let block = PendingBlock {
        parent: model.tip_hash(),
        block: vec![7; 200].into(),
    };
    runtime.set_pending(Some(block)).unwrap();
    let mut pending = subscribe(&server, &json!({ "kind": "pending" })).await;
    let told = next(&mut pending).await;
    let writes = told["writes"].as_array().unwrap();
    assert_eq!(writes.len(), 3);
    for write in writes {
        assert_eq!(
            (&write["value"], &write["length"]),
            (&Value::Null, &json!(length))
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error_until_it_is_shorter() {
    let mut model = Model::new(Store::in_memory());
    let long = vec![7; TOLD];
    model.commit(&[(b"a", &long)]);
    let guest = guests::height_independent();
    let server = InProcess::new(runtime(&guest, model.store.clone()), &bounded(quiet()));
    let params = json!({ "kind": "view", "function": "get", "input": hex::encode("a") });
    let mut view = subscribe(&server, &params).await;
    let answer = next(&mut view).await;
    // The quotes and `0x` are too many.
    let data = json!({ "kind": "answer_too_long", "length": 2 * TOLD + 4, "limit": 2 * TOLD });
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["data"]),
        (&json!(-32008), &data)
    );
    model.commit(&[(b"a", b"1")]);
    assert_eq!(next(&mut view).await["result"], "0x31");
}

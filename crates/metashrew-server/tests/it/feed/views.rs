//! Subscriptions to views: when they are run again, and what is told of those that fail.

use std::time::Duration;

use metashrew_abi::range::Request;
use metashrew_server::InProcess;
use metashrew_store::Store;
use metashrew_testing::guests;
use serde_json::json;

use super::model::Model;
use super::{next, quiet, refused, runtime, stats, subscribe};

#[tokio::test]
async fn equal_views_are_run_once_a_block_and_only_if_their_reads_are_touched() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let guest = guests::height_independent();
    let server = InProcess::new(runtime(&guest, model.store.clone()), &quiet());
    let asked =
        json!({ "kind": "view", "function": "get", "input": hex::encode("a"), "as": "text" });
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut subscription = subscribe(&server, &asked).await;
        let answer = next(&mut subscription).await;
        assert_eq!(
            (&answer["result"], &answer["cursor"]),
            (&json!("1"), &json!(model.tip()))
        );
        all.push(subscription);
    }
    assert_eq!(stats(&server).await["views_run"], 1);
    for _ in 0..10 {
        model.commit(&[(b"b", b"x")]);
    }
    model.commit(&[(b"a", b"2")]);
    for subscription in &mut all {
        let answer = next(subscription).await;
        assert_eq!(
            (&answer["result"], &answer["cursor"]),
            (&json!("2"), &json!(model.tip()))
        );
    }
    assert_eq!(stats(&server).await["views_run"], 2);
    // The same value again is run, and not told.
    model.commit(&[(b"a", b"2")]);
    model.commit(&[(b"a", b"3")]);
    for subscription in &mut all {
        assert_eq!(next(subscription).await["result"], "3");
    }
    assert_eq!(stats(&server).await["views_run"], 4);
    model.rollback(1);
    for subscription in &mut all {
        let answer = next(subscription).await;
        assert_eq!(answer["result"], "2");
        assert_eq!(answer["cursor"], model.tip());
        assert_eq!(answer["undone"].as_array().unwrap().len(), 1);
    }
    // It was run at this block before.
    assert_eq!(stats(&server).await["views_run"], 4);
}

#[tokio::test]
async fn views_that_fail_or_are_not_there() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    let error = refused(&server, &json!({ "kind": "view", "function": "gett" })).await;
    assert_eq!(error["code"], -32003);
    let mut traps = subscribe(&server, &json!({ "kind": "view", "function": "trap" })).await;
    let answer = next(&mut traps).await;
    assert_eq!(answer["error"]["code"], -32004);
    assert_eq!(answer.get("result"), None);
    let no_json = json!({ "kind": "view", "function": "echo", "input": "ff", "as": "json" });
    let mut no_json = subscribe(&server, &no_json).await;
    assert_eq!(
        next(&mut no_json).await["error"]["data"]["kind"],
        "answer_form"
    );
}

/// A guest whose view answers the keys from `b` up to `c`, and looks at nothing else.
fn walking() -> Vec<u8> {
    let request = Request::between(b"b", b"c").encode();
    let length = u32::try_from(request.len()).unwrap().to_le_bytes();
    let data = length.iter().chain(&request);
    let data: Vec<_> = data.map(|byte| format!("\\{byte:02x}")).collect();
    let data = data.concat();
    guests::from_wat(&format!(
        r#"(module
          (import "env" "__flush" (func $flush (param i32)))
          (import "metashrew" "read_range" (func $read_range (param i32) (result i32)))
          (import "metashrew" "load_answer" (func $load_answer (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "{data}")
          (func (export "_start") (call $flush (i32.const 1024)))
          (func (export "walk") (result i32)
            (i32.store (i32.const 2044) (call $read_range (i32.const 4)))
            (call $load_answer (i32.const 2048))
            (i32.const 2048)))"#
    ))
}

#[tokio::test]
async fn a_key_in_a_range_that_a_view_walked_has_it_run_again() {
    let mut model = Model::new(Store::in_memory());
    model.commit(&[(b"a", b"1")]);
    let server = InProcess::new(runtime(&walking(), model.store.clone()), &quiet());
    let asked = json!({ "kind": "view", "function": "walk" });
    let mut subscription = subscribe(&server, &asked).await;
    let mut answers = vec![next(&mut subscription).await["result"].clone()];
    for (run, key) in [(2, &b"b"[..]), (3, b"bz")] {
        // It waits for what concerns it; keys before and behind the range do not.
        let waits = tokio::time::timeout(Duration::from_millis(50), subscription.next());
        assert!(waits.await.is_err());
        model.commit(&[(b"az", b"1"), (b"c", b"1")]);
        model.commit(&[(key, b"1")]);
        let answer = next(&mut subscription).await;
        assert_eq!(answer["cursor"], model.tip());
        assert!(!answers.contains(&answer["result"]));
        answers.push(answer["result"].clone());
        assert_eq!(stats(&server).await["views_run"], run);
    }
}

//! The server that `start` runs, and its settings.

use serde_json::{Value, json};

use crate::harness::{Place, Running, post};

#[test]
fn all_six_methods_answer() {
    let place = Place::new(4);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(4);
    let tip = place.tip();
    assert_eq!(running.result("metashrew_height", &json!([])), "4");
    let hash = format!("0x{}", tip.hash);
    assert_eq!(running.result("metashrew_getblockhash", &json!([4])), hash);
    let root = running.result("metashrew_stateroot", &json!(["latest"]));
    let snapshot = running.result("metashrew_snapshot", &json!([]));
    assert_eq!(snapshot["history_root"], root);
    assert_eq!(snapshot["block_hash"], hash);
    let answer = running.result("metashrew_view", &json!(["echo", "0x2a", 2]));
    assert_eq!(answer, "0x2a");
    let block = hex::encode(tip.bytes.as_slice());
    let answer = running.result("metashrew_preview", &json!([block, "echo", "0x2b"]));
    assert_eq!(answer, "0x2b");
}

#[test]
fn a_batch_is_answered() {
    let place = Place::new(2);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(2);
    let call = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "metashrew_height" });
    let body = json!([call("a"), call("b")]).to_string();
    let (_, answer) = post(running.address, &body).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer,
        json!([
            { "jsonrpc": "2.0", "id": "a", "result": "2" },
            { "jsonrpc": "2.0", "id": "b", "result": "2" },
        ])
    );
}

#[test]
fn settings_reach_views_and_server() {
    let place = Place::new(2);
    let flags = [
        "--view-timeout-ms",
        "100",
        "--view-max-input",
        "8",
        "--max-batch",
        "1",
        "--height-compat",
        "next",
    ];
    let running = Running::spawn(&mut place.start(&flags));
    running.wait_for_height(3);
    let error = &running.call("metashrew_view", &json!(["spin"]))["error"];
    assert_eq!(error["data"]["limit_ms"], 100);
    let error = &running.call("metashrew_view", &json!(["echo", "00".repeat(9)]))["error"];
    assert_eq!(error["data"]["limit"], 8);
    let (_, answer) = post(running.address, "[1,2]").unwrap();
    assert!(answer.contains("-32010"), "{answer}");
}

#[test]
fn views_are_stateful_unless_switched_off() {
    let place = Place::new(2);
    let counts = |flags: &[&str]| -> Vec<Value> {
        let running = Running::spawn(&mut place.start(flags));
        running.wait_for_height(2);
        (0..3)
            .map(|_| running.result("metashrew_view", &json!(["counter"])))
            .collect()
    };
    assert_eq!(counts(&[]), ["0x01000000", "0x02000000", "0x03000000"]);
    assert_eq!(
        counts(&["--no-stateful-views"]),
        ["0x01000000", "0x01000000", "0x01000000"]
    );
}

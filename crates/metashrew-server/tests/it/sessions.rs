//! Which instance answers, and for how long: `session`, `fresh` and `timeout_ms`.

use std::time::Duration;

use metashrew_runtime::ViewOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup};

/// How many calls the instance had answered, this one included.
fn count(served: &Served, options: &Value) -> u64 {
    let answer = served.result("metashrew_view", &json!(["counter", "", null, options]));
    let text = answer["result"].as_str().or(answer.as_str()).unwrap();
    let bytes: [u8; 4] = hex::decode_to_array(text).unwrap();
    u32::from_le_bytes(bytes).into()
}

#[test]
fn a_session_keeps_its_instance_to_itself() {
    let served = Served::new();
    let a = json!({ "session": "a" });
    let b = json!({ "session": "b" });
    for call in 1..=5 {
        assert_eq!(count(&served, &a), call);
        assert_eq!(count(&served, &b), call);
        assert_eq!(count(&served, &Value::Null), call);
    }
    let anchored = json!({ "session": "a", "anchor": true });
    let answer = served.result("metashrew_view", &json!(["counter", "", null, anchored]));
    assert_eq!(answer["result"], "0x06000000");
    assert_eq!(answer["session"], json!({ "name": "a", "call": 6 }));
    assert_eq!(
        served.result("metashrew_stats", &json!([]))["views"]["sessions"],
        2
    );
}

#[test]
fn a_fresh_instance_remembers_nothing() {
    let served = Served::new();
    for call in 1..=3 {
        assert_eq!(count(&served, &json!({ "fresh": true })), 1);
        assert_eq!(count(&served, &json!({ "fresh": false })), call);
    }
}

#[test]
fn a_lost_session_is_told_once_and_then_starts_anew() {
    let served = Served::new();
    let options = json!({ "session": "mine", "anchor": true });
    let call = |function: &str| json!([function, "", null, options]);
    assert_eq!(count(&served, &options), 1);
    let error = served.error("metashrew_view", &call("trap"));
    assert_eq!(error["code"], -32004);
    let error = served.error("metashrew_view", &call("counter"));
    assert_eq!(error["code"], -32013);
    assert_eq!(
        error["data"],
        json!({ "kind": "session_lost", "session": "mine", "reason": "fault" })
    );
    let answer = served.result("metashrew_view", &call("counter"));
    assert_eq!(answer["result"], "0x01000000");
    assert_eq!(answer["session"], json!({ "name": "mine", "call": 1 }));

    served.runtime.store().rollback(Some(102)).unwrap();
    let error = served.error("metashrew_view", &call("counter"));
    assert_eq!(error["data"]["reason"], "reorg");
    assert_eq!(count(&served, &options), 1);
}

#[test]
fn sessions_need_stateful_views_and_a_name() {
    let served = Served::new();
    for (name, length) in [(String::new(), 0), ("x".repeat(257), 257)] {
        let params = json!(["echo", "", null, { "session": name }]);
        let error = served.error("metashrew_view", &params);
        assert_eq!(error["code"], -32013);
        let data = json!({ "kind": "session_name", "length": length, "limit": 256 });
        assert_eq!(error["data"], data);
    }
    assert_eq!(count(&served, &json!({ "session": "x".repeat(256) })), 1);

    let served = Setup {
        views: ViewOptions {
            enabled: false,
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let params = json!(["echo", "", null, { "session": "a" }]);
    let error = served.error("metashrew_view", &params);
    assert_eq!(error["code"], -32013);
    assert_eq!(error["data"], json!({ "kind": "session_unavailable" }));
}

#[test]
fn a_call_may_have_less_time_but_not_more() {
    let served = Setup {
        views: ViewOptions {
            timeout: Duration::from_millis(300),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let check = |timeout_ms: u64, limit_ms: u64| {
        let options = json!({ "timeout_ms": timeout_ms });
        let call = json!(["spin", "", null, options]);
        let error = served.error("metashrew_view", &call);
        assert_eq!(error["code"], -32005, "{timeout_ms}");
        assert_eq!(error["data"]["limit_ms"], limit_ms);
        let calls = json!([[["spin", "", options], ["echo", "01"]]]);
        let answers = served.result("metashrew_multicall", &calls);
        assert_eq!(answers[0]["error"]["data"]["limit_ms"], limit_ms);
        assert_eq!(answers[1]["result"], "0x01");
    };
    check(20, 20);
    check(1_000_000, 300);
    let block = hex::encode(served.chain.tip().unwrap().bytes.as_slice());
    let params = json!([block, "spin", "", null, { "timeout_ms": 20 }]);
    let error = served.error("metashrew_preview", &params);
    assert_eq!(error["data"]["limit_ms"], 20);
}

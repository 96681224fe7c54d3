//! `metashrew_multicall`: forms, order, failures, limits.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup, header, header_key, read_answer, wait_until};

#[test]
fn every_form_of_a_call() {
    let served = Served::new();
    let block = &served.chain.blocks()[2];
    let key = header_key(block.height);
    let height = hex::encode_prefixed(block.height.to_le_bytes());
    let expect = json!([
        { "result": header(block) },
        { "result": height },
        { "result": "0x" },
    ]);
    for calls in [
        json!([["get", key], ["height"], ["echo", null]]),
        json!([["get", key, {}], ["height", "", null], ["echo", "0x"]]),
        json!([
            { "function": "get", "input": key },
            { "function": "height" },
            ["echo"],
        ]),
        json!(["get", key, "height", "", "echo", null]),
    ] {
        for params in [
            json!([calls, block.height]),
            json!([calls, block.hash.to_string(), {}]),
            json!({ "calls": calls, "block": format!("{}:{}", block.height, block.hash) }),
        ] {
            let answer = served.result("metashrew_multicall", &params);
            assert_eq!(answer, expect, "{params}");
        }
    }
    assert_eq!(
        served.result("metashrew_multicall", &json!([[]])),
        json!([])
    );
}

#[test]
fn answers_come_in_the_order_of_the_calls() {
    let served = Served::new();
    let calls: Vec<_> = (0..500)
        .map(|id| json!(["echo", format!("{id:08x}")]))
        .collect();
    let answers = served.result("metashrew_multicall", &json!([calls]));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 500);
    for (id, answer) in answers.iter().enumerate() {
        assert_eq!(answer["result"], format!("0x{id:08x}"));
    }
}

#[test]
fn a_call_that_fails_harms_no_other() {
    let served = Served::new();
    let calls = json!([
        ["echo", "01"],
        ["trap"],
        ["no_such"],
        ["abort_view"],
        ["echo", "05"]
    ]);
    let answers = served.result("metashrew_multicall", &json!([calls]));
    let codes: Vec<_> = answers.as_array().unwrap().iter().collect();
    let codes: Vec<_> = codes
        .iter()
        .map(|answer| answer["error"]["code"].as_i64())
        .collect();
    assert_eq!(
        codes,
        [None, Some(-32004), Some(-32003), Some(-32004), None]
    );
    assert_eq!(answers[0], json!({ "result": "0x01" }));
    assert_eq!(answers[4], json!({ "result": "0x05" }));
    // As alone.
    let alone = served.error("metashrew_view", &json!(["no_such"]));
    assert_eq!(answers[2], json!({ "error": alone }));
}

#[test]
fn a_block_that_cannot_be_answered_for_fails_all() {
    let served = Served::new();
    for (name, code) in [
        (json!(FIRST + 5), -32001),
        (json!(FIRST - 1), -32001),
        (json!("11".repeat(32)), -32002),
        (json!(format!("{FIRST}:{}", "11".repeat(32))), -32002),
        (json!("tip"), -32602),
    ] {
        let error = served.error("metashrew_multicall", &json!([[["echo"]], name]));
        assert_eq!(error["code"], code, "{name}");
    }
    let empty = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let error = empty.error("metashrew_multicall", &json!([[]]));
    assert_eq!(error["data"], json!({ "kind": "empty" }));
}

#[test]
fn what_is_no_call_is_named() {
    let served = Served::new();
    let check = |calls: Value, parameter: &str| {
        let error = served.error("metashrew_multicall", &json!([calls]));
        assert_eq!(error["code"], -32602, "{calls}");
        assert_eq!(error["data"]["parameter"], parameter, "{calls}");
    };
    check(Value::Null, "calls");
    check(json!("echo"), "calls");
    check(json!({ "function": "echo" }), "calls");
    check(json!(["echo"]), "calls");
    check(json!(["echo", "00", "echo"]), "calls");
    check(json!(["echo", "zz"]), "calls[0].input");
    check(json!(["echo", "00", ["echo"], "00"]), "calls[1].function");
    check(json!([["echo"], "echo"]), "calls[1]");
    check(json!([["echo"], 7]), "calls[1]");
    check(json!([[]]), "calls[0].function");
    check(json!([["echo", "0"]]), "calls[0].input");
    check(json!([["echo", "", {}, 1]]), "calls[0]");
    check(
        json!([["echo", "", { "anchor": true }]]),
        "calls[0].options.anchor",
    );
    check(json!([{ "fn": "echo" }]), "calls[0].fn");
    let both = json!({ "session": "a", "fresh": true });
    check(json!([["echo", "", both]]), "calls[0].options.fresh");
}

#[test]
fn a_call_may_have_options_of_its_own() {
    let served = Setup {
        server: ServerOptions {
            batch_parallel: NonZeroUsize::MIN,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let calls = json!([
        ["counter"],
        ["counter", "", { "session": "a" }],
        ["counter", "", { "session": "a" }],
        ["counter", "", { "fresh": true }],
        ["counter", "", { "session": "b" }],
    ]);
    let counts = |answers: &Value| -> Vec<String> {
        let answers = answers.as_array().unwrap().iter();
        let texts = answers.map(|answer| answer["result"].as_str().unwrap().to_owned());
        texts.collect()
    };
    let answers = served.result("metashrew_multicall", &json!([calls]));
    let expect = [
        "0x01000000",
        "0x01000000",
        "0x02000000",
        "0x01000000",
        "0x01000000",
    ];
    assert_eq!(counts(&answers), expect);
    assert_eq!(answers[2]["session"], json!({ "name": "a", "call": 2 }));
    assert_eq!(answers[3].get("session"), None);
    // Options of all calls hold where a call says nothing else.
    let params = json!([calls, null, { "session": "c" }]);
    let answers = served.result("metashrew_multicall", &params);
    let expect = [
        "0x01000000",
        "0x03000000",
        "0x04000000",
        "0x01000000",
        "0x02000000",
    ];
    assert_eq!(counts(&answers), expect);
    assert_eq!(answers[0]["session"], json!({ "name": "c", "call": 1 }));
}

#[test]
fn limits_of_a_multicall() {
    let served = Setup {
        server: ServerOptions {
            max_response: 300,
            max_batch: 2,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    for calls in [
        json!([["echo"], ["echo"], ["echo"]]),
        json!(["echo", "", "echo", "", "echo", ""]),
    ] {
        let error = served.error("metashrew_multicall", &json!([calls]));
        assert_eq!(error["code"], -32010);
        let data = json!({ "kind": "batch_too_long", "length": 3, "limit": 2 });
        assert_eq!(error["data"], data);
        let message = "the multicall has 3 entries, the limit is 2";
        assert_eq!(error["message"], message);
    }
    let long = "00".repeat(100);
    let calls = json!([["echo", long], ["echo", long]]);
    let error = served.error("metashrew_multicall", &json!([calls]));
    assert_eq!(error["code"], -32011);
    let data = json!({ "kind": "batch_answer_too_long", "limit": 300 });
    assert_eq!(error["data"], data);
}

#[test]
fn all_calls_stand_on_one_block_whatever_is_committed_meanwhile() {
    let mut served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let endless = served.start(&crate::harness::view_request(1, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 1);
    let calls: Vec<_> = (0..50).map(|_| json!(["height"])).collect();
    let mut multicall = served.start(&json!({
        "jsonrpc": "2.0", "id": 1, "method": "metashrew_multicall",
        "params": [calls, "latest", { "anchor": true }],
    }));
    wait_until(|| served.runtime.view_stats().waiting > 0);
    let seen = served.tip();
    served.grow(2);
    served.runtime.store().rollback(Some(FIRST + 1)).unwrap();
    drop(endless);
    let (_, body) = read_answer(&mut multicall);
    let answer: Value = serde_json::from_str(&body).unwrap();
    let results = answer["result"]["results"].as_array().unwrap();
    assert_eq!(results.len(), 50);
    let height = hex::encode_prefixed(seen.height.to_le_bytes());
    for result in results {
        assert_eq!(result["result"], height);
    }
    assert_eq!(answer["result"]["height"], seen.height);
    assert_eq!(answer["result"]["tip"]["height"], seen.height);
}

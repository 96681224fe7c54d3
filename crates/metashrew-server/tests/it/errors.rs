//! Every error of ours: its code, its message, its data.

use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use metashrew_testing::announced::announced;
use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup};

#[test]
fn wrong_parameters_are_named() {
    let served = Served::new();
    let check = |method: &str, params: Value, parameter: Value, message: &str| {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32602, "{method} {params}");
        assert_eq!(error["message"], message, "{method} {params}");
        assert_eq!(
            error["data"],
            json!({ "kind": "invalid_params", "parameter": parameter })
        );
    };
    check(
        "metashrew_view",
        json!([]),
        json!("function"),
        "Invalid params: `function`: it is missing",
    );
    check(
        "metashrew_view",
        json!(["echo", "0x123"]),
        json!("input"),
        r#"Invalid params: `input`: it must be hex, but: odd number of digits. JSON is given as `{"json": …}`, a text as `{"text": "…"}`"#,
    );
    check(
        "metashrew_preview",
        json!(["0xzz", "echo"]),
        json!("raw_block"),
        "Invalid params: `raw_block`: it must be hex, but: invalid character 'z' at position 0",
    );
    check(
        "metashrew_preview",
        json!({ "function": "echo" }),
        json!("raw_block"),
        "Invalid params: `raw_block`: it is missing",
    );
    check(
        "metashrew_height",
        json!([1]),
        Value::Null,
        "Invalid params: 1 parameters are given, at most 0 are taken",
    );
    let error = served.error("metashrew_getblockhash", &json!(["tip"]));
    assert_eq!(error["code"], -32602);
    assert_eq!(error["data"]["parameter"], "block");
}

#[test]
fn blocks_that_cannot_be_answered_for() {
    let served = Served::new();
    let check = |name: Value, code: i64, data: Value| {
        for (method, params) in [
            ("metashrew_view", json!(["echo", "", name])),
            ("metashrew_preview", json!(["00", "echo", "", name])),
            ("metashrew_getblockhash", json!([name])),
            ("metashrew_stateroot", json!([name])),
        ] {
            let error = served.error(method, &params);
            assert_eq!(error["code"], code, "{method} {error}");
            assert_eq!(error["data"], data, "{method}");
        }
    };
    let tip = served.tip();
    let unknown = "11".repeat(32);
    check(
        json!(tip.height + 1),
        -32001,
        json!({ "kind": "not_indexed", "height": tip.height + 1, "tip": tip.height }),
    );
    check(
        json!(FIRST - 1),
        -32001,
        json!({ "kind": "below_first", "height": FIRST - 1, "first": FIRST }),
    );
    check(
        json!(unknown),
        -32002,
        json!({ "kind": "unknown_hash", "hash": format!("0x{unknown}") }),
    );
    check(
        json!(format!("{}:{unknown}", tip.height)),
        -32002,
        json!({
            "kind": "not_in_chain",
            "height": tip.height,
            "hash": format!("0x{unknown}"),
            "actual": format!("0x{}", tip.hash),
        }),
    );
}

#[test]
fn an_empty_index_says_so() {
    let served = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    for (method, params) in [
        ("metashrew_height", json!([])),
        ("metashrew_view", json!(["echo"])),
        ("metashrew_getblockhash", json!([0])),
        ("metashrew_stateroot", json!([])),
    ] {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32001, "{method}");
        assert_eq!(error["message"], "no block is indexed yet", "{method}");
        assert_eq!(error["data"], json!({ "kind": "empty" }), "{method}");
    }
    let snapshot = served.result("metashrew_snapshot", &json!([]));
    assert_eq!(snapshot["indexed_height"], Value::Null);
    assert_eq!(snapshot["block_hash"], Value::Null);
}

#[test]
fn what_a_view_returns_as_its_error() {
    let served = Setup {
        wasm: announced(),
        ..Setup::default()
    }
    .serve();
    let input = hex::encode_prefixed("no such token \u{1b}[2J");
    let expect = json!({
        "code": -32015,
        "message": "the view returned an error: no such token \u{1b}[2J",
        "data": { "kind": "view_error", "message": "no such token \u{1b}[2J" },
    });
    let calls = [
        ("metashrew_view", json!(["fail", input])),
        (
            "metashrew_view",
            json!(["fail", input, "latest", { "anchor": true, "session": "s" }]),
        ),
        (
            "metashrew_view",
            json!(["fail", input, "latest", { "fresh": true }]),
        ),
        ("metashrew_preview", json!(["00", "fail", input])),
    ];
    for (method, params) in &calls {
        assert_eq!(served.error(method, params), expect, "{params}");
    }
    let answers = served.result(
        "metashrew_multicall",
        &json!([[["fail", input], ["echo", "0x01"], ["fail", input]]]),
    );
    let failed = json!({ "error": expect });
    assert_eq!(answers, json!([failed, { "result": "0x01" }, failed]));
    let batch = calls.iter().map(
        |(method, params)| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }),
    );
    let (status, body) = served.post(&batch.collect::<Value>().to_string());
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, answers.as_array().unwrap().len()),
        (200, calls.len())
    );
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["error"], expect);
    }
    let views = served.result("metashrew_stats", &json!([]))["views"].clone();
    assert_eq!(views["errors"]["view_error"], 2 * calls.len() + 2);
    assert_eq!(views["instances"]["dropped"]["fault"], 0);
}

#[test]
fn what_the_guest_does_wrong() {
    let served = Served::new();
    let error = served.error("metashrew_view", &json!(["no_such"]));
    assert_eq!(
        error,
        json!({
            "code": -32003,
            "message": "the guest has no view `no_such`",
            "data": { "kind": "no_such_view", "function": "no_such" },
        })
    );

    let error = served.error("metashrew_view", &json!(["trap"]));
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"]["kind"], "trap");
    let frames = error["data"]["backtrace"].as_array().unwrap();
    assert!(!frames.is_empty());
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("the guest trapped: "), "{message}");
    assert!(!message.contains('\n'), "{message}");

    let error = served.error("metashrew_view", &json!(["abort_view"]));
    assert_eq!(error["code"], -32004);
    let data = &error["data"];
    assert_eq!(
        (&data["kind"], &data["message"]),
        (&json!("abort"), &json!("out of tea"))
    );
    let place = json!([data["file"], data["line"], data["column"]]);
    assert_eq!(place, json!(["tea.ts", 7, 3]));
    let frame = data["backtrace"][0].as_str().unwrap();
    assert!(frame.starts_with("abort_with at 0x"), "{frame}");
    assert_eq!(
        error["message"],
        "the guest aborted: out of tea (tea.ts:7:3)"
    );

    let error = served.error("metashrew_view", &json!(["bad_key"]));
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"]["kind"], "bad_pointer");
    assert_eq!(error["data"]["function"], "__get_len");
    assert_eq!(error["data"]["pointer"], 0x7fff_fff0);

    // The next call is none the worse for it.
    let answer = served.result("metashrew_view", &json!(["echo", "0x07"]));
    assert_eq!(answer, "0x07");
}

#[test]
fn what_a_previewed_block_does_wrong() {
    let mut served = Setup {
        wasm: guests::aborts_at(FIRST + 5),
        ..Setup::default()
    }
    .serve();
    let next = served.chain.mine(1).to_vec().remove(0);
    let block = hex::encode(next.bytes.as_slice());
    let error = served.error("metashrew_preview", &json!([block, "echo"]));
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"]["kind"], "abort");

    let served = Setup {
        wasm: guests::silent_at(FIRST + 5),
        ..Setup::default()
    }
    .serve();
    let error = served.error("metashrew_preview", &json!([block, "echo"]));
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"], json!({ "kind": "no_flush" }));

    let served = Setup {
        wasm: guests::has_unknown_import(),
        ..Setup::default()
    }
    .serve();
    let error = served.error("metashrew_view", &json!(["mystery"]));
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"]["kind"], "unknown_import");
    assert_eq!(error["data"]["name"], "__mystery");
}

#[test]
fn limits_of_views() {
    let served = Setup {
        views: ViewOptions {
            timeout: Duration::from_millis(200),
            max_instance_memory: 16 << 20,
            max_input: 1000,
            max_output: 100,
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let error = served.error("metashrew_view", &json!(["spin"]));
    assert_eq!(error["code"], -32005);
    assert_eq!(error["data"]["kind"], "timeout");
    assert_eq!(error["data"]["limit_ms"], 200);
    assert!(error["data"]["backtrace"].is_array());

    let error = served.error("metashrew_view", &json!(["echo", "00".repeat(1001)]));
    assert_eq!(error["code"], -32007);
    assert_eq!(
        error["data"],
        json!({ "kind": "input_too_long", "length": 1001, "limit": 1000 })
    );

    let error = served.error("metashrew_view", &json!(["echo", "00".repeat(101)]));
    assert_eq!(error["code"], -32008);
    assert_eq!(
        error["data"],
        json!({ "kind": "answer_too_long", "length": 101, "limit": 100 })
    );

    let error = served.error("metashrew_view", &json!(["grow_4gib"]));
    assert_eq!(error["code"], -32009);
    assert_eq!(error["data"]["kind"], "memory_limit");
    assert_eq!(error["data"]["limit"], 16 << 20);
}

#[test]
fn limits_of_requests_and_answers() {
    let served = Setup {
        server: ServerOptions {
            max_request: 1000,
            max_response: 300,
            max_batch: 2,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let (status, body) = served.post(&" ".repeat(1001));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 413);
    assert_eq!(answer["id"], Value::Null);
    assert_eq!(answer["error"]["code"], -32007);
    assert_eq!(
        answer["error"]["data"],
        json!({ "kind": "request_too_long", "limit": 1000 })
    );

    let (status, body) = served.post("[1,2,3]");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(answer["error"]["code"], -32010);
    assert_eq!(
        answer["error"]["data"],
        json!({ "kind": "batch_too_long", "length": 3, "limit": 2 })
    );

    let error = served.error("metashrew_view", &json!(["echo", "00".repeat(200)]));
    assert_eq!(error["code"], -32008);

    let call = |id: u32| {
        json!({
            "jsonrpc": "2.0", "id": id, "method": "metashrew_view",
            "params": ["echo", "00".repeat(100)],
        })
    };
    let (_, body) = served.post(&json!([call(1), call(2)]).to_string());
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["id"], Value::Null);
    assert_eq!(answer["error"]["code"], -32011);
    assert_eq!(
        answer["error"]["data"],
        json!({ "kind": "batch_answer_too_long", "limit": 300 })
    );
}

#[test]
fn an_address_that_is_taken_is_named() {
    let served = Served::new();
    let address = served.handle.local_addr();
    let bound =
        metashrew_server::Server::bind(address, served.runtime.clone(), ServerOptions::default());
    let error = served.block_on(bound).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}

//! `{"json": …}` and `{"text": …}` as inputs, and `as` for answers.

use serde_json::{Value, json};

use crate::harness::Served;

/// The answer's own text, with which numbers and the order of members can be compared.
fn raw(served: &Served, params: &str) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"metashrew_view","params":{params}}}"#);
    let (status, answer) = served.post(&body);
    assert_eq!(status, 200);
    answer
}

#[test]
fn a_guest_gets_json_and_text_as_they_are() {
    let served = Served::new();
    let check = |input: Value, expect: &str| {
        let answer = served.result("metashrew_view", &json!(["echo", input]));
        assert_eq!(answer, hex::encode_prefixed(expect), "{input}");
    };
    check(json!({ "text": "a \"b\"\né" }), "a \"b\"\né");
    check(
        json!({ "json": { "address": "1abc", "limit": 10 } }),
        r#"{"address":"1abc","limit":10}"#,
    );
    check(json!({ "json": null }), "null");
    check(json!("0x61"), "a");
    let answer = raw(
        &served,
        r#"["echo",{"json": { "b":1.50 , "a":[ 1e3, 1 ]}},null,{"as":"json"}]"#,
    );
    assert_eq!(
        answer,
        r#"{"jsonrpc":"2.0","id":1,"result":{"b":1.50,"a":[1e3,1]}}"#
    );
}

#[test]
fn answers_come_in_the_form_asked_for() {
    let served = Served::new();
    let answer = |input: &str, form: &str| {
        let params = json!(["echo", { "text": input }, "latest", { "as": form }]);
        served.answer("metashrew_view", &params)
    };
    assert_eq!(answer("{\"a\":[1]}", "json")["result"], json!({ "a": [1] }));
    assert_eq!(answer(" 7 ", "json")["result"], 7);
    assert_eq!(answer("\u{1}\"é\\", "text")["result"], "\u{1}\"é\\");
    assert_eq!(answer("a", "hex")["result"], "0x61");
    let error = answer("{", "json")["error"].clone();
    assert_eq!(error["code"], -32017);
    assert_eq!(error["data"]["kind"], "answer_form");
    assert_eq!(error["data"]["as"], "json");
    let params = json!(["echo", "0xff", "latest", { "as": "text" }]);
    let error = served.error("metashrew_view", &params);
    assert_eq!(error["code"], -32017);
    assert_eq!(error["data"]["as"], "text");
    let params = json!(["echo", "0xff", "latest", { "as": "utf8" }]);
    let error = served.error("metashrew_view", &params);
    assert_eq!(error["data"]["parameter"], "options.as");
    assert_eq!(
        error["message"],
        "Invalid params: `options.as`: it must be `json`, `text` or `hex`"
    );
}

#[test]
fn an_envelope_holds_the_form_too() {
    let served = Served::new();
    let params = json!({
        "function": "echo", "input": { "json": { "a": 1 } },
        "options": { "as": "json", "anchor": true, "session": "s" },
    });
    let envelope = served.result("metashrew_view", &params);
    assert_eq!(envelope["result"], json!({ "a": 1 }));
    assert_eq!(envelope["height"], served.tip().height);
    assert_eq!(envelope["session"], json!({ "name": "s", "call": 1 }));
}

#[test]
fn each_call_of_a_multicall_has_its_form() {
    let served = Served::new();
    let params = json!([
        [
            ["echo", { "json": [1, 2] }],
            ["echo", { "text": "a" }, { "as": "text" }],
            ["echo", "0xff", { "as": "hex" }],
            ["echo", "0xff"],
            { "function": "echo", "input": { "text": "nul" } },
        ],
        "latest",
        { "as": "json" },
    ]);
    let answers = served.result("metashrew_multicall", &params);
    assert_eq!(answers[0], json!({ "result": [1, 2] }));
    assert_eq!(answers[1], json!({ "result": "a" }));
    assert_eq!(answers[2], json!({ "result": "0xff" }));
    assert_eq!(answers[3]["error"]["code"], -32017);
    assert_eq!(answers[4]["error"]["code"], -32017);
    let flat = json!([["echo", { "text": "a" }, "echo", { "json": 1 }]]);
    let answers = served.result("metashrew_multicall", &flat);
    assert_eq!(answers, json!([{ "result": "0x61" }, { "result": "0x31" }]));
    let error = served.error("metashrew_multicall", &json!([[["echo", { "txt": 1 }]]]));
    assert_eq!(error["data"]["parameter"], "calls[0].input");
}

#[test]
fn a_preview_takes_and_gives_them() {
    let mut served = Served::new();
    let next = served.chain.mine(1).to_vec().remove(0);
    let block = hex::encode(&*next.bytes);
    let params = json!([block, "echo", { "json": { "a": 1 } }, null, { "as": "json" }]);
    assert_eq!(
        served.result("metashrew_preview", &params),
        json!({ "a": 1 })
    );
    let params = json!([[], "echo", { "text": "é" }, null, { "as": "text" }]);
    assert_eq!(served.result("metashrew_preview", &params), "é");
}

#[test]
fn a_wrong_input_is_told_what_is_right() {
    let served = Served::new();
    let check = |input: Value, expect: &str| {
        let error = served.error("metashrew_view", &json!(["echo", input]));
        assert_eq!(error["code"], -32602);
        assert_eq!(error["data"]["parameter"], "input");
        assert_eq!(error["message"], expect);
    };
    let right = r#"Invalid params: `input`: it must be hex (`"0x…"`), JSON (`{"json": …}`) or a text (`{"text": "…"}`)"#;
    check(json!({ "address": "1abc" }), right);
    check(json!(7), right);
    check(json!([1]), right);
    check(json!({ "json": 1, "text": "" }), right);
    check(
        json!("0x1"),
        r#"Invalid params: `input`: it must be hex, but: odd number of digits. JSON is given as `{"json": …}`, a text as `{"text": "…"}`"#,
    );
}

#[test]
fn long_answers_come_in_their_forms() {
    let served = Served::new();
    let long = json!(vec!["é\"\n"; 200_000]);
    let params = json!(["echo", { "json": long }, null, { "as": "json" }]);
    assert!(served.result("metashrew_view", &params) == long);
    let params = json!(["echo", { "json": long }, null, { "as": "text" }]);
    let text = served.result("metashrew_view", &params);
    assert!(text.as_str() == Some(&*long.to_string()));
}

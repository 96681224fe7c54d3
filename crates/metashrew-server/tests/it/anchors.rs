//! Envelopes: what an answer says of what it stands on.

use metashrew_server::ServerOptions;
use metashrew_store::BlockRecord;
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup, block_ref, header, header_key};

/// The members that an envelope adds, for an answer about `block`.
fn anchor(served: &Served, block: &BlockRecord) -> Value {
    let tip = served.tip();
    json!({
        "height": block.height,
        "blockHash": format!("0x{}", block.hash),
        "historyRoot": format!("0x{}", block.history_root),
        "guest": hex::encode_prefixed(served.runtime.guest_sha256()),
        "tip": { "height": tip.height, "blockHash": format!("0x{}", tip.hash) },
    })
}

fn with(mut envelope: Value, name: &str, value: Value) -> Value {
    envelope[name] = value;
    envelope
}

fn record(served: &Served, height: u32) -> BlockRecord {
    let snapshot = served.runtime.store().snapshot();
    snapshot.block(height).unwrap().unwrap()
}

#[test]
fn a_view_says_what_it_stands_on_if_asked() {
    let served = Served::new();
    let options = json!({ "anchor": true });
    for block in served.chain.blocks() {
        let key = header_key(block.height);
        let name = format!("{}:{}", block.height, block.hash);
        let answer = served.result("metashrew_view", &json!(["get", key, name, options]));
        let expect = anchor(&served, &record(&served, block.height));
        assert_eq!(answer, with(expect, "result", json!(header(block))));
    }
    for plain in [json!({ "anchor": false }), json!({}), Value::Null] {
        let answer = served.result("metashrew_view", &json!(["echo", "01", null, plain]));
        assert_eq!(answer, "0x01");
    }
}

#[test]
fn a_preview_says_what_it_was_built_upon() {
    let mut served = Served::new();
    let next = served.chain.mine(1).to_vec().remove(0);
    let block = hex::encode(next.bytes.as_slice());
    let params = json!([block, "height", "", FIRST + 1, { "anchor": true }]);
    let answer = served.result("metashrew_preview", &params);
    let expect = anchor(&served, &record(&served, FIRST + 1));
    let result = hex::encode_prefixed((FIRST + 2).to_le_bytes());
    assert_eq!(answer, with(expect, "result", json!(result)));
}

#[test]
fn a_multicall_says_once_what_all_stand_on() {
    let served = Served::new();
    let calls = json!([["echo", "01"], ["trap"]]);
    let params = json!([calls, FIRST + 2, { "anchor": true }]);
    let mut answer = served.result("metashrew_multicall", &params);
    let results = answer.as_object_mut().unwrap().remove("results").unwrap();
    assert_eq!(results[0], json!({ "result": "0x01" }));
    assert_eq!(results[1]["error"]["code"], -32004);
    assert_eq!(answer, anchor(&served, &record(&served, FIRST + 2)));
}

#[test]
fn an_anchor_that_was_reorganised_away_is_an_error_of_its_own() {
    let mut served = Served::new();
    let options = json!({ "anchor": true });
    let params = json!(["echo", "01", "latest", options]);
    let seen = served.result("metashrew_view", &params);
    let dead = format!("{}:{}", seen["height"], seen["blockHash"].as_str().unwrap());
    let again = json!(["echo", "01", dead, options]);
    assert_eq!(served.result("metashrew_view", &again), seen);

    let branch = served.chain.fork(FIRST + 3, 99);
    served.runtime.store().rollback(Some(FIRST + 3)).unwrap();
    let check = |served: &Served, actual: Value| {
        let params = json!([[["echo", "01"]], dead, options]);
        for (method, params) in [("metashrew_view", &again), ("metashrew_multicall", &params)] {
            let error = served.error(method, params);
            assert_eq!(error["code"], -32002, "{method}");
            let data = json!({
                "kind": "not_in_chain", "height": FIRST + 4,
                "hash": seen["blockHash"], "actual": actual,
            });
            assert_eq!(error["data"], data, "{method}");
        }
    };
    check(&served, Value::Null);
    served.chain = branch;
    served.grow(1);
    let living = served.tip();
    assert_eq!(living.height, FIRST + 4);
    check(&served, json!(format!("0x{}", living.hash)));
    let now = served.result("metashrew_view", &params);
    assert_eq!(now, with(anchor(&served, &living), "result", json!("0x01")));
}

#[test]
fn options_that_make_no_sense_are_named() {
    let served = Setup {
        server: ServerOptions::default(),
        ..Setup::default()
    }
    .serve();
    let check = |method: &str, params: Value, parameter: &str| {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32602, "{method} {params}");
        let data = json!({ "kind": "invalid_params", "parameter": parameter });
        assert_eq!(error["data"], data, "{method} {params}");
    };
    let view = |options: Value| json!(["echo", "", null, options]);
    for (options, parameter) in [
        (json!(true), "options"),
        (json!([]), "options"),
        (json!({ "anchored": true }), "options.anchored"),
        (json!({ "anchor": "yes" }), "options.anchor"),
        (json!({ "session": 7 }), "options.session"),
        (json!({ "fresh": 1 }), "options.fresh"),
        (json!({ "timeout_ms": 0 }), "options.timeout_ms"),
        (json!({ "timeout_ms": "5" }), "options.timeout_ms"),
        (json!({ "session": "a", "fresh": true }), "options.fresh"),
    ] {
        check("metashrew_view", view(options.clone()), parameter);
        check("metashrew_multicall", json!([[], null, options]), parameter);
    }
    let block = hex::encode(served.chain.tip().unwrap().bytes.as_slice());
    for (options, parameter) in [
        (json!({ "session": "a" }), "options.session"),
        (json!({ "fresh": true }), "options.fresh"),
        (json!({ "timeout_ms": -5 }), "options.timeout_ms"),
    ] {
        let params = json!([block, "echo", "", null, options]);
        check("metashrew_preview", params, parameter);
    }
    // The last block is the chain's own: the test above was about options alone.
    assert_eq!(
        served.tip().block_ref(),
        block_ref(served.chain.tip().unwrap())
    );
}

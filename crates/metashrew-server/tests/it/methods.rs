//! What each method answers.

use metashrew_server::{HeightCompat, ServerOptions};
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup, header, header_key};

#[test]
fn a_view_answers_at_every_block_however_it_is_named() {
    let served = Served::new();
    let last = FIRST + 4;
    for block in served.chain.blocks() {
        let height = block.height;
        let names = [
            json!(height),
            json!(height.to_string()),
            json!(format!("{height:#x}")),
            json!(block.hash.to_string()),
            json!(format!("0x{}", block.hash)),
            json!(format!("{height}:{}", block.hash)),
        ];
        for name in names {
            let answer = served.result("metashrew_view", &json!(["height", "0x", name]));
            assert_eq!(answer, hex::encode_prefixed(height.to_le_bytes()), "{name}");
            let key = header_key(last);
            let answer = served.result("metashrew_view", &json!(["get", key, name]));
            let expect = if height == last {
                header(block)
            } else {
                "0x".to_owned()
            };
            assert_eq!(answer, expect, "{name}");
        }
    }
    for params in [
        json!(["height"]),
        json!(["height", ""]),
        json!(["height", "0x", null]),
        json!(["height", "0x", "latest"]),
        json!({ "function": "height" }),
        json!({ "block": "latest", "input": "00", "function": "height" }),
    ] {
        let answer = served.result("metashrew_view", &params);
        assert_eq!(answer, hex::encode_prefixed(last.to_le_bytes()), "{params}");
    }
}

#[test]
fn a_view_gets_its_input() {
    let served = Served::new();
    for (input, expect) in [
        ("", "0x"),
        ("0x", "0x"),
        ("00", "0x00"),
        ("0xC0FFEE", "0xc0ffee"),
    ] {
        let answer = served.result("metashrew_view", &json!(["echo", input]));
        assert_eq!(answer, expect);
    }
    let long = format!("0x{}", "5a".repeat(1 << 20));
    let answer = served.result("metashrew_view", &json!(["echo", long]));
    assert_eq!(answer, long);
}

#[test]
fn a_preview_runs_a_block_on_top_of_another_and_keeps_nothing() {
    let mut served = Served::new();
    let next = served.chain.mine(1).to_vec().remove(0);
    let block = hex::encode(next.bytes.as_slice());
    let key = header_key(next.height);
    let answer = served.result("metashrew_preview", &json!([block, "get", key]));
    assert_eq!(answer, header(&next));
    let answer = served.result("metashrew_view", &json!(["get", key]));
    assert_eq!(answer, "0x");

    // On top of an older block, the guest indexes it at the height above that.
    let key = header_key(FIRST + 2);
    let named = json!({
        "raw_block": block, "function": "get", "input": key, "block": FIRST + 1,
    });
    let answer = served.result("metashrew_preview", &named);
    assert_eq!(answer, header(&next));
}

#[test]
fn the_height_is_the_last_committed_block_as_a_decimal_text() {
    let mut served = Served::new();
    assert_eq!(served.result("metashrew_height", &json!([])), "104");
    served.grow(1);
    assert_eq!(served.result("metashrew_height", &json!([])), "105");
    assert_eq!(served.result("metashrew_height", &json!({})), "105");
}

#[test]
fn the_height_can_be_the_next_block_for_clients_that_subtract_one() {
    let served = Setup {
        server: ServerOptions {
            height_compat: HeightCompat::Next,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    assert_eq!(served.result("metashrew_height", &json!([])), "105");
}

#[test]
fn block_hashes_and_roots_are_those_committed() {
    let served = Served::new();
    let snapshot = served.runtime.store().snapshot();
    for block in served.chain.blocks() {
        let hash = format!("0x{}", block.hash);
        let root = snapshot.block(block.height).unwrap().unwrap().history_root;
        let root = format!("0x{root}");
        for name in [json!([block.height]), json!([hash])] {
            assert_eq!(served.result("metashrew_getblockhash", &name), hash);
            assert_eq!(served.result("metashrew_stateroot", &name), root);
        }
    }
    let tip = served.tip();
    for latest in [json!([]), json!([null]), json!(["latest"]), Value::Null] {
        let hash = served.result("metashrew_getblockhash", &latest);
        assert_eq!(hash, format!("0x{}", tip.hash));
        let root = served.result("metashrew_stateroot", &latest);
        assert_eq!(root, format!("0x{}", tip.history_root));
    }
}

#[test]
fn the_snapshot_says_what_is_indexed() {
    let served = Served::new();
    let tip = served.tip();
    assert_eq!(
        served.result("metashrew_snapshot", &json!([])),
        json!({
            "enabled": true,
            "current_height": 105,
            "indexed_height": 104,
            "first_height": 100,
            "block_hash": format!("0x{}", tip.hash),
            "history_root": format!("0x{}", tip.history_root),
            "guest_sha256": hex::encode_prefixed(served.runtime.guest_sha256()),
        })
    );
}

#[test]
fn a_rollback_is_seen_at_once() {
    let served = Served::new();
    let dropped = format!("0x{}", served.tip().hash);
    served.runtime.store().rollback(Some(FIRST + 1)).unwrap();
    assert_eq!(served.result("metashrew_height", &json!([])), "101");
    let answer = served.result("metashrew_view", &json!(["height"]));
    assert_eq!(answer, hex::encode_prefixed((FIRST + 1).to_le_bytes()));
    let error = served.error("metashrew_getblockhash", &json!([dropped]));
    assert_eq!(error["code"], -32002);
}

#[test]
fn a_real_client_is_served() {
    let served = Served::new();
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "metashrew_height" });
    let answer = served.asked_by_another_client(&request);
    assert_eq!(answer["result"], "104");
    let request = crate::harness::view_request(2, &json!(["echo", "0x01", 101]));
    let answer = served.asked_by_another_client(&request);
    assert_eq!(answer["result"], "0x01");
}

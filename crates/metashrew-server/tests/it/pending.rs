//! The block name `pending`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use metashrew_runtime::{MetashrewRuntime, PendingBlock};
use metashrew_testing::chain::Mined;
use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup, block_ref, header, header_key};

#[test]
fn views_answer_as_if_the_pending_block_were_confirmed() {
    let mut served = Served::new();
    let tip = served.tip();
    let next = served.chain.mine(1).to_vec().remove(0);
    let key = header_key(next.height);
    let view = json!(["get", key, "pending"]);
    let calls = json!([[["get", key], ["height"]], "pending", { "anchor": true }]);
    let no_pending = |served: &Served| {
        for (method, params) in [("metashrew_view", &view), ("metashrew_multicall", &calls)] {
            let error = served.error(method, params);
            assert_eq!(error["code"], -32014, "{method}");
            assert_eq!(error["data"], json!({ "kind": "no_pending" }));
        }
    };
    no_pending(&served);

    let pending = PendingBlock {
        parent: block_ref(&next).parent,
        block: next.bytes.to_vec().into(),
    };
    served.runtime.set_pending(Some(pending)).unwrap();
    assert_eq!(served.result("metashrew_view", &view), header(&next));
    let answer = served.result("metashrew_multicall", &calls);
    assert_eq!(answer["results"][0]["result"], header(&next));
    let height = hex::encode_prefixed(next.height.to_le_bytes());
    assert_eq!(answer["results"][1]["result"], height);
    assert_eq!(answer["pending"], true);
    assert_eq!(answer["height"], tip.height);
    let anchored = json!(["height", "", "pending", { "anchor": true }]);
    let answer = served.result("metashrew_view", &anchored);
    assert_eq!(answer["result"], height);
    assert_eq!(answer["pending"], true);
    assert_eq!(answer["blockHash"], format!("0x{}", tip.hash));
    let block = &answer["pendingBlock"];
    assert_eq!(block["height"], next.height);
    assert_eq!(block["blockHash"], format!("0x{}", block_ref(&next).hash));
    assert_eq!(block["number"], 1);
    // The chain itself has no such block.
    assert_eq!(served.result("metashrew_view", &json!(["get", key])), "0x");

    // Once another block is on the tip, what was pending stands on none.
    served.commit(&next);
    no_pending(&served);
    assert_eq!(
        served.result("metashrew_view", &json!(["get", key])),
        header(&next)
    );
}

#[test]
fn only_views_and_multicalls_know_it() {
    let served = Served::new();
    for (method, params) in [
        ("metashrew_preview", json!(["00", "echo", "", "pending"])),
        ("metashrew_getblockhash", json!(["pending"])),
        ("metashrew_stateroot", json!(["pending"])),
    ] {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32602, "{method}");
        assert_eq!(error["data"]["parameter"], "block", "{method}");
    }
}

fn set(runtime: &MetashrewRuntime, block: &Mined) {
    let pending = PendingBlock {
        parent: block_ref(block).parent,
        block: block.bytes.to_vec().into(),
    };
    runtime.set_pending(Some(pending)).unwrap();
}

/// How often the pending block is replaced while it is asked about.
const CHANGES: usize = 100;

/// Asks while pending blocks replace each other: `entries` are the answers of one request, which
/// all must be those of one of the blocks.
fn check_one_state(entries: impl Fn(&Served) -> (Vec<Value>, Vec<Value>)) {
    let mut served = Served::new();
    // The merkle root differs, and with it what the guest makes of the block.
    let next = served.chain.mine(1).to_vec().remove(0);
    let mut other = next.clone();
    let mut bytes = other.bytes.to_vec();
    bytes[36] ^= 1;
    other.bytes = bytes.into();
    let answers: BTreeMap<String, Value> = [&next, &other]
        .map(|block| {
            set(&served.runtime, block);
            let params = json!(["get", hex::encode("acc"), "pending", { "anchor": true }]);
            let answer = served.result("metashrew_view", &params);
            let hash = answer["pendingBlock"]["blockHash"].as_str().unwrap();
            (hash.to_owned(), answer["result"].clone())
        })
        .into();
    assert_eq!(answers.len(), 2);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..CHANGES {
                for block in [&next, &other] {
                    set(&served.runtime, block);
                    thread::yield_now();
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            let (results, hashes) = entries(&served);
            assert!(results.iter().all(|result| *result == results[0]));
            assert!(hashes.iter().all(|hash| *hash == hashes[0]));
            let hash = hashes[0].as_str().unwrap();
            assert_eq!(answers[hash], results[0]);
        }
    });
}

#[test]
fn a_multicall_sees_one_pending_block() {
    check_one_state(|served| {
        let calls = vec![json!(["get", hex::encode("acc")]); 20];
        let params = json!([calls, "pending", { "anchor": true }]);
        let answer = served.result("metashrew_multicall", &params);
        let results = answer["results"].as_array().unwrap();
        (
            results.iter().map(|each| each["result"].clone()).collect(),
            vec![answer["pendingBlock"]["blockHash"].clone()],
        )
    });
}

#[test]
fn a_batch_sees_one_pending_block() {
    check_one_state(|served| {
        let call = |id| {
            json!({ "jsonrpc": "2.0", "id": id, "method": "metashrew_view",
                "params": ["get", hex::encode("acc"), "pending", { "anchor": true }] })
        };
        let batch: Vec<Value> = (0..20).map(call).collect();
        let (_, body) = served.post(&json!(batch).to_string());
        let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
        let each = |member: &str| {
            let member = |answer: &Value| answer.pointer(member).unwrap().clone();
            answers.iter().map(member).collect()
        };
        (
            each("/result/result"),
            each("/result/pendingBlock/blockHash"),
        )
    });
}

#[test]
fn a_pending_block_that_fails_says_why() {
    let setup = Setup {
        wasm: guests::traps_at(FIRST + 5),
        ..Setup::default()
    };
    let mut served = setup.serve();
    let next = served.chain.mine(1).to_vec().remove(0);
    set(&served.runtime, &next);
    for (method, params) in [
        ("metashrew_view", json!(["echo", "", "pending"])),
        ("metashrew_multicall", json!([[["echo"]], "pending"])),
    ] {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32014);
        let message = error["message"].as_str().unwrap();
        let expected = "the pending block failed: it could not be executed: the guest trapped: ";
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
        assert_eq!(error["data"]["kind"], "pending_failed");
        assert_eq!(error["data"]["cause"]["kind"], "trap");
    }
    let counted = served.result("metashrew_stats", &json!([]));
    assert_eq!(counted["views"]["errors"]["no_pending"], 1);
}

#[test]
fn a_multicall_waits_for_the_pending_block_no_longer_than_it_may() {
    let mut served = Served::new();
    let next = served.chain.mine(1).to_vec().remove(0);
    let (open, gate) = mpsc::channel::<()>();
    let bytes = next.bytes.to_vec();
    let fetch = move || {
        gate.recv()?;
        Ok(bytes.into())
    };
    let parent = block_ref(&next).parent;
    served.runtime.offer_pending(parent, fetch).unwrap();
    let calls = |options: Value| json!([[["height"]], "pending", options]);
    let error = served.error("metashrew_multicall", &calls(json!({ "timeout_ms": 20 })));
    assert_eq!(error["code"], -32005);
    assert_eq!(error["data"]["limit_ms"], 20);
    // It goes on meanwhile, for those who wait longer.
    open.send(()).unwrap();
    let answers = served.result("metashrew_multicall", &calls(json!({})));
    let height = hex::encode_prefixed(next.height.to_le_bytes());
    assert_eq!(answers[0]["result"], height);
}

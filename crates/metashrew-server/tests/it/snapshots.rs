//! One batch, one snapshot.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{FIRST, Served, Setup, read_answer, view_request, wait_until};

/// One view at a time, one call of a batch at a time.
fn one_at_a_time() -> Served {
    Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            batch_parallel: NonZeroUsize::MIN,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

/// The results of a batch: a first half, then a view that waits until `meanwhile` is
/// done, then a second half.
fn batch_around(
    served: &mut Served,
    half: &[(&str, Value)],
    meanwhile: impl FnOnce(&mut Served),
) -> (Vec<Value>, Vec<Value>) {
    let endless = served.start(&view_request(0, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 1);
    let request = |(method, params): &(&str, Value)| json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
    let mut batch: Vec<_> = half.iter().map(request).collect();
    batch.push(view_request(1, &json!(["echo"])));
    batch.extend(half.iter().map(request));
    let mut stream = served.start(&batch.into());
    wait_until(|| served.runtime.view_stats().waiting == 1);
    meanwhile(served);
    drop(endless);
    let (_, body) = read_answer(&mut stream);
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    let mut results: Vec<_> = answers
        .into_iter()
        .map(|answer| answer["result"].clone())
        .collect();
    let second = results.split_off(half.len() + 1);
    results.pop();
    (results, second)
}

fn questions() -> [(&'static str, Value); 4] {
    [
        ("metashrew_height", json!([])),
        ("metashrew_getblockhash", json!([])),
        ("metashrew_stateroot", json!([])),
        ("metashrew_snapshot", json!([])),
    ]
}

fn check(meanwhile: impl FnOnce(&mut Served)) {
    let mut served = one_at_a_time();
    let before = questions().map(|(method, params)| served.result(method, &params));
    let (first, second) = batch_around(&mut served, &questions(), meanwhile);
    assert_eq!(first, before);
    assert_eq!(second, before);
    // The next call stands on what there is now.
    let after = questions().map(|(method, params)| served.result(method, &params));
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before, after);
    }
}

#[test]
fn a_batch_does_not_see_blocks_committed_meanwhile() {
    check(|served| served.grow(3));
}

#[test]
fn a_batch_does_not_see_a_reorganisation() {
    check(|served| {
        let branch = served.chain.fork(FIRST + 2, 99);
        served.runtime.store().rollback(Some(FIRST + 2)).unwrap();
        served.chain = branch;
        served.grow(4);
    });
}

#[test]
fn views_and_multicalls_of_a_batch_stand_on_its_snapshot() {
    let mut served = one_at_a_time();
    let tip = served.tip();
    let height = hex::encode_prefixed(tip.height.to_le_bytes());
    let endless = served.start(&view_request(0, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 1);
    let block = hex::encode(served.chain.tip().unwrap().bytes.as_slice());
    let anchor = json!({ "anchor": true });
    let batch = json!([
        view_request(1, &json!(["height", "", null, anchor])),
        {
            "jsonrpc": "2.0", "id": 2, "method": "metashrew_multicall",
            "params": [["height", ""], null, anchor],
        },
        {
            "jsonrpc": "2.0", "id": 3, "method": "metashrew_preview",
            "params": [block, "height", "", null, anchor],
        },
        view_request(4, &json!(["height", "", tip.hash.to_string(), anchor])),
    ]);
    let mut stream = served.start(&batch);
    wait_until(|| served.runtime.view_stats().waiting == 1);
    let branch = served.chain.fork(FIRST + 1, 99);
    served.runtime.store().rollback(Some(FIRST + 1)).unwrap();
    served.chain = branch;
    served.grow(7);
    drop(endless);
    let (_, body) = read_answer(&mut stream);
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(answers[0]["result"]["result"], height);
    assert_eq!(answers[1]["result"]["results"][0]["result"], height);
    let next = hex::encode_prefixed((tip.height + 1).to_le_bytes());
    assert_eq!(answers[2]["result"]["result"], next);
    assert_eq!(answers[3]["result"]["result"], height);
    for answer in &answers {
        let hash = format!("0x{}", tip.hash);
        assert_eq!(answer["result"]["blockHash"], hash, "{answer}");
        assert_eq!(answer["result"]["tip"]["blockHash"], hash, "{answer}");
    }
}

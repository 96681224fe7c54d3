//! Nodes and proxies that want to be asked in another way than Core today: the way is
//! found, kept, and forgotten when the node was out of reach.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use metashrew_store::BlockHash;
use metashrew_sync::{CoreNode, CoreSettings, FailureKind, Node, NodeError};
use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::proxy::{Front, Reaction};
use serde_json::{Value, json};

use crate::core_node::{ours, settings};

/// Blocks of each node: more than a small batch has.
const COUNT: usize = 120;

fn node(bitcoind: &Bitcoind, front: &Front, rest: bool) -> CoreNode {
    CoreNode::new(&CoreSettings {
        rpc_url: bitcoind.rpc_url_at(front.address()),
        rest,
        ..settings(bitcoind)
    })
    .unwrap()
}

fn hashes(bitcoind: &Bitcoind) -> Vec<BlockHash> {
    (0..=bitcoind.height())
        .map(|height| ours(&bitcoind.hash_at(height)))
        .collect()
}

/// The sizes of the batches that were asked since this was called last; a question
/// alone is 0.
fn batches(front: &Front) -> Vec<usize> {
    let size = |(_, body): (String, String)| {
        let body: Value = serde_json::from_str(&body).ok()?;
        Some(body.as_array().map_or(0, Vec::len))
    };
    front.take_asked().into_iter().filter_map(size).collect()
}

fn refused(code: i64, message: &str) -> String {
    json!({"result": null, "error": {"code": code, "message": message}, "id": null}).to_string()
}

#[test]
fn without_batches_hashes_are_asked_one_by_one() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(COUNT);
    let expected = hashes(&bitcoind);
    let dialects: [fn() -> Reaction; 8] = [
        || Reaction::Answer(200, refused(-32_600, "Invalid Request")),
        || Reaction::Answer(500, refused(-32_700, "Parse error")),
        || Reaction::Answer(200, r#"{"error":"batches are off","id":null}"#.to_owned()),
        // The first answer only, and by itself.
        || Reaction::Answer(200, r#"{"result":"00","error":null,"id":0}"#.to_owned()),
        || Reaction::Answer(200, "[]".to_owned()),
        || Reaction::Answer(400, "no".to_owned()),
        || Reaction::Answer(502, "<html>".to_owned()),
        || Reaction::Close,
    ];
    for (number, no_batch) in dialects.into_iter().enumerate() {
        let front = Front::start(bitcoind.address(), move |_, body| {
            if body.starts_with('[') {
                no_batch()
            } else {
                Reaction::Pass
            }
        });
        let node = node(&bitcoind, &front, false);
        for _ in 0..3 {
            assert_eq!(node.hashes(0, 1_000).unwrap(), expected, "dialect {number}");
            assert_eq!(
                node.hashes(7, 30).unwrap(),
                expected[7..37],
                "dialect {number}"
            );
        }
        batches(&front);
        assert_eq!(node.hashes(0, 1_000).unwrap(), expected, "dialect {number}");
        // It was learnt, and beyond the tip it is asked once, and once more for the rest.
        let asked = batches(&front);
        assert_eq!(asked, vec![0; COUNT + 3], "dialect {number}");
    }
}

#[test]
fn where_large_batches_fail_small_ones_are_asked() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(COUNT);
    let expected = hashes(&bitcoind);
    let front = Front::start(bitcoind.address(), |_, body| {
        match serde_json::from_str::<Value>(body) {
            Ok(Value::Array(questions)) if questions.len() > 60 => {
                Reaction::Answer(413, "too large".to_owned())
            }
            _ => Reaction::Pass,
        }
    });
    let node = node(&bitcoind, &front, false);
    for round in 0..2 {
        assert_eq!(node.hashes(0, 1_000).unwrap(), expected);
        let asked: Vec<_> = batches(&front)
            .into_iter()
            .filter(|size| *size > 0)
            .collect();
        let first: &[usize] = if round == 0 { &[1_000] } else { &[] };
        assert_eq!(asked, [first, &[50, 50, 50, 50]].concat(), "round {round}");
    }
}

#[test]
fn a_batch_that_fails_once_is_no_dialect() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(COUNT);
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let front = Front::start(bitcoind.address(), move |_, body| {
        if body.starts_with('[') && failing.swap(false, Ordering::Relaxed) {
            Reaction::Close
        } else {
            Reaction::Pass
        }
    });
    let node = node(&bitcoind, &front, false);
    for _ in 0..3 {
        assert_eq!(node.hashes(0, 100).unwrap().len(), 100);
        batches(&front);
        fails.store(false, Ordering::Relaxed);
        assert_eq!(node.hashes(0, 100).unwrap().len(), 100);
        assert_eq!(batches(&front), [100]);
        fails.store(true, Ordering::Relaxed);
    }
}

/// A node whose `getblock` takes a boolean, as in Core 0.14.
fn boolean(code: i64, said: &'static str) -> impl Fn(&str, &str) -> Reaction {
    move |_, body| {
        let question: Value = serde_json::from_str(body).unwrap_or_default();
        let asks = question["method"] == "getblock";
        match &question["params"][1] {
            Value::Bool(_) => Reaction::Pass,
            _ if asks => Reaction::Answer(500, {
                let error = json!({"code": code, "message": said});
                json!({"result": null, "error": error, "id": question["id"]}).to_string()
            }),
            _ => Reaction::Pass,
        }
    }
}

#[test]
fn getblock_with_a_boolean_is_learnt() {
    let mut bitcoind = Bitcoind::start();
    let mined: Vec<_> = bitcoind.mine(3).iter().map(ours).collect();
    for (code, said) in [
        (-1, "JSON value is not a boolean as expected"),
        (-3, "Expected type bool, got number"),
        (-32_602, "Invalid params"),
    ] {
        let front = Front::start(bitcoind.address(), boolean(code, said));
        let node = node(&bitcoind, &front, false);
        let asked = || {
            let asked = front.take_asked();
            asked
                .iter()
                .filter(|(_, body)| body.contains("\"getblock\""))
                .count()
        };
        node.block(&mined[0]).unwrap();
        assert_eq!(asked(), 2);
        node.block(&mined[1]).unwrap();
        assert_eq!(asked(), 1, "{said}");
        // What is not there is not there, in any dialect.
        let unknown = BlockHash::from_bytes([7; 32]);
        let error = node.block(&unknown).unwrap_err();
        assert!(matches!(error, NodeError::NoBlock { .. }), "{error}");
        // A node that was away may be another one.
        bitcoind.stop();
        assert!(node.tip().is_err());
        bitcoind.restart();
        asked();
        node.block(&mined[2]).unwrap();
        assert_eq!(asked(), 2);
    }
}

#[test]
fn a_block_that_is_refused_for_another_reason_is_no_dialect() {
    let bitcoind = Bitcoind::start();
    let hash = ours(&bitcoind.mine(1)[0]);
    let check = |code: i64, said: &'static str, kind: FailureKind, requests: usize| {
        let front = Front::start(bitcoind.address(), move |_, body| {
            let question: Value = serde_json::from_str(body).unwrap_or_default();
            if question["method"] == "getblock" {
                let error = json!({"code": code, "message": said});
                let answer = json!({"result": null, "error": error, "id": question["id"]});
                return Reaction::Answer(500, answer.to_string());
            }
            Reaction::Pass
        });
        let node = node(&bitcoind, &front, false);
        for _ in 0..2 {
            let error = node.block(&hash).unwrap_err();
            assert_eq!(error.kind(), kind, "{said}");
            let asked = front.take_asked();
            let asked = asked
                .iter()
                .filter(|(_, body)| body.contains("\"getblock\""));
            assert_eq!(asked.count(), requests, "{said}");
        }
    };
    check(-5, "Block not found", FailureKind::NoBlock, 1);
    check(
        -1,
        "Block not available (pruned data)",
        FailureKind::Pruned,
        1,
    );
    check(-28, "Loading block index…", FailureKind::Starting, 1);
    check(-32_601, "Method not found", FailureKind::Refused, 1);
    // Both forms are tried, and the first refusal is told.
    check(-1, "Block not found on disk", FailureKind::Refused, 2);
}

#[test]
fn without_getblockheader_headers_come_with_their_blocks() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(12);
    let expected: Vec<_> = hashes(&bitcoind);
    let refusals: [fn(&Value) -> Value; 3] = [
        |_| json!({"result": null, "error": {"code": -32_601, "message": "Method not found"}}),
        |_| json!({"result": null, "error": {"code": -1, "message": "getblockheader HASH"}}),
        |_| json!({"result": {"hash": "00"}, "error": null}),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let front = Front::start(bitcoind.address(), move |_, body| {
            let answer = |question: &Value| {
                let mut answer = refusal(question);
                answer["id"] = question["id"].clone();
                answer
            };
            match serde_json::from_str::<Value>(body).unwrap_or_default() {
                _ if !body.contains("getblockheader") => Reaction::Pass,
                Value::Array(questions) => {
                    let answers: Vec<_> = questions.iter().map(answer).collect();
                    Reaction::Answer(200, json!(answers).to_string())
                }
                question => Reaction::Answer(200, answer(&question).to_string()),
            }
        });
        let node = node(&bitcoind, &front, false);
        let headers = node.headers(0, 100).unwrap();
        let found: Vec<_> = headers
            .iter()
            .map(|header| {
                let header: Header = deserialize(header).unwrap();
                ours(&header.block_hash())
            })
            .collect();
        assert_eq!(found, expected, "refusal {number}");
    }
}

#[test]
fn where_getblockheader_is_forbidden_headers_come_with_their_blocks() {
    let bitcoind = Bitcoind::start();
    bitcoind.mine(3);
    for status in [403, 404, 405, 501] {
        let front = Front::start(bitcoind.address(), move |_, body| {
            if body.contains("getblockheader") {
                return Reaction::Answer(status, "no".to_owned());
            }
            Reaction::Pass
        });
        let node = node(&bitcoind, &front, false);
        assert_eq!(node.headers(0, 100).unwrap().len(), 4, "{status}");
    }
}

#[test]
fn a_rest_path_without_a_whole_answer_is_asked_by_rpc() {
    let bitcoind = Bitcoind::start();
    let mined: Vec<_> = bitcoind.mine(12).iter().map(ours).collect();
    let page = format!("<html>{}</html>", "not here ".repeat(1_000));
    let reactions: [fn(&str) -> Reaction; 3] = [
        |_| Reaction::Close,
        |page| Reaction::Answer(404, page.to_owned()),
        |page| Reaction::Answer(200, page.to_owned()),
    ];
    for reaction in reactions {
        let page = page.clone();
        let front = Front::start(bitcoind.address(), move |line, _| {
            if line.contains("/rest/") {
                return reaction(&page);
            }
            Reaction::Pass
        });
        let node = node(&bitcoind, &front, true);
        let use_all = || {
            for _ in 0..20 {
                assert_eq!(node.hash_at(3).unwrap(), Some(mined[2]));
                assert_eq!(node.hashes(1, 30).unwrap(), mined);
                node.block(&mined[5]).unwrap();
            }
        };
        use_all();
        use_all();
        front.take_asked();
        use_all();
        let asked = front.take_asked();
        assert!(asked.iter().all(|(line, _)| !line.contains("/rest/")));
    }
}

#[test]
fn answers_are_taken_as_they_come() {
    let bitcoind = Bitcoind::start();
    let mined: Vec<_> = bitcoind.mine(12).iter().map(ours).collect();
    let changes: [fn(String) -> String; 4] = [
        // As text.
        |body| {
            let mut changed = String::new();
            for part in body.split_inclusive("\"id\":") {
                let digits = part.bytes().take_while(u8::is_ascii_digit).count();
                if digits > 0 {
                    let (id, rest) = part.split_at(digits);
                    changed.extend(["\"", id, "\"", rest]);
                } else {
                    changed.push_str(part);
                }
            }
            changed
        },
        |body| body.replace("\"error\":null,", ""),
        |body| {
            let body = body.replace("\"error\":null,", "");
            body.replace("{\"result\"", "{\"jsonrpc\":\"2.0\",\"result\"")
        },
        |body| format!("\r\n {body}"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let front = Front::start(bitcoind.address(), move |_, _| Reaction::Change(change));
        let node = node(&bitcoind, &front, false);
        assert_eq!(node.tip().unwrap().unwrap().height, 12, "change {number}");
        assert_eq!(node.hashes(1, 100).unwrap(), mined, "change {number}");
        node.block(&mined[3]).unwrap();
        let asked = batches(&front);
        assert!(asked.contains(&100), "change {number}: {asked:?}");
    }
}

#[test]
fn a_long_error_is_told_by_its_beginning() {
    let bitcoind = Bitcoind::start();
    let long = "x".repeat(4_000_000);
    for error in [
        json!({"code": -1, "message": long}),
        json!({"code": -28, "message": long}),
        json!({"code": -1, "message": [long]}),
        json!({"code": long}),
        json!(long),
        json!([long, long]),
    ] {
        let body = json!({"result": null, "error": error, "id": 0}).to_string();
        let answer = move |_: &str, _: &str| Reaction::Answer(200, body.clone());
        let front = Front::start(bitcoind.address(), answer);
        let told = text(&node(&bitcoind, &front, false).tip().unwrap_err());
        assert!(told.contains("xxx"), "{told}");
        assert!(told.len() < 2_000, "{} bytes", told.len());
    }
}

#[test]
fn a_rest_path_that_fails_is_left_alone_by_itself() {
    let mut bitcoind = Bitcoind::start();
    let mined: Vec<_> = bitcoind.mine(12).iter().map(ours).collect();
    let failures: [(u16, &str); 6] = [
        (404, ""),
        (404, "<html>not here</html>"),
        (403, "no"),
        (405, "no"),
        (500, "failed"),
        (200, "what is no answer"),
    ];
    for path in ["/rest/block/", "/rest/blockhashbyheight/", "/rest/headers/"] {
        for (status, body) in failures {
            let front = Front::start(bitcoind.address(), move |line, _| {
                if line.contains(path) {
                    return Reaction::Answer(status, body.to_owned());
                }
                Reaction::Pass
            });
            let node = node(&bitcoind, &front, true);
            let what = format!("{path} {status} {body}");
            let use_all = || {
                for _ in 0..9 {
                    assert_eq!(node.hash_at(3).unwrap(), Some(mined[2]), "{what}");
                    assert_eq!(node.hashes(1, 30).unwrap(), mined, "{what}");
                    node.block(&mined[5]).unwrap();
                }
            };
            use_all();
            front.take_asked();
            use_all();
            let asked = front.take_asked();
            for other in ["/rest/block/", "/rest/blockhashbyheight/", "/rest/headers/"] {
                let times = asked
                    .iter()
                    .filter(|(line, _)| line.contains(other))
                    .count();
                // The path to headers begins with a hash that another path gives.
                let needs = other == "/rest/headers/" && path == "/rest/blockhashbyheight/";
                assert_eq!(
                    times == 0,
                    other == path || needs,
                    "{what}: {other} {times}"
                );
            }
        }
    }
    // Forgotten when the node was out of reach.
    let front = Front::start(bitcoind.address(), |line, _| {
        if line.contains("/rest/block/") {
            return Reaction::Answer(404, String::new());
        }
        Reaction::Pass
    });
    let node = node(&bitcoind, &front, true);
    let tries = || {
        node.block(&mined[5]).unwrap();
        let asked = front.take_asked();
        asked
            .iter()
            .filter(|(line, _)| line.contains("/rest/block/"))
            .count()
    };
    assert_eq!([tries(), tries()], [1, 0]);
    bitcoind.stop();
    assert!(node.tip().is_err());
    bitcoind.restart();
    assert_eq!([tries(), tries()], [1, 0]);
}

/// An error and its causes.
pub(crate) fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! Real blocks through the example guests, from the command line, against an
//! independent recount.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use bitcoin::consensus::encode::deserialize;
use bitcoin::{Block, ScriptBuf};
use metashrew_testing::model::Recount;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Running, guest, metashrew, post, project, succeed};

/// The raw blocks of a file of frames packed with bzip2.
pub(crate) fn unpack(path: &Path) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    bzip2::read::BzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    let mut rest = bytes.as_slice();
    let mut blocks = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        let (block, tail) = tail.split_at(length);
        blocks.push(block.to_vec());
        rest = tail;
    }
    blocks
}

/// A server that has indexed all blocks at a path with an example guest.
fn serve(directory: &TempDir, name: &str, blocks: &Path, flags: &[&str]) -> Running {
    let mut running = Running::spawn(
        metashrew()
            .arg("start")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--indexer")
            .arg(guest(name))
            .arg("--blocks")
            .arg(blocks)
            .arg("--db")
            .arg(directory.path().join(name))
            .args(flags),
    );
    running.wait_for("all blocks are indexed");
    running
}

/// What a view answers to each of many questions, in batches.
fn ask_all(running: &Running, view: &str, height: u32, questions: &[Value]) -> Vec<String> {
    let mut answers = Vec::new();
    for questions in questions.chunks(500) {
        let batch: Vec<_> = questions
            .iter()
            .enumerate()
            .map(|(id, question)| {
                let input = hex::encode(question.to_string());
                json!({
                    "jsonrpc": "2.0", "id": id, "method": "metashrew_view",
                    "params": [view, input, height],
                })
            })
            .collect();
        let (_, body) = post(running.address, &Value::from(batch).to_string()).unwrap();
        let batch: Vec<Value> = serde_json::from_str(&body).unwrap();
        answers.extend(batch.iter().map(|answer| {
            let answer = answer["result"]
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"));
            String::from_utf8(hex::decode(answer).unwrap()).unwrap()
        }));
    }
    answers
}

/// Every script's balance at a height, compared with the recount.
fn check_balances(running: &Running, recount: &Recount, height: u32) {
    // The guest passes over what nobody can ever spend.
    let scripts: Vec<_> = recount
        .scripts()
        .filter(|script| !script.is_op_return())
        .collect();
    let questions: Vec<_> = scripts
        .iter()
        .map(|script| json!({ "script": hex::encode(script.as_bytes()) }))
        .collect();
    let answers = ask_all(running, "balance", height, &questions);
    assert_eq!(answers.len(), scripts.len());
    for (script, answer) in scripts.iter().zip(answers) {
        let expect = recount.account(script, height).json();
        assert_eq!(answer, expect, "script {script} at {height}");
    }
}

#[test]
fn balances_of_the_first_255_blocks_at_three_heights() {
    let packed = project("examples/mainnet-blocks-1-255.dat.bz2");
    let recount = Recount::of(1, unpack(&packed));
    let directory = TempDir::new().unwrap();
    let running = serve(&directory, "addresses", &packed, &[]);
    assert_eq!(running.result("metashrew_height", &json!([])), "255");
    for height in [100, 181, 255] {
        check_balances(&running, &recount, height);
    }
    drop(running);

    // The same without a server. The coins of block 9 went to the first payment
    // ever made, in block 170.
    let owner = "0411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5c\
                 b2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3";
    let question = json!({ "script": format!("41{owner}ac") }).to_string();
    for (height, balance) in [
        (8, 0),
        (9, 5_000_000_000_u64),
        (169, 5_000_000_000),
        (170, 4_000_000_000),
    ] {
        let answer = succeed(
            metashrew()
                .args([
                    "view",
                    "balance",
                    &question,
                    "--height",
                    &height.to_string(),
                ])
                .arg("--db")
                .arg(directory.path().join("addresses"))
                .arg("--indexer")
                .arg(guest("addresses")),
        );
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["balance"], balance, "{height}");
        assert_eq!(answer["height"], height);
    }
}

#[test]
fn balances_of_full_blocks_in_the_middle_of_the_chain() {
    for height in [772_904, 840_243] {
        let path = project(&format!("examples/block-{height}.bin"));
        let recount = Recount::of(height, [std::fs::read(&path).unwrap()]);
        let directory = TempDir::new().unwrap();
        let running = serve(&directory, "addresses", &path, &[]);
        check_balances(&running, &recount, height);
    }
}

#[test]
fn facts_of_the_first_255_blocks() {
    let packed = project("examples/mainnet-blocks-1-255.dat.bz2");
    let recount = Recount::of(1, unpack(&packed));
    let directory = TempDir::new().unwrap();
    let running = serve(&directory, "blocks", &packed, &[]);
    let questions: Vec<_> = (1..=255)
        .map(|height| json!({ "height": height }))
        .collect();
    let answers = ask_all(&running, "block", 255, &questions);
    for (height, answer) in (1..).zip(answers) {
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let facts = recount.block(height).unwrap();
        assert_eq!(answer["height"], height);
        assert_eq!(answer["hash"], facts.hash.to_string());
        assert_eq!(answer["time"], facts.time);
        assert_eq!(answer["txs"], facts.txs);
        assert_eq!(answer["size"], facts.size);
        assert_eq!(answer["fees"], json!(facts.fees));
    }
}

#[test]
fn a_guest_in_the_assemblyscript_manner() {
    let packed = project("examples/mainnet-blocks-1-255.dat.bz2");
    let blocks = unpack(&packed);
    let recount = Recount::of(1, &blocks);
    let directory = TempDir::new().unwrap();
    let running = serve(&directory, "tally", &packed, &[]);
    for height in [1, 170, 255_u32] {
        let seen = &blocks[..height as usize];
        let bytes: usize = seen.iter().map(Vec::len).sum();
        let answers = ask_all(&running, "totals", height, &[json!({})]);
        let expect = format!(r#"{{"height":{height},"blocks":{height},"bytes":{bytes}}}"#);
        assert_eq!(answers, [expect]);
        let facts = recount.block(height).unwrap();
        let answers = ask_all(&running, "block", 255, &[json!({ "height": height })]);
        let answer: Value = serde_json::from_str(&answers[0]).unwrap();
        assert_eq!(
            answer,
            json!({ "height": height, "hash": facts.hash.to_string(), "size": facts.size })
        );
    }
    // What is not there ends in AssemblyScript's `abort`.
    let input = hex::encode(json!({ "height": 256 }).to_string());
    let error = &running.call("metashrew_view", &json!(["block", input]))["error"];
    assert_eq!(error["code"], -32004);
    assert_eq!(error["data"]["kind"], "abort");
    assert_eq!(error["data"]["message"], "no block at height 256");
}

/// How many outputs had a script, and of how many satoshi.
type Payments = BTreeMap<ScriptBuf, (u64, u64)>;

/// What `payments` answers, counted by the crate `bitcoin`.
fn check_payments(running: &Running, height: u32, blocks: &[Vec<u8>]) {
    let mut paid = Payments::new();
    for block in blocks {
        let block: Block = deserialize(block).unwrap();
        for output in block.txdata.into_iter().flat_map(|tx| tx.output) {
            let (outputs, value) = paid.entry(output.script_pubkey).or_default();
            *outputs += 1;
            *value += output.value.to_sat();
        }
    }
    let questions: Vec<_> = paid
        .keys()
        .map(|script| json!({ "script": hex::encode(script.as_bytes()) }))
        .collect();
    let answers = ask_all(running, "received", height, &questions);
    for ((script, (outputs, value)), answer) in paid.iter().zip(answers) {
        let expect = format!(r#"{{"height":{height},"outputs":{outputs},"value":{value}}}"#);
        assert_eq!(answer, expect, "script {script} at {height}");
    }
    let sum = |is_counted: &dyn Fn(&ScriptBuf) -> bool| {
        let counted = paid.iter().filter(|(script, _)| is_counted(script));
        counted.fold((0, 0), |(outputs, value), (_, paid)| {
            (outputs + paid.0, value + paid.1)
        })
    };
    let (outputs, value) = sum(&|_| true);
    let (data, lost) = sum(&|script| script.is_op_return() || script.len() > 10_000);
    assert_eq!(
        ask_all(running, "totals", height, &[json!({})]),
        [format!(
            r#"{{"height":{height},"outputs":{outputs},"value":{value},"unspendable":{{"outputs":{data},"value":{lost}}}}}"#
        )]
    );
}

#[test]
fn a_guest_in_c() {
    let packed = project("examples/mainnet-blocks-1-255.dat.bz2");
    let blocks = unpack(&packed);
    let directory = TempDir::new().unwrap();
    let running = serve(&directory, "payments", &packed, &[]);
    for height in [100, 181, 255_u32] {
        check_payments(&running, height, &blocks[..height as usize]);
    }
    for (question, message) in [
        (r#"{"scrpt":"51"}"#, "bad input: unknown field `scrpt`"),
        (r#"{"script":"5"}"#, "bad input: `script` is no hex"),
        (r#"{"script":51}"#, "bad input: `script` is no text"),
    ] {
        let input = hex::encode(question);
        let error = &running.call("metashrew_view", &json!(["received", input]))["error"];
        assert_eq!(error["code"], -32015, "{error}");
        assert_eq!(error["data"]["message"], message);
    }
    for height in [772_904, 840_243] {
        let path = project(&format!("examples/block-{height}.bin"));
        let directory = TempDir::new().unwrap();
        let running = serve(&directory, "payments", &path, &[]);
        check_payments(&running, height, &[std::fs::read(&path).unwrap()]);
    }
}

#[test]
fn a_guest_that_remembers() {
    let packed = project("examples/mainnet-blocks-1-255.dat.bz2");
    let directory = TempDir::new().unwrap();
    let running = serve(&directory, "session", &packed, &[]);
    let visit = || {
        let answers = ask_all(&running, "visit", 255, &[json!({ "session": "a" })]);
        serde_json::from_str::<Value>(&answers[0]).unwrap()["visits"].clone()
    };
    assert_eq!([visit(), visit(), visit()], [1, 2, 3]);
}

#[test]
fn what_a_guest_logs_is_shown_on_request() {
    let shows = |flags: &[&str]| {
        let directory = TempDir::new().unwrap();
        let output = metashrew()
            .args(["start", "--listen", "127.0.0.1:0", "--exit-at", "2"])
            .arg("--indexer")
            .arg(guest("tally"))
            .arg("--blocks")
            .arg(project("examples/mainnet-blocks-1-255.dat.bz2"))
            .arg("--db")
            .arg(directory.path())
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("tallied block 2")
    };
    assert!(!shows(&[]));
    assert!(shows(&["--log", "metashrew::guest=info"]));
}

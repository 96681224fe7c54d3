//! The example guests `addresses` and `blocks`, as built, over generated and real
//! blocks: what they answer is what an independent recount says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitcoin::Script;
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::{BlockId, Height, Store};
use metashrew_sync::{BlockFiles, IndexEnd, Indexer, Node, Stop};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::model::Recount;

use crate::support::{FakeNode, options, runtime};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn guest(name: &str, store: &Store) -> MetashrewRuntime {
    runtime(
        &std::fs::read(project("guests/wasm").join(name)).unwrap(),
        store,
    )
}

fn index(runtime: &MetashrewRuntime, node: Arc<dyn Node>) {
    let end = Indexer::new(runtime.clone(), node, options())
        .run(&Stop::new())
        .unwrap();
    assert_eq!(end, IndexEnd::Tip);
}

fn ask(runtime: &MetashrewRuntime, view: &str, input: &str, height: Height) -> String {
    let answer = runtime
        .view_sync(view, input.as_bytes(), &BlockId::Height(height))
        .unwrap();
    String::from_utf8(answer.bytes.to_vec()).unwrap()
}

/// Compares the balances of every `step`th script, and their unspent outputs.
fn assert_accounts(
    addresses: &MetashrewRuntime,
    recount: &Recount,
    heights: [Height; 3],
    step: usize,
) {
    let scripts = recount.scripts().filter(|script| !script.is_op_return());
    for script in scripts.step_by(step) {
        let input = format!(r#"{{"script":"{script:x}"}}"#);
        for height in heights {
            let expected = recount.account(script, height);
            assert_eq!(
                ask(addresses, "balance", &input, height),
                expected.json(),
                "{input} at {height}"
            );
            assert_unspent(addresses, recount, script, height);
            assert_history(addresses, recount, script, height);
        }
    }
}

fn assert_unspent(
    addresses: &MetashrewRuntime,
    recount: &Recount,
    script: &Script,
    height: Height,
) {
    let input = format!(r#"{{"script":"{script:x}","limit":1000}}"#);
    let answer = ask(addresses, "utxos", &input, height);
    let expected = recount.unspent(script, height);
    assert_eq!(
        answer.matches(r#""txid""#).count(),
        expected.len().min(1_000),
        "{input} at {height}: {answer}"
    );
    for unspent in expected
        .iter()
        .take(if expected.len() > 1_000 { 0 } else { 1_000 })
    {
        let (txid, vout) = (unspent.outpoint.txid, unspent.outpoint.vout);
        let output = format!(
            r#""txid":"{txid}","vout":{vout},"value":{},"height":{}"#,
            unspent.satoshi, unspent.height
        );
        assert!(answer.contains(&output), "{output} is not in {answer}");
    }
}

fn assert_history(
    addresses: &MetashrewRuntime,
    recount: &Recount,
    script: &Script,
    height: Height,
) {
    let input = format!(r#"{{"script":"{script:x}","limit":1000}}"#);
    let answer = ask(addresses, "history", &input, height);
    let expected = recount.history(script, height);
    let total = format!(r#""total":{}"#, expected.len());
    assert!(answer.contains(&total), "{total} is not in {answer}");
    let oldest = expected.iter().take(1_000);
    let mut rest = answer.as_str();
    for touch in oldest {
        let change = touch.received.cast_signed() - touch.spent.cast_signed();
        let (txid, height, index) = (touch.txid, touch.height, touch.index);
        let entry = format!(
            r#"{{"txid":"{txid}","height":{height},"position":{index},"change":{change}}}"#
        );
        let (_, after) = rest
            .split_once(&entry)
            .unwrap_or_else(|| panic!("{entry} is not next in {answer}"));
        rest = after;
    }
}

fn assert_facts(blocks: &MetashrewRuntime, recount: &Recount, height: Height, tip: Height) {
    let facts = recount.block(height).unwrap();
    let answer = ask(blocks, "block", &format!(r#"{{"height":{height}}}"#), tip);
    let fees = facts
        .fees
        .map_or("null".to_owned(), |fees| fees.to_string());
    for part in [
        format!(r#""hash":"{}""#, facts.hash),
        format!(r#""time":{}"#, facts.time),
        format!(r#""size":{}"#, facts.size),
        format!(r#""fees":{fees}"#),
    ] {
        assert!(answer.contains(&part), "{part} is not in {answer}");
    }
}

#[test]
fn generated_chains_are_recounted_through_a_reorganisation() {
    let mut chain = Chain::new(31).start(800_000).shape(Shape::Transactions(60));
    chain.mine(30);
    let mut branch = chain.fork(800_020, 32).remine(700);
    branch.mine(15);
    let node = FakeNode::new(&chain);
    // From the middle, so that some inputs are unknown.
    node.forget_below(800_004);
    let (addresses, blocks) = (
        guest("addresses.wasm", &Store::in_memory()),
        guest("blocks.wasm", &Store::in_memory()),
    );
    for chain in [&chain, &branch] {
        node.switch(chain);
        node.forget_below(800_004);
        index(&addresses, Arc::clone(&node) as Arc<dyn Node>);
        index(&blocks, Arc::clone(&node) as Arc<dyn Node>);
        let recount = Recount::of(
            800_004,
            chain
                .blocks()
                .iter()
                .skip(4)
                .map(|mined| mined.bytes.as_slice()),
        );
        let tip = chain.tip().unwrap().height;
        assert_accounts(&addresses, &recount, [800_004, 800_019, tip], 7);
        for height in 800_004..=tip {
            assert_facts(&blocks, &recount, height, tip);
        }
    }
}

#[test]
fn real_blocks_are_recounted() {
    for (name, heights, step) in [
        ("mainnet-blocks-1-255.dat.bz2", [9, 170, 255], 1),
        ("block-772904.bin", [772_904; 3], 101),
        ("block-840243.bin", [840_243; 3], 101),
    ] {
        let files = Arc::new(BlockFiles::open(&project("examples").join(name), None).unwrap());
        let (first, last) = (files.first_height(), files.last_height());
        let raw = (first..=last).map(|height| {
            files
                .block(&files.hash_at(height).unwrap().unwrap())
                .unwrap()
        });
        let recount = Recount::of(first, raw);
        let (addresses, blocks) = (
            guest("addresses.wasm", &Store::in_memory()),
            guest("blocks.wasm", &Store::in_memory()),
        );
        index(&addresses, Arc::clone(&files) as Arc<dyn Node>);
        index(&blocks, files);
        assert_accounts(&addresses, &recount, heights, step);
        for height in heights {
            assert_facts(&blocks, &recount, height, last);
        }
    }
}

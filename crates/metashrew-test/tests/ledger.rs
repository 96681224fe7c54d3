//! The kit over a real guest, natively and as the module that is built of it.
#![allow(
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test; views are functions that may fail"
)]

use metashrew_core::{get, set};
use metashrew_test::{Chain, Engine, Indexer, Inscription, Lock, assert_snapshot};
use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;

#[allow(dead_code, unreachable_pub, reason = "it is the guest's own file")]
#[path = "../../../guests/ledger/src/state.rs"]
mod state;

fn wasm(name: &str) -> String {
    format!(
        "{}/../../guests/wasm/{name}.wasm",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn sum(_height: u32, accounts: &[u8]) -> Result<Vec<u8>, Infallible> {
    let sum = |sum: u64, number: &u8| sum.wrapping_add(state::balance(number % state::ACCOUNTS));
    let sum = accounts.iter().fold(0, sum);
    Ok([&**state::read(state::TIP.to_vec()), &sum.to_le_bytes()].concat())
}

fn chain() -> Chain {
    let mut chain = Chain::starting_at(100);
    chain.mine();
    chain.pay(Lock::p2tr("alice"), 1_000);
    chain.inscribe(Lock::p2tr("bob"), Inscription::text("hello"));
    chain.mine_blocks(4);
    chain
}

#[test]
fn a_guest_answers_natively_as_its_module_does_through_reorgs() {
    let mut chain = chain();
    let (mut native, mut engine) = (
        Indexer::new(state::index),
        Engine::load(wasm("ledger")).unwrap(),
    );
    for depth in [0, 1, 3, 2] {
        chain.reorg(depth);
        chain.mine_blocks(depth + 1);
        native.follow(&chain);
        engine.follow(&chain);
        let tip = chain.tip().unwrap().height;
        assert_eq!(native.tip(), Some(tip));
        let questions: Vec<_> = (100..=tip)
            .flat_map(|height| [(height, vec![1, 2]), (height, vec![63])])
            .collect();
        for (height, input) in &questions {
            assert_eq!(
                native.view(*height, input, sum),
                engine.view(*height, "sum", input)
            );
        }
        for height in 100..=tip {
            assert_eq!(native.state(height), engine.state(height));
            assert_eq!(
                native.at(height, || state::balance(7)),
                state_balance(&engine, height, 7)
            );
        }
        let answers = native.check(questions.clone(), sum);
        assert_eq!(answers, engine.check("sum", questions));
    }
}

fn state_balance(engine: &Engine, height: u32, number: u8) -> u64 {
    let value = engine.state(height)[&state::account(number)].clone();
    u64::from_le_bytes(value.try_into().unwrap())
}

#[test]
fn a_state_is_compared_with_a_file() {
    let mut indexer = Indexer::new(state::index);
    indexer.follow(&chain());
    assert_snapshot("tests/snapshots/ledger.txt", &indexer.snapshot(104));
}

#[test]
#[should_panic(expected = "it is no longer the same")]
fn another_state_than_the_file_is_told() {
    let mut indexer = Indexer::new(state::index);
    indexer.follow(&chain());
    assert_snapshot("tests/snapshots/ledger.txt", &indexer.snapshot(103));
}

thread_local! {
    static ASKED: Cell<u8> = const { Cell::new(0) };
}

/// Answers from what earlier calls left.
fn forgetful(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
    ASKED.set(ASKED.get() + 1);
    Ok(vec![ASKED.get()])
}

#[test]
#[should_panic(expected = "a guest that remembers answers otherwise")]
fn a_view_that_answers_from_memory_is_found_natively() {
    let mut indexer = Indexer::new(state::index);
    indexer.follow(&chain());
    indexer.check([(104, b"")], forgetful);
}

#[test]
#[should_panic(expected = "an instance that remembers answers otherwise")]
fn a_view_that_answers_from_memory_is_found_in_the_engine() {
    let mut engine = Engine::load(wasm("ledger")).unwrap();
    engine.follow(&chain());
    engine.check("sum", [(104, [])]);
    engine.check("stats", [(104, [])]);
}

fn picky(height: u32, block: &[u8]) -> Result<(), String> {
    set(
        Arc::new(b"n".to_vec()),
        Arc::new(vec![1; block.len() % 7 + 1]),
    );
    if height == 102 {
        return Err("not this one".to_owned());
    }
    Ok(())
}

fn fails(_height: u32, input: &[u8]) -> Result<Vec<u8>, String> {
    match input {
        b"panic" => panic!("a bug"),
        b"error" => Err("bad input".to_owned()),
        key => Ok(get(Arc::new(key.to_vec())).to_vec()),
    }
}

#[test]
fn what_fails_is_a_value_and_leaves_no_trace() {
    let mut indexer = Indexer::new(picky);
    let error = indexer.try_follow(&chain()).unwrap_err();
    assert!(error.message.contains("not this one"), "{error}");
    assert_eq!(indexer.tip(), Some(101));
    assert_eq!(indexer.state(102), indexer.state(101));
    let ask = |input: &[u8]| indexer.try_view(101, input, fails);
    assert!(ask(b"panic").unwrap_err().message.contains("a bug"));
    assert!(ask(b"error").unwrap_err().message.contains("bad input"));
    assert_eq!(ask(b"n").unwrap(), indexer.state(101)[&b"n"[..]]);
    let answers = indexer.check([(101, &b"error"[..]), (101, b"n"), (100, b"n")], fails);
    assert!(answers[0].is_err() && answers[1].is_ok() && answers[2].is_ok());
    let error = Engine::new(b"no module").unwrap_err();
    assert!(
        error.message.contains("not a WebAssembly module"),
        "{error}"
    );
    let mut engine = Engine::load(wasm("ledger")).unwrap();
    assert!(engine.try_view(1, "sum", b"").is_err());
    engine.follow(&chain());
    assert!(engine.try_view(104, "no_such_view", b"").is_err());
}

#[derive(Debug, thiserror::Error)]
#[error("no number")]
struct NoNumber(#[from] std::num::ParseIntError);

fn parsed(_height: u32, input: &[u8]) -> Result<Vec<u8>, NoNumber> {
    let number: u8 = String::from_utf8_lossy(input).parse()?;
    Ok(vec![number])
}

#[test]
fn an_error_is_told_with_its_sources_as_a_host_tells_it() {
    let indexer = Indexer::new(|_, _| Ok::<_, NoNumber>(()));
    assert_eq!(indexer.try_view(0, b"7", parsed), Ok(vec![7]));
    let text = "no number: invalid digit found in string";
    let failed = indexer.try_view(0, b"x", parsed).unwrap_err();
    assert_eq!(failed.to_string(), text);
    let checked = indexer.check([(0, b"x")], parsed);
    assert_eq!(checked[0].clone().unwrap_err().to_string(), text);
}

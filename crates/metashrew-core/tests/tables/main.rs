//! Tables against the standard library's collections, over random operations, blocks and views.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps,
    reason = "a test that cannot go on fails; the SDK takes functions that may fail"
)]

mod example;
mod model;
mod ops;
mod run;

use metashrew_core::test_utils;
use model::Model;
use proptest::prelude::*;
use std::convert::Infallible;

/// Where a block leaves what its operations answered.
const ANSWERS: &[u8] = b"answers";

fn index(_height: u32, block: &[u8]) -> Result<(), Infallible> {
    let answers = run::run(block).into_bytes();
    metashrew_core::set(ANSWERS.to_vec().into(), answers.into());
    Ok(())
}

fn view(_height: u32, script: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(run::run(script).into_bytes())
}

fn answers(height: u32) -> String {
    // No answer at all is an empty value, which is none.
    let answers = test_utils::state(height).remove(ANSWERS);
    String::from_utf8(answers.unwrap_or_default()).unwrap()
}

/// Runs scripts as blocks, and one at each height as a view, where it leaves no trace.
fn check(blocks: &[Vec<u8>], question: &[u8]) {
    test_utils::reset();
    let mut model = Model::default();
    let mut at = Vec::new();
    for (height, block) in (0..).zip(blocks) {
        test_utils::index_block(height, block, index);
        assert_eq!(answers(height), model.run(block), "block {height}");
        at.push((height, model.clone()));
    }
    for (height, mut model) in at.into_iter().rev() {
        let answer = test_utils::view(height, question, view);
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer, model.run(question), "view at {height}");
    }
}

proptest! {
    #[test]
    fn tables_answer_as_the_collections_do(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..6),
        question in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        check(&blocks, &question);
    }
}

/// Every key that the operations write is one that the layouts read, and what was removed is
/// absent.
#[test]
fn keys_are_those_of_the_layouts() {
    test_utils::reset();
    let block: Vec<u8> = (0..4000u32)
        .map(|at| ((at * at * 31) >> 3).to_le_bytes()[0])
        .collect();
    test_utils::index_block(0, &block, index);
    let tables = run::tables();
    let mut seen: Vec<String> = Vec::new();
    for key in test_utils::state(0)
        .into_keys()
        .filter(|key| key != ANSWERS)
    {
        let decoded = metashrew_abi::layout::decode(&tables, &key);
        let decoded = decoded.unwrap_or_else(|| panic!("{} is of no table", key.escape_ascii()));
        seen.push(decoded.table.name.clone());
    }
    seen.dedup();
    for table in [
        "balances",
        "holders",
        "log",
        "queue",
        "tokens",
        "tokens.owner",
        "tokens.symbol",
    ] {
        assert!(
            seen.iter().any(|name| name == table),
            "{table} is not in {seen:?}"
        );
    }
}

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

use metashrew_core::storage::{
    Encoding, EncodingError, IndexedMap, List, MultiIndex, StorageError,
};
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

/// Numbers, of which one can be read and not written.
struct Picky;

impl Encoding<u8> for Picky {
    fn encode(value: &u8, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
        bytes.push(*value);
        if *value == 9 {
            return Err(EncodingError::new("no nine is written"));
        }
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<u8, EncodingError> {
        Ok(bytes[0])
    }

    fn type_name() -> String {
        "picky".to_owned()
    }
}

#[test]
fn a_list_is_as_before_where_its_last_element_cannot_be_moved() {
    const LIST: List<u8, Picky> = List::new("list");
    test_utils::reset();
    LIST.push(&1).unwrap();
    LIST.push(&2).unwrap();
    metashrew_core::set(LIST.stored_key(1).into(), vec![9].into());
    assert!(LIST.swap_remove(0).is_err());
    let rows: Result<Vec<_>, _> = LIST.rows().iter().collect();
    assert_eq!(rows.unwrap(), [(0, 1), (1, 9)]);
    assert_eq!((LIST.len().unwrap(), LIST.swap_remove(1)), (2, Ok(9)));
    assert_eq!((LIST.len().unwrap(), LIST.swap_remove(0)), (1, Ok(1)));
    assert!(LIST.is_empty().unwrap());
}

#[test]
fn no_index_keeps_what_an_update_wrote_meanwhile() {
    type ByParity = (MultiIndex<bool, u32, u64>,);
    const NUMBERS: IndexedMap<u32, u64, ByParity> = IndexedMap::new(
        "numbers",
        (MultiIndex::new("is_odd", |_, number| number % 2 == 1),),
    );
    test_utils::reset();
    let updated = NUMBERS.update(1, |_| {
        NUMBERS.set(1, &8)?;
        Ok::<_, StorageError>(Some(9))
    });
    updated.unwrap();
    let entries: Result<Vec<_>, _> = NUMBERS.multi(|by| &by.0).keys().collect();
    assert_eq!(entries.unwrap(), [(true, 1)]);
}

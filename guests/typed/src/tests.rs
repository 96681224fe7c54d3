//! The exports, natively.

use crate::views;
use metashrew_core::test_utils::{index_export, try_view_export, view_export};
use prost::Message;

fn index() {
    let block = std::fs::read("../example/block-772904.bin").unwrap();
    index_export(7, &block, || crate::__start_index());
}

#[test]
fn views_answer_in_their_forms() {
    index();
    let counts = view_export(7, br#"{"from":6,"count":2}"#, || views::__view_counts());
    assert_eq!(counts, br#"{"height":7,"transactions":[0,874]}"#);
    assert_eq!(view_export(7, b"", || views::__view_text()), b"874");
    assert_eq!(view_export(7, b"x", || views::__view_echo()), b"x");
    let question = views::Question { height: 7 }.encode_to_vec();
    let answer = view_export(7, &question, || views::__view_message());
    assert_eq!(views::Answer::decode(&*answer).unwrap().transactions, 874);
}

#[test]
fn errors_tell_their_sources() {
    index();
    let error = try_view_export(7, br#"{"from":8}"#, || views::__view_counts());
    assert_eq!(error.unwrap_err(), "there is no block 8: the newest is 7");
    let error = try_view_export(7, b"{", || views::__view_counts());
    assert!(error.unwrap_err().starts_with("bad input: EOF"));
}

//! A guest as its host sees it: exports called natively, answers read through
//! their pointers.
#![allow(unsafe_code, reason = "imported functions are unsafe to call")]

use bitcoin::consensus::serialize;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, Network};
use metashrew_abi::proto::IndexerMetadata;
use metashrew_core::index_pointer::IndexPointer;
use metashrew_core::stdio::{Write, stdout};
use metashrew_core::{entry, imports, test_utils};
use metashrew_support::block::AuxpowBlock;
use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
use metashrew_support::index_pointer::KeyValuePointer;
use prost::Message;
use std::panic::catch_unwind;
use std::sync::Arc;

#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(uint32, tag = "1")]
    height: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(uint64, tag = "1")]
    transactions: u64,
}

struct Counter;

metashrew_core::declare_indexer! {
    impl Counter {
        fn index_block(height: u32, block: Block) {
            IndexPointer::from_keyword("/txs/")
                .select_value(height)
                .set_value(block.txdata.len() as u64);
        }

        #[view]
        fn count(question: Question) -> Result<Answer, String> {
            let count = IndexPointer::from_keyword("/txs/").select_value(question.height);
            match count.get_value() {
                0 => Err(format!("no block {}", question.height)),
                transactions => Ok(Answer { transactions }),
            }
        }

        #[view(height_independent)]
        fn twice(question: Question) -> Result<Answer, String> {
            Counter::count(question).map(|answer| Answer { transactions: 2 * answer.transactions })
        }
    }
}

// A promise beside the views: a symbol in wasm, nothing natively.
metashrew_core::memory!(by_height);
metashrew_core::memory!(answers);
metashrew_core::memory!(answers: count, twice);
metashrew_core::height_independent!();
metashrew_core::height_independent!(count);

/// Indexes the genesis block at height 3 as the declared `_start` does.
fn index_genesis() {
    test_utils::reset();
    let block = serialize(&genesis_block(Network::Bitcoin));
    test_utils::index_block(3, &block, |height, bytes| {
        Counter::index_block(height, bitcoin::consensus::deserialize(bytes)?);
        Ok::<_, bitcoin::consensus::encode::Error>(())
    });
}

#[test]
fn declared_views_speak_protobuf() {
    index_genesis();
    let question = Question { height: 3 }.encode_to_vec();
    for (view, expect) in [(Counter::count as fn(_) -> _, 1), (Counter::twice, 2)] {
        let answer = test_utils::view_export(3, &question, || entry::message_view(view));
        assert_eq!(
            Answer::decode(&*answer),
            Ok(Answer {
                transactions: expect
            })
        );
    }
}

#[test]
fn a_declared_view_that_fails_says_why_and_answers_minus_one() {
    index_genesis();
    test_utils::take_log();
    let call = |input: Vec<u8>| {
        imports::__set_input([3u32.to_le_bytes().to_vec(), input].concat());
        entry::message_view(Counter::count)
    };
    assert_eq!(call(Question { height: 4 }.encode_to_vec()), -1);
    assert_eq!(call(vec![0xff]), -1);
    let log = test_utils::take_log();
    assert_eq!(log[0], "the view failed: no block 4");
    assert!(
        log[1].starts_with("the request is malformed: "),
        "{}",
        log[1]
    );
}

#[test]
fn a_declared_view_tells_its_error_to_a_host_that_announced_the_call() {
    index_genesis();
    test_utils::take_log();
    let call = |input: &[u8]| {
        let export = || entry::message_view(Counter::count);
        test_utils::try_view_export(3, input, export).unwrap_err()
    };
    assert_eq!(call(&Question { height: 4 }.encode_to_vec()), "no block 4");
    assert!(call(&[0xff]).starts_with("the request is malformed: "));
    assert!(test_utils::take_log().is_empty());
}

#[test]
fn an_error_is_told_once_and_does_not_outlive_its_call() {
    index_genesis();
    let fails = |_: u32, _: &[u8]| Err::<Vec<u8>, _>("no luck");
    assert_eq!(test_utils::try_view(3, b"", fails).unwrap_err(), "no luck");
    assert_eq!(entry::__metashrew_error(0), 0, "it was told");
    metashrew_core::__metashrew_begin(1);
    assert_eq!(entry::view(fails), 0);
    metashrew_core::__metashrew_begin(1);
    assert_eq!(entry::__metashrew_error(0), 0, "another call's");
}

#[test]
fn metadata_names_the_views() {
    let views = [
        ("count", "Question", "Answer"),
        ("tip", "nothing", "height"),
    ];
    let answer = test_utils::view_export(0, b"", || entry::describe("tally", "1.2.3", &views));
    let metadata = IndexerMetadata::decode(&*answer).unwrap();
    assert_eq!((&*metadata.name, &*metadata.version), ("tally", "1.2.3"));
    let described = metadata
        .view_functions
        .iter()
        .map(|view| (&*view.name, &*view.input_type, &*view.output_type));
    assert!(described.eq(views));
    assert!(
        metadata.rustc_version.starts_with("rustc 1."),
        "{}",
        metadata.rustc_version
    );
    assert!(metadata.compiler_version.starts_with("metashrew-core "));
}

#[test]
fn blocks_decode_as_the_types_a_guest_names() {
    use metashrew_core::macros::DecodeBlock;
    let block = genesis_block(Network::Bitcoin);
    let bytes = serialize(&block);
    assert_eq!(Block::decode_block(&bytes).unwrap(), block);
    assert_eq!(
        AuxpowBlock::decode_block(&bytes).unwrap().to_consensus(),
        block
    );
    assert_eq!(Vec::decode_block(&bytes).unwrap(), bytes);
    assert!(Block::decode_block(&bytes[1..]).is_err());
    assert!(AuxpowBlock::decode_block(&bytes[..90]).is_err());
}

#[test]
fn exported_bytes_start_at_their_length_word() {
    let answer = test_utils::view_export(0, b"", || {
        metashrew_core::export_bytes(b"answer".to_vec()) + 4
    });
    assert_eq!(answer, b"answer");
}

#[test]
fn printed_lines_are_one_message_each() {
    test_utils::reset();
    metashrew_core::println!("{} and {}", 1, "two");
    metashrew_core::print!("three{}", '!');
    metashrew_core::println!();
    write!(stdout(), "four").unwrap();
    metashrew_core::stdio::log(Arc::new(b"five".to_vec()));
    assert_eq!(
        test_utils::take_log(),
        ["1 and two\n", "three!", "\n", "four", "five"]
    );
}

fn panic_of(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = catch_unwind(run).expect_err("it should have panicked");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
    .expect("a panic here has a text")
}

#[test]
fn a_block_that_fails_or_is_not_flushed_panics_with_its_height() {
    test_utils::reset();
    let failed = panic_of(|| test_utils::index_block(8, b"", |_, _| Err("no such luck")));
    assert_eq!(failed, "block 8: no such luck");
    let unflushed = panic_of(|| test_utils::index_export(9, b"", || ()));
    assert_eq!(unflushed, "block 9: the guest did not flush");
    let view = panic_of(|| drop(test_utils::view(9, b"", |_, _| Err("nothing here"))));
    assert_eq!(view, "nothing here");
}

#[test]
fn a_pointer_the_host_cannot_follow_names_the_function() {
    let stray = panic_of(|| drop(test_utils::view_export(0, b"", || 3)));
    assert_eq!(stray, "the view answered 0x3, where no buffer is");
    let stray = panic_of(|| assert_eq!(imports::__get_len(-4), 0));
    assert_eq!(stray, "__get_len: no buffer at 0xfffffffc");
    let odd = panic_of(|| {
        let mut message = to_arraybuffer_layout([0x0a, 1, b'k']);
        imports::__flush(to_passback_ptr(&mut message));
    });
    assert!(odd.starts_with("__flush: the flush lists 1 items"), "{odd}");
}

#[test]
fn the_clock_runs() {
    assert!(imports::__now() > 1_700_000_000_000);
}

/// Tests of guests in the wild flush, clear, and begin anew.
#[test]
fn a_test_that_clears_finds_an_empty_world() {
    let set_and_flush = || {
        metashrew_core::set(Arc::new(b"k".to_vec()), Arc::new(b"v".to_vec()));
        metashrew_core::flush();
    };
    let value = || metashrew_core::get(Arc::new(b"k".to_vec())).to_vec();
    imports::__set_input(vec![7, 0, 0, 0]);
    set_and_flush();
    test_utils::restart();
    assert_eq!(value(), b"v");
    metashrew_core::clear();
    assert_eq!(value(), b"");
    assert_eq!(metashrew_core::input(), [7, 0, 0, 0]);
    // A guest that clears its own memory takes nothing from its host.
    test_utils::index_export(1, b"", set_and_flush);
    test_utils::index_export(2, b"", || {
        metashrew_core::clear();
        assert_eq!(value(), b"v");
        metashrew_core::flush();
    });
}

//! `#[main]` and `#[view]` as a guest uses them, called natively by their exports.
#![allow(
    clippy::items_after_statements,
    clippy::needless_lifetimes,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "guests are written in many ways"
)]

use metashrew_core::test_utils::{index_export, try_view_export, view_export};
use metashrew_core::{get, set, test_utils};
use metashrew_support::index_pointer::KeyValuePointer;
use std::panic::catch_unwind;
use std::sync::Arc;

/// The form of existing guests.
mod existing {
    use std::error::Error;

    #[metashrew_core::main]
    pub fn main(height: u32, block: &[u8]) -> Result<(), Box<dyn Error>> {
        if block == b"bad" {
            return Err("not a block".into());
        }
        super::set(super::key(height), super::Arc::new(block.to_vec()));
        Ok(())
    }

    pub mod deeper {
        use super::Error;

        #[metashrew_core::view]
        pub fn getblock(input: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
            let height = u32::from_le_bytes(input.try_into()?);
            Ok(crate::get(crate::key(height)).to_vec())
        }
    }
}

fn key(height: u32) -> Arc<Vec<u8>> {
    Arc::new(format!("/block/{height}").into_bytes())
}

mod blocks {
    use metashrew_support::raw::Block;

    #[metashrew_core::main]
    pub(super) fn raw(height: u32, block: &Block<'_>) {
        super::count(height, block.transactions().len());
    }

    #[metashrew_core::main]
    pub(super) fn vector(height: u32, block: Vec<u8>) -> Result<(), std::convert::Infallible> {
        super::count(height, block.len());
        Ok(())
    }

    #[metashrew_core::main]
    pub(super) fn decoded(height: u32, block: &bitcoin::Block) -> anyhow::Result<()> {
        anyhow::ensure!(!block.txdata.is_empty(), "no coinbase");
        super::count(height, block.txdata.len());
        Ok(())
    }
}

fn count(height: u32, count: usize) {
    metashrew_core::index_pointer::IndexPointer::from_keyword("/count/")
        .select_value(height)
        .set_value(u64::try_from(count).unwrap());
}

mod views {
    use super::{Arc, get, key};
    use std::convert::Infallible;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Question {
        #[prost(uint32, tag = "1")]
        pub(super) height: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Page {
        #[serde(default)]
        from: u32,
    }

    #[metashrew_core::view]
    pub(super) fn tip(height: u32) -> String {
        height.to_string()
    }

    #[metashrew_core::view]
    pub(super) fn nothing() {}

    #[metashrew_core::view]
    pub(super) fn at(height: u32, suffix: &str) -> Result<String, Infallible> {
        Ok(format!("{height}{suffix}"))
    }

    #[metashrew_core::view]
    pub(super) fn shared(_height: u32) -> Arc<Vec<u8>> {
        get(key(3))
    }

    #[metashrew_core::view]
    pub(super) fn tail(input: &[u8]) -> &[u8] {
        input.split_first().map_or(&[], |(_, tail)| tail)
    }

    #[metashrew_core::view]
    pub(super) fn named<'a>(_height: u32, input: &'a str) -> Result<&'a str, Infallible> {
        Ok(input.trim())
    }

    #[metashrew_core::view(json)]
    pub(super) fn page(height: u32, page: Page) -> Result<Vec<u32>, std::fmt::Error> {
        if page.from > height {
            return Err(std::fmt::Error);
        }
        Ok((page.from..=height).collect())
    }

    #[metashrew_core::view(prost)]
    pub(super) fn message(question: &Question) -> Question {
        let height = question.height + 1;
        Question { height }
    }

    #[metashrew_core::view(answer = json)]
    pub(super) fn words(text: String) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    // An alias of one's own, and an attribute among others.
    #[metashrew_core::view(json)]
    #[inline]
    pub(super) fn r#type() -> anyhow::Result<u8> {
        Ok(7)
    }
}

/// Names that begin as those do that the attributes make.
mod alike {
    use std::convert::Infallible;

    #[metashrew_core::main]
    pub(super) fn index(_height: u32, _block: &[u8]) {}

    #[metashrew_core::view]
    pub(super) fn a(input: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok([b"a", input].concat())
    }

    #[metashrew_core::view]
    pub(super) fn view_a(input: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok([b"view_a", input].concat())
    }

    #[metashrew_core::view]
    pub(super) fn view_view_a(input: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok([b"view_view_a", input].concat())
    }

    #[metashrew_core::view]
    pub(super) fn start_index(input: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok([b"start_index", input].concat())
    }
}

// A parameter's type may come out of a macro of the guest's.
macro_rules! doubled {
    ($name:ident, $input:ty) => {
        #[metashrew_core::view]
        fn $name(input: $input) -> Vec<u8> {
            [&input[..], &input[..]].concat()
        }
    };
}
doubled!(doubled, Vec<u8>);

fn fails(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = catch_unwind(run).unwrap_err();
    let text = payload.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| (*payload.downcast_ref::<&str>().unwrap()).to_owned())
}

#[test]
fn existing_sources_compile_and_run() {
    test_utils::reset();
    index_export(3, b"block", || existing::__start_main());
    let input = 3u32.to_le_bytes();
    let answer = view_export(3, &input, || existing::deeper::__view_getblock());
    assert_eq!(answer, b"block");
    // Tests call the functions, and a view by its name in the expansion of old.
    assert!(existing::main(4, b"block").is_ok());
    assert_eq!(existing::deeper::getblock(&input).unwrap(), b"block");
    assert_eq!(existing::deeper::__getblock(&input).unwrap(), b"block");
    assert!(existing::deeper::__getblock(b"").is_err());
    let text = fails(|| index_export(5, b"bad", || existing::__start_main()));
    assert_eq!(text, "block 5: not a block");
}

#[test]
fn blocks_are_read_as_the_type_that_the_function_takes() {
    test_utils::reset();
    let block = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin);
    let bytes = bitcoin::consensus::serialize(&block);
    index_export(1, &bytes, || blocks::__start_raw());
    index_export(2, &bytes, || blocks::__start_vector());
    index_export(3, &bytes, || blocks::__start_decoded());
    let counts = [1, 2, 3].map(|height: u32| {
        let key = [b"/count/".as_slice(), &height.to_le_bytes()].concat();
        test_utils::state(3)[&key].clone()
    });
    let expect = [1, bytes.len(), 1].map(|count| count.to_le_bytes().to_vec());
    assert_eq!(counts, expect);
    let text = fails(|| index_export(4, b"short", || blocks::__start_raw()));
    assert_eq!(
        text,
        "block 4: the block ends after 5 bytes, inside a value"
    );
}

#[test]
fn inputs_and_answers_are_of_their_types() {
    use prost::Message;
    test_utils::reset();
    index_export(3, b"block", || existing::__start_main());
    type Export = extern "C-unwind" fn() -> i32;
    #[track_caller]
    fn check(export: Export, input: &[u8], expect: &[u8]) {
        let answer = view_export(7, input, || export());
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text, String::from_utf8_lossy(expect));
    }
    check(views::__view_tip, b"any", b"7");
    check(views::__view_nothing, b"any", b"");
    check(views::__view_at, b"th", b"7th");
    check(views::__view_shared, b"", b"block");
    check(views::__view_tail, b"abc", b"bc");
    check(views::__view_named, b" bc ", b"bc");
    check(views::__view_page, br#"{"from":5}"#, b"[5,6,7]");
    check(views::__view_page, b" \n", b"[0,1,2,3,4,5,6,7]");
    check(views::__view_words, b"a b", br#"["a","b"]"#);
    check(views::__view_type, b"", b"7");
    check(__view_doubled, b"ab", b"abab");
    let question = |height| views::Question { height }.encode_to_vec();
    check(views::__view_message, &question(8), &question(9));
    check(alike::__view_a, b"!", b"a!");
    check(alike::__view_view_a, b"!", b"view_a!");
    check(alike::__view_view_view_a, b"!", b"view_view_a!");
    check(alike::__view_start_index, b"!", b"start_index!");
    index_export(4, b"block", || alike::__start_index());
    assert_eq!(alike::__a(b"?").unwrap(), b"a?");
}

#[test]
fn what_cannot_be_read_or_answered_is_an_error() {
    test_utils::reset();
    type Export = extern "C-unwind" fn() -> i32;
    let fail = |export: Export, input: &[u8]| try_view_export(7, input, || export()).unwrap_err();
    let text = fail(views::__view_page, br#"{"form":5}"#);
    assert!(
        text.starts_with("bad input: unknown field `form`, expected `from`"),
        "{text}"
    );
    let text = fail(views::__view_page, br#"{"from":8}"#);
    assert_eq!(text, "an error occurred when formatting an argument");
    let text = fail(views::__view_at, b"\xff");
    assert!(text.starts_with("bad input: invalid utf-8"), "{text}");
    let text = fail(views::__view_message, b"\xff");
    assert!(text.starts_with("bad input: "), "{text}");
}

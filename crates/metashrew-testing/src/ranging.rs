//! A guest that reads ranges and many keys at once, in blocks and in views, and a model of
//! what it writes.

use std::collections::BTreeMap;

use metashrew_abi::many;
use metashrew_abi::range::{AnswerBuilder, Request};

use crate::guests::{SHARED, from_wat};

const IMPORTS: &str = r#"
  (import "metashrew" "read_many" (func $read_many (param i32) (result i32)))
  (import "metashrew" "read_range" (func $read_range (param i32) (result i32)))
  (import "metashrew" "load_answer" (func $load_answer (param i32)))
"#;
const BODY: &str = include_str!("ranging.wat");

/// The guest. What a block writes follows from 32 bytes of its header, its merkle root, and from
/// what it reads: [`written`] is the same in Rust.
///
/// Its views `range` and `many` answer their input's request, or an error's code; `points`
/// answers what `many` does, one key after the other; `twice` and
/// `leave` ask for a range twice and load one answer or none; `too_many`, `load`,
/// `load_outside` and `range_outside` are faults. `ranging.wat`, beside this file, says more.
pub fn ranging() -> Vec<u8> {
    from_wat(&format!("(module {IMPORTS} {SHARED} {BODY})"))
}

/// A state: keys and what was written there.
pub type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// The answer to `request` in a state.
pub fn range(values: &Values, request: &Request<'_>) -> Vec<u8> {
    let is_in = |key: &[u8]| key >= request.start && (request.end.is_empty() || key < request.end);
    let mut pairs: Vec<_> = values.iter().filter(|(key, _)| is_in(key)).collect();
    if request.descending {
        pairs.reverse();
    }
    let mut answer = AnswerBuilder::new(request, Vec::new());
    for (key, value) in pairs {
        answer.push(key, value);
    }
    answer.finish()
}

/// The answer to a request for `keys` in a state.
///
/// # Panics
/// If the values are very long.
pub fn many<'a>(values: &Values, keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut answer = many::AnswerBuilder::new(Vec::new());
    for key in keys {
        let value = values.get(key).map(Vec::as_slice);
        answer
            .push(value.unwrap_or_default())
            .expect("short values");
    }
    answer.finish()
}

/// What the guest writes in the block at `height`, on a state.
///
/// # Panics
/// If the block is shorter than a header.
#[expect(
    clippy::indexing_slicing,
    reason = "a block has a header, as the guest takes for granted too"
)]
pub fn written(values: &Values, height: u32, block: &[u8]) -> Values {
    let root = &block[36..68];
    let key = |at: usize| [b"k", &root[at..at + 3]].concat();
    let noted = |name: &[u8], height: u32| [name, &height.to_be_bytes()].concat();
    let (first, second, start) = (key(0), key(4), key(20));
    let end = if root[26] & 1 == 1 {
        Vec::new()
    } else {
        key(23)
    };
    let request = Request {
        descending: root[16] & 1 != 0,
        keys_only: root[16] & 2 != 0,
        max_count: u32::from(root[17] & 15),
        max_bytes: u32::from(u16::from_le_bytes([root[18], root[19]])),
        start: &start,
        end: &end,
    };
    let seen = range(values, &request);
    let before = noted(b"seen", height.wrapping_sub(1));
    let read = many(values, [&first[..], &second, &before]);
    let value = block[..usize::from(root[3] & 63)].to_vec();
    let mut writes = Values::from([(first, value)]);
    writes.insert(second, root[8..16].to_vec());
    writes.insert(noted(b"seen", height), seen);
    writes.insert(noted(b"many", height), read);
    writes
}

//! Reads of many values in one call, by the import module `metashrew`.
//!
//! They see what [`read`](super::read) sees. A guest that uses none of them does not import
//! the module, and runs on hosts without it.

use super::{LENGTH_BYTES, read, room};
use crate::buffers::{to_arraybuffer_layout, to_passback_ptr};
use crate::imports;
use metashrew_abi::{MAX_PAIRS, many};

pub use metashrew_abi::range::{Answer as RangeAnswer, Request as RangeRequest};

/// Values that the host answered.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// # test_utils::index_export(1, b"", || host::flush([("a", "1"), ("b", "22")]));
/// let values: host::Values = host::read_many(&["a", "b"]);
/// let bytes: usize = values.iter().map(<[u8]>::len).sum();
/// assert_eq!(bytes, 3);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Each behind its own length.
    answers: Vec<Vec<u8>>,
}

impl Values {
    /// The values, in the order asked; one that the state does not have is empty.
    ///
    /// ```
    /// # use metashrew_core::{host, test_utils};
    /// # test_utils::index_export(1, b"", || host::flush([("a", "1"), ("b", "22")]));
    /// let values = host::read_many(&["b", "none"]);
    /// assert!(values.iter().eq([&b"22"[..], b""]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let answers = self.answers.iter();
        answers.flat_map(|answer| {
            many::decode_answer(data(answer)).expect("the host answers with values")
        })
    }
}

/// The values of `keys` in the host's state, in their order.
///
/// It takes one call of the host for each 65,536 keys, and more if the values have more than
/// 256 MiB together.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// # test_utils::index_export(1, b"", || host::flush([("a", "1"), ("b", "22")]));
/// let values = host::read_many(&["b", "a"]);
/// assert_eq!(values.iter().next(), Some(&b"22"[..]));
/// ```
pub fn read_many<K: AsRef<[u8]>>(keys: &[K]) -> Values {
    let mut values = Values::default();
    for keys in keys.chunks(MAX_PAIRS) {
        ask(keys, &mut values.answers);
    }
    values
}

fn ask<K: AsRef<[u8]>>(keys: &[K], answers: &mut Vec<Vec<u8>>) {
    let request = many::encode(keys.iter().map(AsRef::as_ref));
    let mut request = to_arraybuffer_layout(request);
    // SAFETY: the buffer lives to the end of this function.
    let length = unsafe { imports::__read_many(to_passback_ptr(&mut request)) };
    if length >= 0 {
        answers.push(load_answer(length));
        return;
    }
    // The values are too many bytes for one answer: there are no more keys than it takes.
    match keys {
        [] => (),
        [key] => {
            let value = read(key.as_ref());
            answers.push(to_arraybuffer_layout(many::encode([&*value])));
        }
        keys => {
            let (first, second) = keys.split_at(keys.len() / 2);
            ask(first, answers);
            ask(second, answers);
        }
    }
}

/// Reads keys in order, and hands `f` the answer.
///
/// [`Range`](crate::range::Range) is the same with the call's own writes, and pages.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// # test_utils::index_export(1, b"", || host::flush([("a", "1"), ("b", "22")]));
/// let request = host::RangeRequest::between(b"a", b"b");
/// let keys = host::read_range(&request, |answer| {
///     answer.pairs().map(|pair| pair.key.to_vec()).collect::<Vec<_>>()
/// });
/// assert_eq!(keys, [b"a"]);
/// ```
pub fn read_range<T>(request: &RangeRequest, f: impl FnOnce(RangeAnswer<'_>) -> T) -> T {
    let mut buffer = to_arraybuffer_layout(request.encode());
    // SAFETY: the buffer lives to the end of this function.
    let length = unsafe { imports::__read_range(to_passback_ptr(&mut buffer)) };
    let answer = load_answer(length);
    let answer = RangeAnswer::decode(data(&answer), request.keys_only);
    f(answer.expect("the host answers with pairs"))
}

/// Takes the answer of `length` bytes that the host keeps.
fn load_answer(length: i32) -> Vec<u8> {
    let mut buffer = room(length);
    // SAFETY: the buffer has the room that the host asked for.
    unsafe { imports::__load_answer(to_passback_ptr(&mut buffer)) };
    buffer
}

/// A buffer's data, behind the length in front.
fn data(buffer: &[u8]) -> &[u8] {
    buffer.get(LENGTH_BYTES..).unwrap_or_default()
}

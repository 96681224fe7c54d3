//! `read_range`: the keys from one to another, in order, with their values.
//!
//! The answer ends with the range, or where the request or the host bounds it; the caller
//! then asks again, from behind the last key on. Hosts make it with [`AnswerBuilder`], which
//! decides where it ends.
//!
//! ```
//! use metashrew_abi::range::{Answer, AnswerBuilder, End, Request};
//!
//! let request = Request { max_count: 1, ..Request::between(b"a", b"b") };
//! assert_eq!(Request::decode(&request.encode())?, request);
//!
//! let mut answer = AnswerBuilder::new(&request, Vec::new());
//! assert!(answer.push(b"a", b"") && !answer.is_full()); // an empty value is none
//! assert!(!answer.push(b"ab", b"value"));
//! let answer = answer.finish();
//! let answer = Answer::decode(&answer, request.keys_only)?;
//! assert_eq!(answer.end(), End::Count);
//! assert_eq!(answer.pairs().next().unwrap().key, b"ab");
//! # Ok::<(), metashrew_abi::Malformed>(())
//! ```

use crate::parts::{self, MAX_PAIRS, Malformed};

/// What the pairs of an answer count at most, in bytes: 64 MiB.
///
/// ```
/// # use metashrew_abi::range::{AnswerBuilder, MAX_BYTES, Request};
/// let mut answer = AnswerBuilder::new(&Request::between(b"", b""), Vec::new());
/// assert!(!answer.push(b"key", &vec![0; MAX_BYTES]));
/// ```
pub const MAX_BYTES: usize = 64 << 20;

/// What a pair counts beside its key and its value, in bytes: their two lengths.
///
/// ```
/// # use metashrew_abi::range::{AnswerBuilder, PAIR_OVERHEAD, Request};
/// let mut answer = AnswerBuilder::new(&Request::between(b"", b""), Vec::new());
/// answer.push(b"key", b"value");
/// assert_eq!(answer.finish().len(), 1 + PAIR_OVERHEAD + 3 + 5);
/// ```
pub const PAIR_OVERHEAD: usize = 8;

/// From the last key to the first.
const DESCENDING: u8 = 1;
/// Without values.
const KEYS_ONLY: u8 = 2;

/// Which keys are asked for.
///
/// ```
/// # use metashrew_abi::range::Request;
/// let last = Request { descending: true, max_count: 1, ..Request::between(b"a", b"b") };
/// assert_eq!(Request::decode(&last.encode())?, last);
/// # Ok::<(), metashrew_abi::Malformed>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Whether the last key comes first.
    pub descending: bool,
    /// Whether only keys and the lengths of their values are asked for.
    pub keys_only: bool,
    /// Pairs at most. The host answers no more than [`MAX_PAIRS`].
    pub max_count: u32,
    /// What the pairs may count together: each its key, its value unless only keys are asked
    /// for, and [`PAIR_OVERHEAD`]. The host answers no more than [`MAX_BYTES`].
    pub max_bytes: u32,
    /// The lowest key that may be in the answer.
    pub start: &'a [u8],
    /// The key before which the range ends; an empty one is the end of all keys.
    pub end: &'a [u8],
}

impl<'a> Request<'a> {
    /// All from `start` up to `end`, as much of it as one answer may hold, in ascending order.
    ///
    /// ```
    /// # use metashrew_abi::range::Request;
    /// let request = Request::between(b"a", b"b");
    /// assert_eq!((request.start, request.end), (&b"a"[..], &b"b"[..]));
    /// assert!(!request.descending && !request.keys_only);
    /// ```
    pub fn between(start: &'a [u8], end: &'a [u8]) -> Self {
        Self {
            descending: false,
            keys_only: false,
            max_count: u32::MAX,
            max_bytes: u32::MAX,
            start,
            end,
        }
    }

    /// Its bytes.
    ///
    /// ```
    /// # use metashrew_abi::range::Request;
    /// assert_eq!(Request::between(b"a", b"b").encode().len(), 1 + 4 + 4 + 5 + 5);
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut request = Vec::with_capacity(17 + self.start.len() + self.end.len());
        let descending = if self.descending { DESCENDING } else { 0 };
        let keys_only = if self.keys_only { KEYS_ONLY } else { 0 };
        request.push(descending | keys_only);
        parts::put_number(&mut request, self.max_count);
        parts::put_number(&mut request, self.max_bytes);
        parts::put(&mut request, self.start);
        parts::put(&mut request, self.end);
        request
    }

    /// The request that `bytes` are.
    ///
    /// ```
    /// # use metashrew_abi::range::Request;
    /// let mut bytes = Request::between(b"a", b"b").encode();
    /// assert_eq!(Request::decode(&bytes)?, Request::between(b"a", b"b"));
    /// bytes[0] = 0x80;
    /// assert!(Request::decode(&bytes).is_err());
    /// # Ok::<(), metashrew_abi::Malformed>(())
    /// ```
    ///
    /// # Errors
    /// If they are none, or have flags that are not known.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let flags = parts::take_byte(&mut rest)?;
        if flags & !(DESCENDING | KEYS_ONLY) != 0 {
            return Err(Malformed("it has flags that are not known"));
        }
        let request = Self {
            descending: flags & DESCENDING != 0,
            keys_only: flags & KEYS_ONLY != 0,
            max_count: parts::take_number(&mut rest)?,
            max_bytes: parts::take_number(&mut rest)?,
            start: parts::take(&mut rest)?,
            end: parts::take(&mut rest)?,
        };
        if !rest.is_empty() {
            return Err(Malformed("there is something behind its end"));
        }
        Ok(request)
    }
}

/// Where an answer ends.
///
/// ```
/// # use metashrew_abi::range::{Answer, End};
/// assert_eq!(Answer::decode(&[1], false)?.end(), End::Count);
/// # Ok::<(), metashrew_abi::Malformed>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the end of the range: there is no other pair.
    Range,
    /// It has as many pairs as it may have. There may be others.
    Count,
    /// The next pair would be more bytes than it may have.
    Bytes,
    /// The first pair alone is more bytes than it may have: it follows without its value.
    TooLarge,
}

impl End {
    /// The byte that stands for it.
    const fn byte(self) -> u8 {
        match self {
            Self::Range => 0,
            Self::Count => 1,
            Self::Bytes => 2,
            Self::TooLarge => 3,
        }
    }

    fn of_byte(byte: u8) -> Result<Self, Malformed> {
        let all = [Self::Range, Self::Count, Self::Bytes, Self::TooLarge];
        all.into_iter()
            .find(|end| end.byte() == byte)
            .ok_or(Malformed("it ends in a way that is not known"))
    }
}

/// An answer being made: for hosts, so that all end it at the same pair.
///
/// ```
/// # use metashrew_abi::range::{AnswerBuilder, Request};
/// let request = Request { max_count: 1, ..Request::between(b"a", b"b") };
/// let mut answer = AnswerBuilder::new(&request, Vec::new());
/// assert!(!answer.push(b"a", b"v")); // The only one that was asked for.
/// assert_eq!(answer.finish(), [1, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v']);
/// ```
#[derive(Debug)]
pub struct AnswerBuilder {
    /// The byte for the end first.
    answer: Vec<u8>,
    keys_only: bool,
    /// Pairs that there is room for.
    count: usize,
    /// Bytes that there is room for.
    bytes: usize,
    end: Option<End>,
}

impl AnswerBuilder {
    /// An empty answer to `request`, in the memory of `buffer`.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let answer = AnswerBuilder::new(&Request::between(b"a", b"b"), vec![1, 2, 3]);
    /// assert_eq!(answer.finish(), [0]);
    /// ```
    pub fn new(request: &Request<'_>, mut buffer: Vec<u8>) -> Self {
        let wide = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let count = wide(request.max_count).min(MAX_PAIRS);
        buffer.clear();
        buffer.push(End::Range.byte());
        Self {
            answer: buffer,
            keys_only: request.keys_only,
            count,
            bytes: wide(request.max_bytes).min(MAX_BYTES),
            end: (count == 0).then_some(End::Count),
        }
    }

    /// Whether it takes no other pair: nobody need look for one.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let request = Request { max_count: 1, ..Request::between(b"a", b"b") };
    /// let mut answer = AnswerBuilder::new(&request, Vec::new());
    /// assert!(!answer.is_full());
    /// answer.push(b"a", b"v");
    /// assert!(answer.is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        self.end.is_some()
    }

    /// The memory that it should have to take this pair, in bytes.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let answer = AnswerBuilder::new(&Request::between(b"a", b"b"), Vec::new());
    /// assert!(answer.room_for(b"a", b"value") >= 1 + 8 + 1 + 5);
    /// ```
    pub fn room_for(&self, key: &[u8], value: &[u8]) -> usize {
        let (length, cost) = (self.answer.len(), self.cost(key, value));
        let added = if cost > self.bytes {
            PAIR_OVERHEAD + key.len()
        } else {
            cost
        };
        let limit = length.saturating_add(self.bytes);
        parts::room(self.answer.capacity(), length + added, limit)
    }

    /// Gives it so many bytes of memory, and no more.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let mut answer = AnswerBuilder::new(&Request::between(b"a", b"b"), Vec::new());
    /// answer.reserve(answer.room_for(b"a", b"value"));
    /// assert!(answer.finish().capacity() >= 1 + 8 + 1 + 5);
    /// ```
    pub fn reserve(&mut self, room: usize) {
        let missing = room.saturating_sub(self.answer.len());
        self.answer.reserve_exact(missing);
    }

    fn cost(&self, key: &[u8], value: &[u8]) -> usize {
        let value = if self.keys_only { 0 } else { value.len() };
        PAIR_OVERHEAD + key.len() + value
    }

    /// Adds the next pair of the range, if it fits, and tells whether it takes another one. A
    /// pair with an empty value is none: its key is absent.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let request = Request { max_count: 1, ..Request::between(b"a", b"b") };
    /// let mut answer = AnswerBuilder::new(&request, Vec::new());
    /// assert!(answer.push(b"a", b""));
    /// assert!(!answer.push(b"ab", b"v"));
    /// ```
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        if self.is_full() || value.is_empty() {
            return !self.is_full();
        }
        let cost = self.cost(key, value);
        let fits = cost <= self.bytes;
        let is_first = self.answer.len() == 1;
        if fits || is_first {
            parts::put(&mut self.answer, key);
            parts::put_number(&mut self.answer, parts::length(value));
        }
        if !fits {
            self.end = Some(if is_first { End::TooLarge } else { End::Bytes });
            return false;
        }
        if !self.keys_only {
            self.answer.extend_from_slice(value);
        }
        self.bytes -= cost;
        self.count -= 1;
        if self.count == 0 {
            self.end = Some(End::Count);
        }
        !self.is_full()
    }

    /// The answer: there is no other pair, or it is full.
    ///
    /// ```
    /// # use metashrew_abi::range::{AnswerBuilder, Request};
    /// let mut answer = AnswerBuilder::new(&Request::between(b"a", b"b"), Vec::new());
    /// answer.push(b"a", b"v");
    /// assert_eq!(answer.finish(), [0, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v']);
    /// ```
    pub fn finish(mut self) -> Vec<u8> {
        if let (Some(first), Some(end)) = (self.answer.first_mut(), self.end) {
            *first = end.byte();
        }
        self.answer
    }
}

/// A key of an answer, and what is told of its value.
///
/// ```
/// # use metashrew_abi::range::{Answer, Pair};
/// let bytes = [0, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v'];
/// let pair = Answer::decode(&bytes, false)?.pairs().next();
/// assert_eq!(pair, Some(Pair { key: b"a", value_len: 1, value: b"v" }));
/// # Ok::<(), metashrew_abi::Malformed>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The length of its value, in bytes.
    pub value_len: u32,
    /// Its value; empty where only keys were asked for, and where the pair is too large.
    pub value: &'a [u8],
}

/// An answer that was found well-formed, where it lies.
///
/// ```
/// # use metashrew_abi::range::Answer;
/// let bytes = [0, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v'];
/// let answer = Answer::decode(&bytes, false)?;
/// assert_eq!(answer.pairs().count(), 1);
/// # Ok::<(), metashrew_abi::Malformed>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    end: End,
    has_values: bool,
    pairs: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The answer that `bytes` are, to a request for `keys_only` or not.
    ///
    /// ```
    /// # use metashrew_abi::range::Answer;
    /// let bytes = [0, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v'];
    /// assert!(Answer::decode(&bytes, false).is_ok());
    /// assert!(Answer::decode(&bytes, true).is_err()); // The value is not asked for.
    /// ```
    ///
    /// # Errors
    /// If they are none.
    pub fn decode(bytes: &'a [u8], keys_only: bool) -> Result<Self, Malformed> {
        let mut pairs = bytes;
        let end = End::of_byte(parts::take_byte(&mut pairs)?)?;
        let answer = Self {
            end,
            has_values: !keys_only && end != End::TooLarge,
            pairs,
        };
        let mut count = 0_usize;
        while !pairs.is_empty() {
            answer.take_pair(&mut pairs)?;
            count += 1;
        }
        if end == End::TooLarge && count != 1 {
            return Err(Malformed("a pair that is too large is not alone"));
        }
        Ok(answer)
    }

    fn take_pair(&self, bytes: &mut &'a [u8]) -> Result<Pair<'a>, Malformed> {
        let key = parts::take(bytes)?;
        if self.has_values {
            let value = parts::take(bytes)?;
            let value_len = parts::length(value);
            return Ok(Pair {
                key,
                value_len,
                value,
            });
        }
        Ok(Pair {
            key,
            value_len: parts::take_number(bytes)?,
            value: &[],
        })
    }

    /// Why it ends.
    ///
    /// ```
    /// # use metashrew_abi::range::{Answer, End};
    /// assert_eq!(Answer::decode(&[0], false)?.end(), End::Range);
    /// # Ok::<(), metashrew_abi::Malformed>(())
    /// ```
    pub fn end(&self) -> End {
        self.end
    }

    /// Its pairs, in the order asked; the one that is too large too.
    ///
    /// ```
    /// # use metashrew_abi::range::Answer;
    /// let bytes = [0, 1, 0, 0, 0, b'a', 1, 0, 0, 0, b'v'];
    /// let answer = Answer::decode(&bytes, false)?;
    /// assert!(answer.pairs().map(|pair| pair.key).eq([b"a"]));
    /// # Ok::<(), metashrew_abi::Malformed>(())
    /// ```
    pub fn pairs(&self) -> impl Iterator<Item = Pair<'a>> + use<'a> {
        let (answer, mut rest) = (*self, self.pairs);
        std::iter::from_fn(move || answer.take_pair(&mut rest).ok())
    }
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;

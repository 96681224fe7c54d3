//! `read_many`: the values of many keys in one call.
//!
//! The request is the keys, one behind the other, each with its length in front; the answer
//! is their values, in the same order and of the same form. An absent key has the length 0.
//!
//! ```
//! use metashrew_abi::many;
//!
//! let request = many::encode([&b"a"[..], b"bc"]);
//! assert_eq!(request, [1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c']);
//! assert_eq!(many::Keys::decode(&request)?.len(), 2);
//!
//! let mut answer = many::AnswerBuilder::new(Vec::new());
//! answer.push(b"value")?;
//! answer.push(b"")?;
//! let answer = answer.finish();
//! let values: Vec<_> = many::decode_answer(&answer)?.collect();
//! assert_eq!(values, [&b"value"[..], b""]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::parts::{self, LENGTH_BYTES, MAX_PAIRS, Malformed};

/// Bytes of an answer at most: 256 MiB.
///
/// ```
/// # use metashrew_abi::many;
/// let answer = many::AnswerBuilder::new(Vec::new());
/// assert!(answer.room_for(&[0; 100])? < many::MAX_ANSWER);
/// # Ok::<(), many::ReadManyError>(())
/// ```
pub const MAX_ANSWER: usize = 256 << 20;

/// Why `read_many` gave no answer. The call goes on.
///
/// ```
/// # use metashrew_abi::many::ReadManyError;
/// let text = ReadManyError::TooManyKeys.to_string();
/// assert_eq!(text, "more than 65536 keys are asked for at once");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadManyError {
    /// The request has more than [`MAX_PAIRS`] keys.
    #[error("more than {MAX_PAIRS} keys are asked for at once")]
    TooManyKeys,
    /// The answer would have more than [`MAX_ANSWER`] bytes.
    #[error("the values have more than {MAX_ANSWER} bytes together")]
    AnswerTooLarge,
}

impl ReadManyError {
    /// What `read_many` returns for it: a negative number.
    ///
    /// ```
    /// # use metashrew_abi::many::ReadManyError;
    /// assert_eq!(ReadManyError::AnswerTooLarge.code(), -2);
    /// ```
    pub const fn code(self) -> i32 {
        match self {
            Self::TooManyKeys => -1,
            Self::AnswerTooLarge => -2,
        }
    }

    /// The error of this code; none if there is no such error.
    ///
    /// ```
    /// use metashrew_abi::many::ReadManyError;
    ///
    /// assert_eq!(ReadManyError::from_code(-1), Some(ReadManyError::TooManyKeys));
    /// assert_eq!(ReadManyError::from_code(12), None);
    /// ```
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            -1 => Some(Self::TooManyKeys),
            -2 => Some(Self::AnswerTooLarge),
            _ => None,
        }
    }
}

/// Why a request is refused.
///
/// ```
/// # use metashrew_abi::many::{Keys, RequestError};
/// let refused = Keys::decode(&[9, 0, 0, 0, b'k']).unwrap_err();
/// assert!(matches!(refused, RequestError::Malformed(_)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It asks for too much.
    #[error(transparent)]
    Refused(#[from] ReadManyError),
}

/// The request for the values of `keys`.
///
/// ```
/// # use metashrew_abi::many;
/// assert_eq!(many::encode([&b"k"[..], b""]), [1, 0, 0, 0, b'k', 0, 0, 0, 0]);
/// ```
pub fn encode<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut request = Vec::new();
    for key in keys {
        parts::put(&mut request, key);
    }
    request
}

/// The keys of a request that was found well-formed, where they lie.
///
/// ```
/// # use metashrew_abi::many;
/// let request = many::encode([&b"a"[..], b"bc"]);
/// let keys = many::Keys::decode(&request)?;
/// assert_eq!(keys.len(), 2);
/// # Ok::<(), many::RequestError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    request: &'a [u8],
    count: usize,
}

impl<'a> Keys<'a> {
    /// Finds the keys of `request`. What comes after [`MAX_PAIRS`] keys is not looked at.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let request = many::encode([&b"a"[..], b"bc"]);
    /// assert!(many::Keys::decode(&request).is_ok());
    /// assert!(many::Keys::decode(&request[1..]).is_err());
    /// ```
    ///
    /// # Errors
    /// If a length reaches beyond the end, or there are more keys.
    pub fn decode(request: &'a [u8]) -> Result<Self, RequestError> {
        let (mut rest, mut count) = (request, 0);
        while !rest.is_empty() {
            if count == MAX_PAIRS {
                return Err(ReadManyError::TooManyKeys.into());
            }
            parts::take(&mut rest)?;
            count += 1;
        }
        Ok(Self { request, count })
    }

    /// How many there are.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let request = many::encode([&b"a"[..], b"bc"]);
    /// assert_eq!(many::Keys::decode(&request)?.len(), 2);
    /// # Ok::<(), many::RequestError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// assert!(many::Keys::decode(b"")?.is_empty());
    /// # Ok::<(), many::RequestError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The keys, in the order asked.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let request = many::encode([&b"a"[..], b"bc"]);
    /// assert!(many::Keys::decode(&request)?.iter().eq([&b"a"[..], b"bc"]));
    /// # Ok::<(), many::RequestError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        parts::all(self.request)
    }
}

/// An answer being made: for hosts.
///
/// ```
/// # use metashrew_abi::many;
/// let mut answer = many::AnswerBuilder::new(Vec::new());
/// answer.push(b"v")?;
/// assert_eq!(answer.finish(), [1, 0, 0, 0, b'v']);
/// # Ok::<(), many::ReadManyError>(())
/// ```
#[derive(Debug)]
pub struct AnswerBuilder {
    answer: Vec<u8>,
}

impl AnswerBuilder {
    /// An empty answer, in the memory of `buffer`.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let answer = many::AnswerBuilder::new(vec![1, 2, 3]);
    /// assert!(answer.finish().is_empty());
    /// ```
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { answer: buffer }
    }

    /// The memory that it should have to take `value`, in bytes.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let answer = many::AnswerBuilder::new(Vec::new());
    /// assert!(answer.room_for(b"value")? >= 4 + 5);
    /// # Ok::<(), many::ReadManyError>(())
    /// ```
    ///
    /// # Errors
    /// If the answer would have more than [`MAX_ANSWER`] bytes.
    pub fn room_for(&self, value: &[u8]) -> Result<usize, ReadManyError> {
        let length = self.answer.len() + LENGTH_BYTES + value.len();
        if length > MAX_ANSWER {
            return Err(ReadManyError::AnswerTooLarge);
        }
        Ok(parts::room(self.answer.capacity(), length, MAX_ANSWER))
    }

    /// Gives it so many bytes of memory, and no more.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let mut answer = many::AnswerBuilder::new(Vec::new());
    /// answer.reserve(answer.room_for(b"value")?);
    /// assert!(answer.finish().capacity() >= 4 + 5);
    /// # Ok::<(), many::ReadManyError>(())
    /// ```
    pub fn reserve(&mut self, room: usize) {
        let missing = room.saturating_sub(self.answer.len());
        self.answer.reserve_exact(missing);
    }

    /// Adds the value of the next key; an empty one stands for an absent key.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let mut answer = many::AnswerBuilder::new(Vec::new());
    /// answer.push(b"")?;
    /// assert_eq!(answer.finish(), [0; 4]);
    /// # Ok::<(), many::ReadManyError>(())
    /// ```
    ///
    /// # Errors
    /// If the answer would have more than [`MAX_ANSWER`] bytes.
    pub fn push(&mut self, value: &[u8]) -> Result<(), ReadManyError> {
        self.room_for(value)?;
        parts::put(&mut self.answer, value);
        Ok(())
    }

    /// The answer.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// let mut answer = many::AnswerBuilder::new(Vec::new());
    /// answer.push(b"value")?;
    /// assert_eq!(answer.finish().len(), 4 + 5);
    /// # Ok::<(), many::ReadManyError>(())
    /// ```
    pub fn finish(self) -> Vec<u8> {
        self.answer
    }
}

/// The values of an answer, in the order asked; an absent key's is empty.
///
/// ```
/// # use metashrew_abi::many;
/// let mut values = many::decode_answer(&[1, 0, 0, 0, b'v', 0, 0, 0, 0])?;
/// assert_eq!((values.next(), values.next()), (Some(&b"v"[..]), Some(&b""[..])));
/// # Ok::<(), metashrew_abi::Malformed>(())
/// ```
///
/// # Errors
/// If the bytes are no answer.
pub fn decode_answer(answer: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Malformed> {
    let mut rest = answer;
    while !rest.is_empty() {
        parts::take(&mut rest)?;
    }
    Ok(parts::all(answer))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_lead_back_to_their_errors() {
        for error in [ReadManyError::TooManyKeys, ReadManyError::AnswerTooLarge] {
            assert!(error.code() < 0);
            assert_eq!(ReadManyError::from_code(error.code()), Some(error));
        }
    }

    #[test]
    fn as_many_keys_as_may_be_are_taken_and_no_more() {
        let mut request = vec![0; LENGTH_BYTES * MAX_PAIRS];
        assert_eq!(Keys::decode(&request).unwrap().len(), MAX_PAIRS);
        // What comes then need not even be a key.
        request.push(1);
        assert_eq!(
            Keys::decode(&request).unwrap_err(),
            ReadManyError::TooManyKeys.into()
        );
    }

    #[test]
    fn an_answer_is_refused_where_it_would_be_too_long() {
        let mut answer = AnswerBuilder::new(vec![7]);
        answer
            .push(&vec![0; MAX_ANSWER - 2 * LENGTH_BYTES])
            .unwrap();
        assert_eq!(answer.push(b"x"), Err(ReadManyError::AnswerTooLarge));
        answer.push(b"").unwrap();
        assert_eq!(answer.finish().len(), MAX_ANSWER);
    }

    proptest! {
        #[test]
        fn keys_and_values_survive(parts: Vec<Vec<u8>>) {
            let request = encode(parts.iter().map(Vec::as_slice));
            let keys = Keys::decode(&request).unwrap();
            prop_assert_eq!((keys.len(), keys.is_empty()), (parts.len(), parts.is_empty()));
            prop_assert!(keys.iter().eq(parts.iter().map(Vec::as_slice)));

            let mut answer = AnswerBuilder::new(Vec::new());
            for part in &parts {
                let room = answer.room_for(part).unwrap();
                answer.reserve(room);
                let memory = answer.answer.as_ptr();
                answer.push(part).unwrap();
                prop_assert_eq!(answer.answer.as_ptr(), memory, "it had the room");
            }
            let answer = answer.finish();
            prop_assert!(decode_answer(&answer).unwrap().eq(parts.iter().map(Vec::as_slice)));
        }

        #[test]
        fn any_bytes_are_read_as_they_would_be_written_or_refused(bytes: Vec<u8>) {
            if let Ok(keys) = Keys::decode(&bytes) {
                prop_assert_eq!(&encode(keys.iter()), &bytes);
            }
            prop_assert_eq!(Keys::decode(&bytes).is_ok(), decode_answer(&bytes).is_ok());
        }

        #[test]
        fn a_request_that_is_cut_within_a_key_is_refused(
            keys in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 1..5),
            cut: proptest::sample::Index,
        ) {
            let request = encode(keys.iter().map(Vec::as_slice));
            let cut = cut.index(request.len());
            let is_whole = (0..=keys.len())
                .any(|count| encode(keys.iter().take(count).map(Vec::as_slice)).len() == cut);
            prop_assert_eq!(Keys::decode(&request[..cut]).is_ok(), is_whole);
        }
    }
}

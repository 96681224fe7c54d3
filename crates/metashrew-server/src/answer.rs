//! An answer's JSON, written out as it is sent: what a guest answered stays bytes, of
//! which every piece becomes hex, or a part of a text, when the connection takes it. So an
//! answer that nobody reads holds no more than the guest's bytes, and no worker encodes many
//! at a stretch.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::parallel::Size;

/// Bytes that become hex at once: what a socket takes in one go, about, is twice as much.
const PIECE: usize = 32 * 1024;

/// Bytes of text in one part: as many as a piece has in hex. HTTP takes a part whole, and
/// what it has taken is no longer counted.
const TEXT: usize = 2 * PIECE;

/// JSON, or a part of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    parts: VecDeque<Part>,
    /// What stands after all parts, [`TEXT`] at most.
    text: Vec<u8>,
    /// Bytes of all JSON.
    length: usize,
}

#[derive(Debug)]
enum Part {
    Text(Bytes),
    /// Twice as many digits.
    Hex(Bytes),
    /// As they are.
    Raw(Bytes),
    /// UTF-8 that stands in a text of JSON.
    Escaped(Bytes),
}

impl Answer {
    /// JSON that is written out already, or a part of it.
    pub(crate) fn text(text: &str) -> Self {
        let mut answer = Self::default();
        answer.push(text);
        answer
    }

    /// JSON that others hold, too.
    pub(crate) fn written(json: &Bytes) -> Self {
        let mut answer = Self::default();
        let mut rest = json.clone();
        while rest.len() > TEXT {
            answer.parts.push_back(Part::Text(rest.split_to(TEXT)));
        }
        answer.length = json.len() - rest.len();
        answer.extend(&rest);
        answer
    }

    /// A value's JSON.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let mut answer = Self::default();
        answer.push_json(value);
        answer
    }

    /// Bytes of memory that it holds.
    pub(crate) fn held(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(bytes) | Part::Hex(bytes) | Part::Raw(bytes) | Part::Escaped(bytes) => {
                bytes.len()
            }
        });
        parts.sum::<usize>() + self.text.capacity()
    }

    /// Bytes of JSON.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            length: self.len(),
            held: self.held(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.extend(text.as_bytes());
    }

    pub(crate) fn push_json(&mut self, value: &impl Serialize) {
        self.extend(&json_of(value));
    }

    fn extend(&mut self, mut text: &[u8]) {
        self.length += text.len();
        while !text.is_empty() {
            if self.text.len() >= TEXT {
                self.seal();
            }
            let room = TEXT.saturating_sub(self.text.len());
            let (now, later) = text.split_at(room.min(text.len()));
            self.text.extend_from_slice(now);
            text = later;
        }
    }

    /// A text of `0x` and the bytes in hex.
    pub(crate) fn push_hex(&mut self, bytes: Bytes) {
        self.push("\"");
        self.push_digits(bytes);
        self.push("\"");
    }

    /// `0x` and the bytes in hex.
    pub(crate) fn push_digits(&mut self, bytes: Bytes) {
        self.push("0x");
        self.length += 2 * bytes.len();
        if bytes.len() <= PIECE {
            if self.text.len() + 2 * bytes.len() > TEXT {
                self.seal();
            }
            let before = self.text.len();
            self.text.resize(before + 2 * bytes.len(), 0);
            encode(&bytes, self.text.get_mut(before..).unwrap_or_default());
        } else {
            self.seal();
            self.parts.push_back(Part::Hex(bytes));
        }
    }

    /// The bytes as they are: JSON, or all of a body.
    pub(crate) fn push_raw(&mut self, bytes: Bytes) {
        if bytes.len() <= PIECE {
            return self.extend(&bytes);
        }
        self.length += bytes.len();
        self.seal();
        self.parts.push_back(Part::Raw(bytes));
    }

    /// A text of JSON: of UTF-8 that takes so many bytes there, [`escaped_length`].
    pub(crate) fn push_text(&mut self, utf8: Bytes, escaped: usize) {
        self.push("\"");
        if utf8.len() <= PIECE {
            self.extend(&escape(&utf8));
        } else {
            self.length += escaped;
            self.seal();
            self.parts.push_back(Part::Escaped(utf8));
        }
        self.push("\"");
    }

    /// The members of `value`, an object, and its end: those before are written already.
    pub(crate) fn push_members(&mut self, value: &impl Serialize) {
        let mut members = json_of(value);
        if let Some(brace) = members.first_mut() {
            *brace = b',';
        }
        self.extend(&members);
    }

    pub(crate) fn append(&mut self, other: Self) {
        if other.parts.is_empty() {
            self.extend(&other.text);
        } else {
            self.seal();
            self.parts.extend(other.parts);
            self.text = other.text;
            self.length += other.length;
        }
    }

    /// An array of `answers`.
    pub(crate) fn array(answers: impl IntoIterator<Item = Self>) -> Self {
        let mut array = Self::text("[");
        for (index, answer) in answers.into_iter().enumerate() {
            if index > 0 {
                array.push(",");
            }
            array.append(answer);
        }
        array.push("]");
        array
    }

    /// Has a part end here.
    fn seal(&mut self) {
        if !self.text.is_empty() {
            let mut text = mem::take(&mut self.text);
            text.shrink_to_fit();
            self.parts.push_back(Part::Text(text.into()));
        }
    }

    /// What is sent next, if anything is left.
    pub(crate) fn next_piece(&mut self) -> Option<Bytes> {
        let piece = match self.parts.pop_front() {
            None if self.text.is_empty() => return None,
            None => mem::take(&mut self.text).into(),
            Some(Part::Text(text)) => text,
            Some(Part::Hex(mut bytes)) => {
                let piece = bytes.split_to(PIECE.min(bytes.len()));
                if !bytes.is_empty() {
                    self.parts.push_front(Part::Hex(bytes));
                }
                let mut digits = vec![0; 2 * piece.len()];
                encode(&piece, &mut digits);
                digits.into()
            }
            Some(Part::Raw(mut bytes)) => {
                let piece = bytes.split_to(TEXT.min(bytes.len()));
                if !bytes.is_empty() {
                    self.parts.push_front(Part::Raw(bytes));
                }
                // A piece of the whole would hold all of it while the connection has it.
                Bytes::copy_from_slice(&piece)
            }
            Some(Part::Escaped(mut utf8)) => {
                let piece = utf8.split_to(character_boundary(&utf8, PIECE));
                if !utf8.is_empty() {
                    self.parts.push_front(Part::Escaped(utf8));
                }
                escape(&piece).into()
            }
        };
        self.length -= piece.len();
        Some(piece)
    }

    /// All of it in one piece.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        let mut written = Vec::with_capacity(self.length);
        while let Some(piece) = self.next_piece() {
            written.extend_from_slice(&piece);
        }
        written
    }
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what is answered has only texts as keys")
}

/// The last place at or before `most` where no character is cut.
fn character_boundary(utf8: &[u8], most: usize) -> usize {
    let is_within = |place: usize| utf8.get(place).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut places = (1..=most.min(utf8.len())).rev();
    places
        .find(|place| !is_within(*place))
        .unwrap_or(utf8.len())
}

/// UTF-8 as it stands in a text of JSON.
fn escape(utf8: &[u8]) -> Vec<u8> {
    let mut text = json_of(&String::from_utf8_lossy(utf8));
    text.pop();
    text.drain(..1);
    text
}

/// Bytes that a text takes in JSON, without its quotes.
pub(crate) fn escaped_length(text: &str) -> usize {
    let length = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

fn encode(bytes: &[u8], digits: &mut [u8]) {
    hex::encode_to_slice(bytes, digits).expect("there are two digits for each byte");
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex_of(length: usize) -> (Answer, String) {
        let bytes: Vec<u8> = (0..length).map(|byte| byte.to_le_bytes()[0]).collect();
        let mut answer = Answer::default();
        answer.push_hex(bytes.clone().into());
        (answer, format!("\"{}\"", hex::encode_prefixed(bytes)))
    }

    #[test]
    fn pieces_make_up_the_whole() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE + 7] {
            let (answer, expect) = hex_of(length);
            assert_eq!(answer.len(), expect.len(), "{length}");
            assert_eq!(answer.into_bytes(), expect.as_bytes(), "{length}");
        }
    }

    #[test]
    fn long_bytes_are_held_as_they_are() {
        let (answer, _) = hex_of(40 * PIECE);
        assert!(answer.held() < 41 * PIECE, "{}", answer.held());
        let (small, _) = hex_of(40);
        assert!(small.parts.is_empty());
    }

    #[test]
    fn long_text_is_sent_in_pieces_too() {
        let text = "x".repeat(5 * TEXT + 7);
        let member = "y".repeat(PIECE - 1);
        let mut object = Answer::text("{\"long\":");
        object.push(&format!("\"{text}\""));
        object.push_members(&json!({ "short": 7 }));
        let mut answer = Answer::array((0..9).map(|_| Answer::json(&member)));
        answer.append(object);
        let all: String = std::iter::repeat_n(format!("\"{member}\""), 9)
            .collect::<Vec<_>>()
            .join(",");
        let expect = format!("[{all}]{{\"long\":\"{text}\",\"short\":7}}");
        assert_eq!(answer.len(), expect.len());
        assert!(
            answer.held() <= expect.len() + 2 * TEXT,
            "{}",
            answer.held()
        );
        let mut written = Vec::new();
        while let Some(piece) = answer.next_piece() {
            assert!(piece.len() <= TEXT, "{}", piece.len());
            written.extend_from_slice(&piece);
        }
        assert!(written == expect.as_bytes());
    }

    #[test]
    fn what_others_hold_is_sent_in_pieces() {
        for length in [0, 1, TEXT, TEXT + 1, 3 * TEXT] {
            let text = Bytes::from("x".repeat(length));
            let mut answer = Answer::written(&text);
            assert_eq!(answer.len(), length);
            let mut written = Vec::new();
            while let Some(piece) = answer.next_piece() {
                assert!(piece.len() <= TEXT, "{}", piece.len());
                written.extend_from_slice(&piece);
            }
            assert!(written == text);
        }
    }

    #[test]
    fn long_bytes_and_texts_are_sent_in_pieces() {
        for text in ["é\u{1f980}x\"\n\u{1}".repeat(20_000), "€".repeat(PIECE)] {
            let mut raw = Answer::default();
            raw.push_raw(text.clone().into());
            let mut escaped = Answer::default();
            escaped.push_text(text.clone().into(), escaped_length(&text));
            for (mut answer, expect) in [(raw, text.clone()), (escaped, json!(text).to_string())] {
                assert!(answer.held() <= text.len() + 2 * TEXT);
                let mut left = expect.len();
                let mut written = Vec::new();
                while let Some(piece) = answer.next_piece() {
                    assert!(piece.len() <= 6 * PIECE, "{}", piece.len());
                    left -= piece.len();
                    assert_eq!(answer.len(), left);
                    written.extend_from_slice(&piece);
                }
                assert!(written == expect.as_bytes());
            }
        }
    }

    #[test]
    fn arrays_and_objects_are_put_together() {
        let (long, expect) = hex_of(2 * PIECE);
        let mut object = Answer::text("{\"result\":");
        object.append(long);
        object.push_members(&json!({ "height": 7 }));
        let array = Answer::array([Answer::json(&1), object, Answer::json(&"x")]);
        let expect = format!("[1,{{\"result\":{expect},\"height\":7}},\"x\"]");
        assert_eq!(array.len(), expect.len());
        assert_eq!(array.into_bytes(), expect.as_bytes());
        assert_eq!(Answer::array([]).into_bytes(), b"[]");
    }

    #[test]
    fn a_body_tells_what_is_left_of_it() {
        let (mut answer, expect) = hex_of(3 * PIECE);
        let mut left = expect.len();
        while let Some(piece) = answer.next_piece() {
            assert!(piece.len() <= 2 * PIECE);
            left -= piece.len();
            assert_eq!(answer.size_hint().exact(), Some(left as u64));
            assert_eq!(answer.is_end_stream(), left == 0);
        }
        assert_eq!(left, 0);
    }
}

//! Inscriptions: envelopes in the scripts of Taproot spends, read as `ord` reads
//! them.
//!
//! An envelope is `OP_FALSE OP_IF "ord" … OP_ENDIF`. What is pushed inside are pairs
//! of a tag and a value; an empty tag starts the body, which is all pushes that
//! follow.
//!
//! ```
//! use metashrew_support::raw::Block;
//! use metashrew_support::raw::inscription::tag;
//!
//! # let block = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/block-840243.bin"));
//! let block = Block::parse(block)?;
//! let mut bytes = 0;
//! for transaction in block.transactions() {
//!     for envelope in transaction.envelopes() {
//!         let kind = envelope.field(tag::CONTENT_TYPE);
//!         bytes += envelope.body().map_or(0, |body| body.map(<[u8]>::len).sum());
//! #       let _ = kind;
//!     }
//! }
//! assert!(bytes > 0);
//! # Ok::<(), metashrew_support::raw::ParseError>(())
//! ```
//!
//! What an inscription is worth (bound to which satoshi, cursed or not) is the
//! protocol's matter and not decided here.

mod id;

pub use id::InscriptionId;

use super::Witness;
use super::script::{Instruction, Instructions, instructions, op};
use std::collections::BTreeSet;

/// The tags that `ord` knows; a tag is one byte long. To the even ones, a reader
/// that does not know them must give the inscription no place.
pub mod tag {
    /// The MIME type of the body.
    pub const CONTENT_TYPE: u8 = 1;
    /// On which satoshi of the outputs it is made: see [`pointer`](super::Envelope::pointer).
    pub const POINTER: u8 = 2;
    /// The id of a parent; there may be several: see [`parents`](super::Envelope::parents).
    pub const PARENT: u8 = 3;
    /// CBOR, in any number of pieces: see [`metadata`](super::Envelope::metadata).
    pub const METADATA: u8 = 5;
    /// The name of a protocol.
    pub const METAPROTOCOL: u8 = 7;
    /// How the body is compressed (`br`, say).
    pub const CONTENT_ENCODING: u8 = 9;
    /// The id of the inscription whose content is shown: see [`delegate`](super::Envelope::delegate).
    pub const DELEGATE: u8 = 11;
    /// The name of a rune that is etched, as a number.
    pub const RUNE: u8 = 13;
    /// Anything: it means nothing.
    pub const NOTE: u8 = 15;
    /// CBOR, in any number of pieces.
    pub const PROPERTIES: u8 = 17;
    /// The even tag that no version will know.
    pub const UNBOUND: u8 = 66;
    /// The odd tag that no version will know.
    pub const NOP: u8 = 255;
}

/// An inscription's envelope.
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
/// assert_eq!((envelope.input, envelope.offset), (0, 0));
/// assert!(!envelope.pushnum && !envelope.stutter);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The input whose witness holds it, counted from 0.
    pub input: usize,
    /// How many envelopes of the same input stand before it.
    pub offset: usize,
    /// Whether a number is pushed in it by `OP_1NEGATE` or `OP_1` to `OP_16`.
    pub pushnum: bool,
    /// Whether something that began like an envelope stands before it.
    pub stutter: bool,
    /// The script between `"ord"` and `OP_ENDIF`, seen to hold only pushes.
    payload: &'a [u8],
}

/// The envelopes in the witness of the input `input`, in order.
///
/// A script that ends inside a push holds none. The witness alone does not tell
/// whether a Taproot output is spent, and nobody asks: as in `ord`.
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let inputs = block.transactions().nth(1).unwrap().inputs;
/// use metashrew_support::raw::inscription::envelopes;
///
/// assert_eq!(envelopes(0, &inputs[0].witness).count(), 1);
/// assert_eq!(envelopes(1, &inputs[1].witness).count(), 0);
/// ```
pub fn envelopes<'a>(
    input: usize,
    witness: &Witness<'a>,
) -> impl Iterator<Item = Envelope<'a>> + use<'a> {
    let script = witness.tapscript().unwrap_or_default();
    let whole = instructions(script).all(|instruction| instruction.is_ok());
    let mut scanner = Scanner {
        script: instructions(if whole { script } else { &[] }),
        stuttered: false,
    };
    let mut offset = 0;
    std::iter::from_fn(move || {
        let (payload, pushnum) = scanner.next()?;
        let envelope = Envelope {
            input,
            offset,
            pushnum,
            stutter: scanner.stuttered,
            payload,
        };
        offset += 1;
        Some(envelope)
    })
}

/// A walk over a script that looks for envelopes.
struct Scanner<'a> {
    script: Instructions<'a>,
    stuttered: bool,
}

impl<'a> Scanner<'a> {
    /// The next envelope: what is between `"ord"` and `OP_ENDIF`, and whether numbers
    /// are pushed in it.
    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        loop {
            if self.script.next()?.ok()? != Instruction::Push(&[]) {
                continue;
            }
            let begins =
                self.accept(Instruction::Op(op::IF)) && self.accept(Instruction::Push(b"ord"));
            if !begins {
                self.stuttered = self.peek() == Some(Instruction::Push(&[]));
                continue;
            }
            if let Some(found) = self.payload() {
                return Some(found);
            }
            self.stuttered = false;
        }
    }

    /// The rest of an envelope that began, unless something else than a push comes.
    fn payload(&mut self) -> Option<(&'a [u8], bool)> {
        let start = self.script.rest();
        let mut pushnum = false;
        loop {
            let length = start.len() - self.script.rest().len();
            match self.script.next()?.ok()? {
                Instruction::Push(_) => {}
                Instruction::Op(op::ENDIF) => return Some((start.get(..length)?, pushnum)),
                number @ Instruction::Op(_) => {
                    pushed(number)?;
                    pushnum = true;
                }
            }
        }
    }

    fn accept(&mut self, expected: Instruction<'_>) -> bool {
        let accepted = self.peek() == Some(expected);
        if accepted {
            self.script.next();
        }
        accepted
    }

    fn peek(&self) -> Option<Instruction<'a>> {
        self.script.clone().next()?.ok()
    }
}

/// The bytes that an instruction pushes, if it does nothing else.
fn pushed(instruction: Instruction<'_>) -> Option<&[u8]> {
    const NUMBERS: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    match instruction {
        Instruction::Push(bytes) => Some(bytes),
        Instruction::Op(op::PUSHNUM_NEG1) => Some(&[0x81]),
        other @ Instruction::Op(_) => {
            let number = usize::from(other.small_number()?);
            NUMBERS.get(number - 1..number)
        }
    }
}

impl<'a> Envelope<'a> {
    /// All that is pushed in it, tags, values and body alike, in order.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// let pushes: Vec<_> = envelope.pushes().take(2).collect();
    /// assert_eq!(pushes, [&[1][..], b"text/plain"]);
    /// ```
    pub fn pushes(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        instructions(self.payload).map_while(|instruction| pushed(instruction.ok()?))
    }

    /// Tags and their values before the body, in order; a tag without a value is left
    /// out.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// let tags: Vec<u8> = envelope.fields().map(|(tag, _)| tag[0]).collect();
    /// assert_eq!(tags, [1, 2, 3, 5, 11, 17]);
    /// ```
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut pushes = self.pushes();
        std::iter::from_fn(move || {
            let tag = pushes.next().filter(|tag| !tag.is_empty())?;
            Some((tag, pushes.next()?))
        })
        .fuse()
    }

    /// The first value of a tag: what counts of all [tags](tag) but the ones with a
    /// function of their own.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// use metashrew_support::raw::inscription::tag;
    ///
    /// assert_eq!(envelope.field(tag::METADATA), Some(&[0xa0][..]));
    /// assert_eq!(envelope.field(tag::METAPROTOCOL), None);
    /// ```
    pub fn field(&self, tag: u8) -> Option<&'a [u8]> {
        self.values(tag).next()
    }

    /// All values of a tag, in order.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// use metashrew_support::raw::inscription::tag;
    ///
    /// assert!(envelope.values(tag::PARENT).eq([[0xab; 32]]));
    /// ```
    pub fn values(&self, tag: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields()
            .filter(move |(name, _)| *name == [tag])
            .map(|(_, value)| value)
    }

    /// The pieces of the body, in order, if there is a body. A tapscript's pushes have
    /// at most 520 bytes, so most bodies come in several.
    ///
    /// `body.flatten().copied().collect::<Vec<u8>>()` is all of it.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// let body = envelope.body().unwrap();
    /// assert_eq!(body.flatten().copied().collect::<Vec<u8>>(), b"hello");
    /// ```
    pub fn body(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let mut pushes = self.pushes();
        while !pushes.next()?.is_empty() {
            pushes.next()?;
        }
        Some(pushes)
    }

    /// The MIME type of the body, as it is written.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert_eq!(envelope.content_type(), Some(&b"text/plain"[..]));
    /// ```
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.field(tag::CONTENT_TYPE)
    }

    /// The place of the satoshi that is inscribed, among those of all outputs in
    /// order; `None` if it is not said, or is beyond 64 bits.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert_eq!(envelope.pointer(), Some(513));
    /// ```
    pub fn pointer(&self) -> Option<u64> {
        let value = self.field(tag::POINTER)?;
        let (number, beyond) = value.split_at(value.len().min(8));
        let fits = beyond.iter().all(|byte| *byte == 0);
        fits.then(|| {
            number
                .iter()
                .rfold(0, |sum, byte| sum << 8 | u64::from(*byte))
        })
    }

    /// The ids of its parents; malformed ones are left out.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// use metashrew_support::raw::InscriptionId;
    ///
    /// assert!(envelope.parents().eq([InscriptionId { txid: [0xab; 32], index: 0 }]));
    /// ```
    pub fn parents(&self) -> impl Iterator<Item = InscriptionId> + use<'a> {
        self.values(tag::PARENT)
            .filter_map(InscriptionId::from_value)
    }

    /// The id of the inscription whose content is shown in its place.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert_eq!(envelope.delegate().unwrap().txid, [0xcd; 32]);
    /// ```
    pub fn delegate(&self) -> Option<InscriptionId> {
        InscriptionId::from_value(self.field(tag::DELEGATE)?)
    }

    /// The metadata's CBOR, put together from its pieces.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert_eq!(envelope.metadata(), Some(vec![0xa0])); // An empty map.
    /// ```
    pub fn metadata(&self) -> Option<Vec<u8>> {
        self.joined(tag::METADATA)
    }

    /// The properties' CBOR, put together from its pieces.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert_eq!(envelope.properties(), Some(vec![0xa0])); // An empty map.
    /// ```
    pub fn properties(&self) -> Option<Vec<u8>> {
        self.joined(tag::PROPERTIES)
    }

    fn joined(&self, tag: u8) -> Option<Vec<u8>> {
        self.values(tag)
            .fold(None, |joined: Option<Vec<u8>>, piece| {
                let mut joined = joined.unwrap_or_default();
                joined.extend_from_slice(piece);
                Some(joined)
            })
    }

    /// Whether a tag stands at the end, without a value.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert!(!envelope.has_incomplete_field());
    /// ```
    pub fn has_incomplete_field(&self) -> bool {
        let mut pushes = self.pushes();
        loop {
            match (pushes.next(), pushes.next()) {
                (None | Some([]), _) => return false,
                (Some(_), None) => return true,
                _ => {}
            }
        }
    }

    /// Whether a tag has more than one value.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert!(!envelope.has_duplicate_field());
    /// ```
    pub fn has_duplicate_field(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.fields().any(|(tag, _)| !seen.insert(tag))
    }

    /// Whether there is a field with an even tag that is none of the [tags](tag), or
    /// a second [`POINTER`](tag::POINTER): such an inscription has no place.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let envelope = block.transactions().nth(1).unwrap().envelopes().next().unwrap();
    /// assert!(!envelope.has_unrecognized_even_field());
    /// ```
    pub fn has_unrecognized_even_field(&self) -> bool {
        let even = |tag: &&[u8]| tag.first().is_some_and(|first| first % 2 == 0);
        let mut tags = self.fields().map(|(tag, _)| tag).filter(even);
        let mut pointers = 0;
        tags.any(|name| {
            pointers += usize::from(name == [tag::POINTER]);
            name != [tag::POINTER] || pointers > 1
        })
    }
}

#[cfg(test)]
pub(super) mod tests;

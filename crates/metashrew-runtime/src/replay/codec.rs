//! The bytes of a bundle (`docs/replay.md`): a line that tells what it is and its version, a
//! checksum, and the content, compressed.
//!
//! A bundle is a file from somebody: what it makes the reader hold has a bound, and one that is
//! not as it should be is an error.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{GuestId, HistoryRoot, WriteError, WriteSet};
use sha2::{Digest, Sha256};

use super::bundle::{Bundle, Outcome};
use super::read_set::{ReadSet, TooLarge};
use super::varint;

/// What a bundle may have, as a file and when it is unpacked, in bytes: 512 MiB.
pub const MAX_BUNDLE_BYTES: usize = 512 << 20;

/// What every bundle begins with; a number and a line end follow.
const MAGIC: &[u8] = b"metashrew replay bundle ";

/// The version of the format, the only one that is written and read.
const VERSION: &[u8] = b"1\n";

const CHECKSUM_LEN: usize = 32;

/// LZ4 makes of a byte so many at most.
const MAX_RATIO: usize = 255;

/// A bundle that cannot be read, or not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes begin otherwise.
    #[error("this is no bundle of `metashrew replay make`")]
    NotABundle,
    /// The bundle has another version.
    #[error("the bundle has version {found} of the format, this program reads version 1")]
    Version {
        /// The version, as the bundle has it.
        found: String,
    },
    /// The bundle is cut off, or bytes of it are wrong.
    #[error("the bundle is damaged: {0}")]
    Damaged(&'static str),
    /// It has more than may be.
    #[error("the bundle has more than the {MAX_BUNDLE_BYTES} bytes that one may have")]
    TooLong,
    /// Its read set is larger than one may be.
    #[error(transparent)]
    Reads(#[from] TooLarge),
    /// What the block wrote cannot be written.
    #[error("the bundle's writes are none: {0}")]
    Writes(#[from] WriteError),
}

impl Bundle {
    /// Its bytes.
    ///
    /// # Errors
    /// If there would be more than [`MAX_BUNDLE_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        let content = self.content();
        if content.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong);
        }
        let mut body = Vec::new();
        varint::put(&mut body, content.len() as u64);
        body.extend(lz4_flex::block::compress(&content));
        let mut bundle = [MAGIC, VERSION].concat();
        bundle.extend_from_slice(&checksum(&body));
        bundle.extend(body);
        if bundle.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong);
        }
        Ok(bundle)
    }

    fn content(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, self.block.height.into());
        for part in [
            self.block.hash.as_bytes(),
            self.block.parent.as_bytes(),
            self.below.as_bytes(),
            &self.guest.sha256,
        ] {
            out.extend_from_slice(part);
        }
        for text in [&self.guest.name, &self.guest.version] {
            put_optional(&mut out, text.as_ref().map(String::as_bytes));
        }
        put_bytes(&mut out, &self.bytes);
        put_optional(&mut out, self.module.as_deref());
        put_pairs(&mut out, self.reads.values());
        let ranges = self.reads.ranges();
        varint::put(&mut out, ranges.len() as u64);
        for (start, end) in ranges {
            put_bytes(&mut out, start);
            put_optional(&mut out, end);
        }
        match &self.outcome {
            Outcome::Wrote(writes) => {
                out.push(0);
                put_pairs(&mut out, writes.sorted());
            }
            Outcome::Failed(fault) => {
                out.push(1);
                put_bytes(&mut out, fault.as_bytes());
            }
        }
        out
    }

    /// The bundle that `bytes` are.
    ///
    /// # Errors
    /// If they are none, of another version, damaged or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong);
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(BundleError::NotABundle)?;
        let rest = rest.strip_prefix(VERSION).ok_or_else(|| version(rest))?;
        let cut = BundleError::Damaged("its end is missing");
        let (checked, mut body) = rest.split_at_checked(CHECKSUM_LEN).ok_or(cut)?;
        if checksum(body) != checked {
            return Err(BundleError::Damaged("its checksum is another one"));
        }
        let length = varint::take(&mut body).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(BundleError::Damaged("it does not tell its length"))?;
        if length > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong);
        }
        if length > body.len().saturating_mul(MAX_RATIO) {
            return Err(BundleError::Damaged("it cannot be as long as it says"));
        }
        let content = lz4_flex::block::decompress(body, length)
            .ok()
            .filter(|content| content.len() == length)
            .ok_or(BundleError::Damaged("it cannot be unpacked"))?;
        let content = Bytes::from(content);
        let mut content = Content {
            whole: &content,
            rest: &content,
        };
        let bundle = content.bundle()?;
        if !content.rest.is_empty() {
            return Err(BundleError::Damaged("there is something behind its end"));
        }
        Ok(bundle)
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    Sha256::digest(body).into()
}

/// The error of a bundle whose version is at the front of `rest`.
fn version(rest: &[u8]) -> BundleError {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let digits = line.get(..line.len().min(10)).unwrap_or_default();
    match str::from_utf8(digits) {
        Ok(found)
            if !line.is_empty()
                && line.len() <= 10
                && found.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            let found = found.to_owned();
            BundleError::Version { found }
        }
        _ => BundleError::NotABundle,
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

fn put_pairs<'a>(out: &mut Vec<u8>, pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) {
    varint::put(out, pairs.len() as u64);
    for (key, value) in pairs {
        put_bytes(out, key);
        put_bytes(out, value);
    }
}

/// The content of a bundle, read from its front.
struct Content<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Content<'a> {
    fn bundle(&mut self) -> Result<Bundle, BundleError> {
        let height = u32::try_from(self.number()?)
            .map_err(|_| BundleError::Damaged("its height is none"))?;
        let (hash, parent) = (self.hash()?, self.hash()?);
        let below = HistoryRoot::from_bytes(self.hash()?);
        let sha256 = self.hash()?;
        let (name, version) = (self.optional_text()?, self.optional_text()?);
        let bytes = self.shared()?;
        let module = if self.flag()? {
            Some(self.shared()?)
        } else {
            None
        };
        let mut reads = ReadSet::default();
        self.pairs(|key, value| Ok(reads.note(key, value)?))?;
        self.ranges(&mut reads)?;
        Ok(Bundle {
            block: Bundle::block_ref(height, hash, parent),
            below,
            bytes,
            guest: GuestId {
                sha256,
                name,
                version,
            },
            module,
            reads: Arc::new(reads),
            outcome: self.outcome()?,
        })
    }

    fn ranges(&mut self, reads: &mut ReadSet) -> Result<(), BundleError> {
        let mut before: Option<&[u8]> = None;
        for number in 1..=self.number()? {
            let start = self.bytes()?;
            let end = if self.flag()? {
                Some(self.bytes()?)
            } else {
                None
            };
            reads.cover(start, end)?;
            let is_apart = reads.ranges().len() as u64 == number;
            if !is_apart || before.is_some_and(|before| before >= start) {
                return Err(BundleError::Damaged("its ranges are not in order"));
            }
            before = Some(start);
        }
        Ok(())
    }

    fn outcome(&mut self) -> Result<Outcome, BundleError> {
        if self.flag()? {
            return Ok(Outcome::Failed(self.text()?));
        }
        let mut writes = WriteSet::default();
        self.pairs(|key, value| Ok(writes.insert(key, value)?))?;
        Ok(Outcome::Wrote(writes))
    }

    /// Gives `each` pairs of a key and a value. Their keys are in order.
    fn pairs(
        &mut self,
        mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let mut before: Option<&[u8]> = None;
        for _ in 0..self.number()? {
            let (key, value) = (self.bytes()?, self.bytes()?);
            if before.is_some_and(|before| before >= key) {
                return Err(BundleError::Damaged("its keys are not in order"));
            }
            each(key, value)?;
            before = Some(key);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<u64, BundleError> {
        varint::take(&mut self.rest).ok_or(BundleError::Damaged("a number of it is none"))
    }

    fn flag(&mut self) -> Result<bool, BundleError> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(BundleError::Damaged(
                "a part of it is of no kind that is known",
            )),
        }
    }

    fn hash(&mut self) -> Result<[u8; 32], BundleError> {
        let hash = self.take(32)?;
        <[u8; 32]>::try_from(hash).map_err(|_| BundleError::Damaged("a hash of it is none"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], BundleError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(length)
    }

    /// Bytes that stay in the memory of the whole.
    fn shared(&mut self) -> Result<Bytes, BundleError> {
        let bytes = self.bytes()?;
        Ok(self.whole.slice_ref(bytes))
    }

    fn text(&mut self) -> Result<String, BundleError> {
        let text = String::from_utf8(self.bytes()?.to_vec());
        text.map_err(|_| BundleError::Damaged("a text of it is none"))
    }

    fn optional_text(&mut self) -> Result<Option<String>, BundleError> {
        if self.flag()? {
            return self.text().map(Some);
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BundleError> {
        let parts = self.rest.split_at_checked(length);
        let (taken, rest) = parts.ok_or(BundleError::Damaged("its content ends early"))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;

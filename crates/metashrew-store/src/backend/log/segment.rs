//! One file of the log: a header, and the frames of batches whose numbers have no gap.

use std::io;
use std::sync::Arc;

use bytes::Buf;
use xxhash_rust::xxh3::xxh3_64;

use super::BatchNumber;
use super::files::{Files, LogFile};

/// Magic, sequence number, first batch, synced, salt, checksum of these.
pub(super) const SEGMENT_HEADER_LEN: usize = 8 + 8 + 8 + 8 + 8 + 8;
const MAGIC: u64 = u64::from_be_bytes(*b"MSHRLOG\x01");
const CHECKED_LEN: usize = SEGMENT_HEADER_LEN - 8;
const EXTENSION: &str = ".log";
/// A segment that is being made; it gets its name when it is whole.
pub(super) const UNFINISHED: &str = "unfinished";

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Newer segments have greater ones.
    pub(super) sequence: u64,
    /// The number of the first batch. What older segments hold from it on is void.
    pub(super) first: BatchNumber,
    /// The last batch that was known to be durable when the segment was begun.
    pub(super) synced: BatchNumber,
    /// Seeds the checksums of the frames.
    pub(super) salt: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        let fields = [MAGIC, self.sequence, self.first, self.synced, self.salt];
        let (checked, checksum) = bytes.split_at_mut(CHECKED_LEN);
        for (target, field) in checked.chunks_exact_mut(8).zip(fields) {
            target.copy_from_slice(&field.to_be_bytes());
        }
        checksum.copy_from_slice(&xxh3_64(checked).to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER_LEN]) -> Option<Self> {
        let (checked, mut checksum) = bytes.split_at(CHECKED_LEN);
        let mut fields = checked;
        if xxh3_64(checked) != checksum.get_u64() || fields.get_u64() != MAGIC {
            return None;
        }
        let header = Self {
            sequence: fields.get_u64(),
            first: fields.get_u64(),
            synced: fields.get_u64(),
            salt: fields.get_u64(),
        };
        (header.first > 0 && header.synced < header.first).then_some(header)
    }
}

/// The name of a segment.
pub(super) fn name(sequence: u64) -> String {
    format!("{sequence:010}{EXTENSION}")
}

/// The sequence number in a segment's name.
pub(super) fn sequence(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(EXTENSION)?.parse().ok()?;
    (self::name(sequence) == name).then_some(sequence)
}

/// A segment, with where its frames end.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn LogFile>,
    /// Where each frame ends, from that of the first batch on.
    pub(super) ends: Vec<u64>,
}

impl Segment {
    /// Opens the segment with this sequence number, without looking at its frames; none if
    /// its header is not what was written.
    pub(super) fn open(
        files: &dyn Files,
        sequence: u64,
        writable: bool,
    ) -> io::Result<Option<Self>> {
        let file = files.open(&name(sequence), writable)?;
        if file.len()? < SEGMENT_HEADER_LEN as u64 {
            return Ok(None);
        }
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes).filter(|header| header.sequence == sequence);
        Ok(header.map(|header| Self {
            header,
            file: file.into(),
            ends: Vec::new(),
        }))
    }

    pub(super) fn name(&self) -> String {
        name(self.header.sequence)
    }

    /// The last batch it holds; the one before its first if it holds none.
    pub(super) fn last(&self) -> BatchNumber {
        self.header.first - 1 + self.ends.len() as u64
    }

    /// Where its frames end.
    pub(super) fn end(&self) -> u64 {
        let last = self.ends.last().copied();
        last.unwrap_or(SEGMENT_HEADER_LEN as u64)
    }

    /// Where the frame of batch `number` begins, which it must hold.
    pub(super) fn start_of(&self, number: BatchNumber) -> u64 {
        let before = number.checked_sub(self.header.first + 1);
        before
            .and_then(|index| self.ends.get(usize::try_from(index).ok()?).copied())
            .unwrap_or(SEGMENT_HEADER_LEN as u64)
    }

    /// Forgets the batches from `number` on.
    pub(super) fn truncate(&mut self, number: BatchNumber) {
        let kept = number.saturating_sub(self.header.first);
        self.ends
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }
}

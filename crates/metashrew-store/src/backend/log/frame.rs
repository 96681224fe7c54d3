//! One batch in the log: a header with checksums, and the batch's entries.
//!
//! All integers are big-endian. The checksums are seeded with the segment's salt, so that
//! neither a frame of another segment nor bytes that somebody stored pass for one here.

use std::io;

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::BatchNumber;
use super::files::LogFile;
use crate::backend::{Batch, Operation, Space};

/// Length, number, synced, checksum of the entries, checksum of these.
pub(super) const FRAME_HEADER_LEN: usize = 8 + 8 + 8 + 8 + 8;
const CHECKED_LEN: usize = FRAME_HEADER_LEN - 8;
/// Space, length of the key, length of the value.
const ENTRY_HEADER_LEN: usize = 1 + 4 + 4;
/// In the place of a value's length: the key is deleted.
const DELETED: u32 = u32::MAX;
/// How much is read or written at a time.
const CHUNK_LEN: usize = 1 << 20;

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// How many bytes the entries take.
    pub(super) len: u64,
    pub(super) number: BatchNumber,
    /// The last batch that was known to be durable when this one was written.
    pub(super) synced: BatchNumber,
    /// Of the entries.
    pub(super) checksum: u64,
}

/// Why there is no frame at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("the file ends there")]
    End,
    #[error("the header of the batch is not what was written")]
    Header,
    #[error("it says it is batch {0}")]
    Number(BatchNumber),
    #[error("the batch is longer than the file")]
    Cut,
    #[error("the entries of the batch are not what was written")]
    Entries,
}

impl FrameHeader {
    pub(super) fn encode(&self, salt: u64) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        let fields = [self.len, self.number, self.synced, self.checksum];
        let (checked, checksum) = bytes.split_at_mut(CHECKED_LEN);
        for (target, field) in checked.chunks_exact_mut(8).zip(fields) {
            target.copy_from_slice(&field.to_be_bytes());
        }
        checksum.copy_from_slice(&xxh3_64_with_seed(checked, salt).to_be_bytes());
        bytes
    }

    /// The header that `bytes` are, if they are one.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER_LEN], salt: u64) -> Option<Self> {
        let (checked, mut checksum) = bytes.split_at(CHECKED_LEN);
        if xxh3_64_with_seed(checked, salt) != checksum.get_u64() {
            return None;
        }
        let mut fields = checked;
        Some(Self {
            len: fields.get_u64(),
            number: fields.get_u64(),
            synced: fields.get_u64(),
            checksum: fields.get_u64(),
        })
    }

    /// The bytes of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        self.len.saturating_add(FRAME_HEADER_LEN as u64)
    }
}

/// Reads the header of batch `number` at `offset` of a file of `file_len` bytes.
pub(super) fn read_header(
    file: &dyn LogFile,
    file_len: u64,
    offset: u64,
    number: BatchNumber,
    salt: u64,
) -> io::Result<Result<FrameHeader, BadFrame>> {
    let rest = file_len.saturating_sub(offset);
    if rest < FRAME_HEADER_LEN as u64 {
        let end = if rest == 0 {
            BadFrame::End
        } else {
            BadFrame::Cut
        };
        return Ok(Err(end));
    }
    let mut bytes = [0; FRAME_HEADER_LEN];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(match FrameHeader::decode(&bytes, salt) {
        None => Err(BadFrame::Header),
        Some(header) if header.number != number => Err(BadFrame::Number(header.number)),
        Some(header) if header.frame_len() > rest => Err(BadFrame::Cut),
        Some(header) => Ok(header),
    })
}

/// Reads the entries of a frame at `offset` piece by piece, and says whether they are
/// what was written.
pub(super) fn check_entries(
    file: &dyn LogFile,
    offset: u64,
    header: &FrameHeader,
    salt: u64,
    mut piece: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<bool> {
    let mut hasher = Xxh3::with_seed(salt);
    let mut buffer = Vec::new();
    let mut done = 0;
    while done < header.len {
        let len = (header.len - done).min(CHUNK_LEN as u64);
        buffer.resize(usize::try_from(len).unwrap_or(CHUNK_LEN), 0);
        file.read_exact_at(&mut buffer, offset + FRAME_HEADER_LEN as u64 + done)?;
        hasher.update(&buffer);
        piece(&buffer, done)?;
        done += len;
    }
    Ok(hasher.digest() == header.checksum)
}

/// Reads the batch at `offset`. Its keys and values are slices of one allocation.
pub(super) fn read_batch(
    file: &dyn LogFile,
    file_len: u64,
    offset: u64,
    number: BatchNumber,
    salt: u64,
) -> io::Result<Result<Batch, BadFrame>> {
    let header = match read_header(file, file_len, offset, number, salt)? {
        Ok(header) => header,
        Err(bad) => return Ok(Err(bad)),
    };
    // No longer than the file.
    let Ok(len) = usize::try_from(header.len) else {
        return Ok(Err(BadFrame::Cut));
    };
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset + FRAME_HEADER_LEN as u64)?;
    let batch = (xxh3_64_with_seed(&bytes, salt) == header.checksum)
        .then(|| decode_entries(Bytes::from(bytes)))
        .flatten();
    Ok(batch.ok_or(BadFrame::Entries))
}

/// Copies batch `number` from one segment to another, and returns the length of its frame.
pub(super) fn copy(
    from: (&dyn LogFile, u64, u64),
    to: (&dyn LogFile, u64, u64),
    number: BatchNumber,
    synced: BatchNumber,
) -> io::Result<Result<u64, BadFrame>> {
    let ((source, source_at, source_salt), (target, target_at, target_salt)) = (from, to);
    let header = match read_header(source, source.len()?, source_at, number, source_salt)? {
        Ok(header) => header,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut hasher = Xxh3::with_seed(target_salt);
    let whole = check_entries(source, source_at, &header, source_salt, |piece, at| {
        hasher.update(piece);
        target.write_all_at(piece, target_at + FRAME_HEADER_LEN as u64 + at)
    })?;
    if !whole {
        return Ok(Err(BadFrame::Entries));
    }
    let header = FrameHeader {
        synced,
        checksum: hasher.digest(),
        ..header
    };
    target.write_all_at(&header.encode(target_salt), target_at)?;
    Ok(Ok(header.frame_len()))
}

/// Writes frames; keeps its buffer from one to the next.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    buffer: Vec<u8>,
}

impl FrameWriter {
    /// Writes the frame of a batch at `offset`, and returns its length. A short batch is
    /// one write; of a long one no more than a chunk and a value is copied.
    pub(super) fn write(
        &mut self,
        file: &dyn LogFile,
        offset: u64,
        (number, synced): (BatchNumber, BatchNumber),
        batch: &Batch,
        salt: u64,
    ) -> io::Result<u64> {
        let mut hasher = Xxh3::with_seed(salt);
        let mut len = 0;
        let mut written = 0;
        self.buffer.clear();
        self.buffer.resize(FRAME_HEADER_LEN, 0);
        for operation in batch.operations() {
            let entry_len = encode_entry(operation, &mut self.buffer)?;
            len += entry_len as u64;
            if self.buffer.len() >= CHUNK_LEN {
                hasher.update(payload(&self.buffer, written));
                file.write_all_at(&self.buffer, offset + written)?;
                written += self.buffer.len() as u64;
                self.buffer.clear();
                self.buffer.shrink_to(2 * CHUNK_LEN);
            }
        }
        hasher.update(payload(&self.buffer, written));
        let header = FrameHeader {
            len,
            number,
            synced,
            checksum: hasher.digest(),
        };
        let encoded = header.encode(salt);
        if written == 0 {
            for (target, byte) in self.buffer.iter_mut().zip(encoded) {
                *target = byte;
            }
            file.write_all_at(&self.buffer, offset)?;
        } else {
            file.write_all_at(&self.buffer, offset + written)?;
            file.write_all_at(&encoded, offset)?;
        }
        Ok(header.frame_len())
    }
}

/// What a buffer holds of the entries: the first one begins with room for the header.
fn payload(buffer: &[u8], written: u64) -> &[u8] {
    let start = if written == 0 { FRAME_HEADER_LEN } else { 0 };
    buffer.get(start..).unwrap_or_default()
}

fn encode_entry(operation: &Operation, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let too_long = |_| io::Error::other("a key or value is too long for the log");
    let key_len = u32::try_from(operation.key.len()).map_err(too_long)?;
    let value_len = match &operation.value {
        Some(value) => u32::try_from(value.len()).map_err(too_long)?,
        None => DELETED,
    };
    let before = buffer.len();
    buffer.push(operation.space.id());
    buffer.extend_from_slice(&key_len.to_be_bytes());
    buffer.extend_from_slice(&value_len.to_be_bytes());
    buffer.extend_from_slice(&operation.key);
    buffer.extend_from_slice(operation.value.as_deref().unwrap_or_default());
    Ok(buffer.len() - before)
}

fn decode_entries(mut bytes: Bytes) -> Option<Batch> {
    let mut batch = Batch::default();
    while !bytes.is_empty() {
        if bytes.len() < ENTRY_HEADER_LEN {
            return None;
        }
        let space = Space::from_id(bytes.get_u8())?;
        let (key_len, value_len) = (bytes.get_u32(), bytes.get_u32());
        let key = split(&mut bytes, key_len)?;
        if value_len == DELETED {
            batch.delete(space, key);
        } else {
            batch.put(space, key, split(&mut bytes, value_len)?);
        }
    }
    Some(batch)
}

fn split(bytes: &mut Bytes, len: u32) -> Option<Bytes> {
    let len = usize::try_from(len).ok()?;
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

/// The greatest `synced` of all headers of batches above `number` from `offset` on, and
/// how many there are, wherever they begin: what stands before them may be damaged.
pub(super) fn find_headers(
    file: &dyn LogFile,
    file_len: u64,
    mut offset: u64,
    number: BatchNumber,
    salt: u64,
) -> io::Result<(BatchNumber, u64)> {
    let (mut synced, mut count) = (0, 0);
    let mut buffer = Vec::new();
    while file_len.saturating_sub(offset) >= FRAME_HEADER_LEN as u64 {
        let len = (file_len - offset).min((CHUNK_LEN + FRAME_HEADER_LEN) as u64);
        buffer.resize(usize::try_from(len).unwrap_or(CHUNK_LEN), 0);
        file.read_exact_at(&mut buffer, offset)?;
        for candidate in buffer.windows(FRAME_HEADER_LEN) {
            let Some(candidate) = candidate.first_chunk() else {
                continue;
            };
            // Most places are no header: only what can be a number is hashed.
            let found = plausible(candidate, number)
                .then(|| FrameHeader::decode(candidate, salt))
                .flatten();
            if let Some(header) = found {
                synced = synced.max(header.synced);
                count += 1;
            }
        }
        offset += len - FRAME_HEADER_LEN as u64 + 1;
    }
    Ok((synced, count))
}

/// Whether a header may be one of the next batches above `number`.
fn plausible(bytes: &[u8; FRAME_HEADER_LEN], number: BatchNumber) -> bool {
    /// More batches than one segment holds.
    const AHEAD: u64 = 1 << 40;
    let field = bytes.get(8..).and_then(|bytes| bytes.first_chunk());
    field.is_some_and(|field| {
        let found = u64::from_be_bytes(*field);
        found > number && found - number < AHEAD
    })
}

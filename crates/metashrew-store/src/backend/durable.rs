//! A small file beside the engine that remembers the last durable batch.
//!
//! It is written after the engine's sync and never synced itself: after a power
//! cut it may name an earlier batch, which is harmless, but never a later one.
//! So an engine that stands below it has lost what was durable.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::disk::io;
use crate::error::OpenError;

const FILE: &str = "durable";
const NUMBER_LEN: usize = 8;
const SLOT_LEN: usize = NUMBER_LEN + 8;
/// Batches take turns, so that a torn write spares the record before it.
const SLOTS: u64 = 2;

#[derive(Debug)]
pub(super) struct DurableRecord {
    file: File,
}

impl DurableRecord {
    /// Whether there is a record in the directory `path`: then there has been an engine.
    pub(super) fn exists(path: &Path) -> bool {
        path.join(FILE).exists()
    }

    /// The last batch that the record in the directory `path` names; 0 if there is none.
    pub(super) fn read(path: &Path) -> Result<u64, OpenError> {
        match std::fs::read(path.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            bytes => Ok(recorded(
                &bytes.map_err(io("reading the record of durable batches"))?,
            )),
        }
    }

    /// Copies the record, if there is one, from one directory to another.
    pub(super) fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
        match std::fs::read(from.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            bytes => bytes
                .and_then(|bytes| std::fs::write(to.join(FILE), bytes))
                .map_err(io("copying the record of durable batches")),
        }
    }

    /// Moves the record from one directory to another.
    pub(super) fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
        std::fs::rename(from.join(FILE), to.join(FILE))
    }

    /// Opens the record in the directory `path` of an engine whose last durable
    /// batch is `stamp`. What it says of later ones is forgotten.
    pub(super) fn open(path: &Path, stamp: u64) -> Result<Self, OpenError> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join(FILE))
            .map_err(io("opening the record of durable batches"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(io("reading the record of durable batches"))?;
        let found = recorded(&bytes);
        if found > stamp {
            file.set_len(0)
                .map_err(io("clearing the record of durable batches"))?;
        }
        let mut record = Self { file };
        if found != stamp {
            record.advance(stamp);
        }
        Ok(record)
    }

    /// Notes that batch `number` is durable. A failure only makes the check weaker.
    pub(super) fn advance(&mut self, number: u64) {
        let slot = SeekFrom::Start(number % SLOTS * SLOT_LEN as u64);
        let written = self
            .file
            .seek(slot)
            .and_then(|_| self.file.write_all(&encode(number)));
        if let Err(error) = written {
            tracing::warn!(%error, number, "cannot note that a batch is durable");
        }
    }
}

/// The last batch that the record names.
fn recorded(bytes: &[u8]) -> u64 {
    bytes.chunks(SLOT_LEN).filter_map(decode).max().unwrap_or(0)
}

fn encode(number: u64) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    let (bytes, checksum) = slot.split_at_mut(NUMBER_LEN);
    bytes.copy_from_slice(&number.to_be_bytes());
    let digest = Sha256::digest(&*bytes);
    for (target, source) in checksum.iter_mut().zip(digest) {
        *target = source;
    }
    slot
}

fn decode(slot: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(*slot.first_chunk::<NUMBER_LEN>()?);
    (slot == encode(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_durable_batch_is_remembered_until_less_is_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(!DurableRecord::exists(path));
        assert_eq!(DurableRecord::read(path).unwrap(), 0);
        let mut record = DurableRecord::open(path, 3).unwrap();
        record.advance(4);
        record.advance(5);
        drop(record);
        assert!(DurableRecord::exists(path));
        assert_eq!(DurableRecord::read(path).unwrap(), 5);
        DurableRecord::open(path, 4).unwrap();
        assert_eq!(DurableRecord::read(path).unwrap(), 4);
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = DurableRecord::open(directory.path(), 0).unwrap();
        record.advance(6);
        record.advance(7);
        drop(record);
        let file = directory.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(DurableRecord::read(directory.path()).unwrap(), 6);
    }
}

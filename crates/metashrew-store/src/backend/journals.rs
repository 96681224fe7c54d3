//! The engine's journals, read and checked before the engine is opened.
//!
//! A journal is a sequence of batches: a start (number of entries, sequence number), the
//! entries, and an end with a checksum over the entries. Left to itself the engine
//! cuts a journal at the first batch that it cannot read, in silence, and trusts the
//! sequence numbers, which no checksum covers. At the end of the newest journal an
//! unreadable batch is a write torn by a crash. Anywhere else it is damage.
//!
//! Each of our batches carries its number, the *stamp*, in every key space: so a
//! batch, or a whole journal, that is missing between two others shows.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::damage::corrupt;
use super::disk::{STAMP_KEY, Stamp, io};
use crate::directory;
use crate::error::OpenError;

const EXTENSION: &str = "jnl";
/// That of a file that is of no use once whoever was writing it is gone.
const UNFINISHED: &str = "copy";
const START: u8 = 1;
const ENTRY: u8 = 2;
const END: u8 = 3;
const VALUE: u8 = 0;
const TOMBSTONE: u8 = 1;
const LZ4: u8 = 1;
const END_MAGIC: [u8; 4] = *b"FJL\x03";

/// What the journals of one engine hold together.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// In order, oldest first.
    pub(super) files: Vec<JournalFile>,
    /// The numbers of the first and the last batch.
    pub(super) stamps: Option<(Stamp, Stamp)>,
    /// The sequence number of the last batch.
    last_seqno: Option<u64>,
}

#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) path: PathBuf,
    /// Where the whole batches end.
    pub(super) whole: u64,
    /// Where the bytes that are not zero end: new journals are filled with zeros.
    pub(super) content: u64,
}

/// One batch of a journal, with the entries that belong to it.
#[derive(Debug)]
pub(super) struct JournalBatch<'a> {
    pub(super) seqno: u64,
    pub(super) entries: Vec<JournalEntry<'a>>,
}

#[derive(Debug)]
pub(super) struct JournalEntry<'a> {
    pub(super) keyspace: u64,
    pub(super) key: &'a [u8],
    /// None deletes the key.
    pub(super) value: Option<JournalValue<'a>>,
}

/// A value as the journal holds it.
#[derive(Debug)]
pub(super) struct JournalValue<'a> {
    bytes: &'a [u8],
    /// Its length before it was compressed, if it was.
    compressed_from: Option<usize>,
}

impl JournalValue<'_> {
    /// The value itself; none if it cannot be decompressed.
    pub(super) fn decode(&self) -> Option<Vec<u8>> {
        match self.compressed_from {
            None => Some(self.bytes.to_vec()),
            Some(len) => lz4_flex::decompress(self.bytes, len)
                .ok()
                .filter(|value| value.len() == len),
        }
    }
}

impl Journals {
    /// Reads all journals in the engine's directory, and checks that no batch between
    /// the first and the last is missing or unreadable.
    pub(super) fn read(engine: &Path) -> Result<Self, OpenError> {
        let mut journals = Self::default();
        let paths = paths(engine).map_err(io("looking for journals"))?;
        if paths.is_empty() {
            return Err(corrupt("the engine's journals are gone"));
        }
        for path in paths {
            journals.add(path)?;
        }
        // The newest one with content may end in a torn write. An empty one may
        // follow it: begun after a failed write, say for want of space.
        let newest = journals.files.iter().rposition(|file| file.content > 0);
        for file in journals.files.iter().take(newest.unwrap_or(0)) {
            if file.content > file.whole {
                return Err(corrupt(format!(
                    "`{}`, a journal that had been complete, is unreadable from byte {} of {}: commits in the middle are lost",
                    file.path.display(),
                    file.whole,
                    file.content
                )));
            }
        }
        Ok(journals)
    }

    /// The bytes of all whole batches.
    pub(super) fn len(&self) -> u64 {
        self.files.iter().map(|file| file.whole).sum()
    }

    /// Cuts off the torn write at the end of the newest journal, if there is one.
    pub(super) fn cut_torn_write(&self) -> Result<(), OpenError> {
        for journal in self.files.iter().filter(|file| file.content > file.whole) {
            File::options()
                .write(true)
                .open(&journal.path)
                .and_then(|file| file.set_len(journal.whole).and_then(|()| file.sync_all()))
                .map_err(io("cutting a torn write off a journal"))?;
        }
        Ok(())
    }

    /// Puts copies of the journals' whole batches in the place of those files that an
    /// engine which failed may still write to: of its threads some may live on for
    /// a moment, and what it had buffered is written when the last one goes. It also
    /// brings to the disk what a failed sync left in the system's memory only.
    pub(super) fn detach(&self) -> Result<(), OpenError> {
        let newest = self.files.iter().rposition(|file| file.content > 0);
        for journal in self.files.iter().skip(newest.unwrap_or(0)) {
            let copy = journal.path.with_extension(UNFINISHED);
            let copied = || {
                let mut file = File::create(&copy)?;
                file.write_all(&journal.read_whole()?)?;
                file.sync_all()?;
                fs::rename(&copy, &journal.path)?;
                journal.path.parent().map_or(Ok(()), directory::sync)
            };
            if let Err(error) = copied() {
                fs::remove_file(&copy).ok();
                return Err(io("copying a journal")(error));
            }
        }
        Ok(())
    }

    /// Empties the journals: all they hold has been written out and synced. The newest
    /// file stays, since the engine would take a missing one for a new database.
    pub(super) fn empty(&self, engine: &Path) -> Result<(), OpenError> {
        let Some((newest, older)) = self.files.split_last() else {
            return Ok(());
        };
        let emptied = || {
            // Oldest first, so that what is left has no gap whenever this stops.
            for journal in older {
                fs::remove_file(&journal.path)?;
            }
            let newest = File::options().write(true).open(&newest.path)?;
            newest.set_len(0)?;
            newest.sync_all()?;
            directory::sync(engine)
        };
        emptied().map_err(io("emptying the journals"))
    }

    fn add(&mut self, path: PathBuf) -> Result<(), OpenError> {
        let bytes = content(&path).map_err(io("reading a journal"))?;
        let mut batches = Batches::new(&bytes);
        for batch in batches.by_ref() {
            let stamp = batch
                .stamp()
                .ok_or_else(|| corrupt(format!("a batch in `{}` has no number", path.display())))?;
            let follows = self.last_seqno.is_none_or(|last| last < batch.seqno)
                && self
                    .stamps
                    .is_none_or(|(_, last)| last.checked_add(1) == Some(stamp));
            if !follows {
                return Err(corrupt(format!(
                    "batch {stamp} in `{}` does not follow the one before it: commits in the middle are lost",
                    path.display()
                )));
            }
            self.last_seqno = Some(batch.seqno);
            self.stamps = Some((self.stamps.map_or(stamp, |(first, _)| first), stamp));
        }
        let whole = batches.whole as u64;
        self.files.push(JournalFile {
            path,
            whole,
            content: bytes.len() as u64,
        });
        Ok(())
    }
}

impl JournalFile {
    /// The bytes of its whole batches.
    pub(super) fn read_whole(&self) -> io::Result<Vec<u8>> {
        let mut bytes = fs::read(&self.path)?;
        bytes.truncate(usize::try_from(self.whole).unwrap_or(usize::MAX));
        Ok(bytes)
    }
}

/// The journals in the directory, oldest first.
fn paths(engine: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number
            && path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
        {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// What opening the engine at `engine` again may write, in bytes: a copy of its newest
/// journal, and tables with what all of them hold.
pub(super) fn bytes_to_reopen(engine: &Path) -> io::Result<u64> {
    let (mut newest, mut all) = (0, 0);
    for path in paths(engine)? {
        let len = match content(&path) {
            // Threads of the failed engine may still remove what is written out.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            content => content?.len() as u64,
        };
        all += len;
        if len > 0 {
            newest = len;
        }
    }
    Ok(newest + all)
}

/// Removes what a process left that was killed while it copied a journal.
pub(super) fn remove_unfinished(engine: &Path) -> Result<(), OpenError> {
    let remove = || {
        for entry in fs::read_dir(engine)? {
            let path = entry?.path();
            let extension = path.extension();
            if extension.is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    };
    remove().map_err(io("removing an unfinished copy of a journal"))
}

/// A journal's bytes up to the last one that is not zero.
pub(super) fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    let len = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate(len.map_or(0, |last| last + 1));
    Ok(bytes)
}

/// The whole batches at the beginning of a journal's bytes.
pub(super) struct Batches<'a> {
    bytes: &'a [u8],
    /// Where the batches that were returned end.
    pub(super) whole: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, whole: 0 }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = JournalBatch<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.whole..)?;
        let (batch, len) = decode_batch(rest)?;
        self.whole += len;
        Some(batch)
    }
}

/// The batch that `bytes` begin with, if it is whole, and its length.
fn decode_batch(bytes: &[u8]) -> Option<(JournalBatch<'_>, usize)> {
    let mut rest = bytes;
    if take::<1>(&mut rest)? != [START] {
        return None;
    }
    let count = u32::from_le_bytes(take(&mut rest)?);
    let seqno = u64::from_le_bytes(take(&mut rest)?);
    let body = rest;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(decode_entry(&mut rest)?);
    }
    let body = body.get(..body.len() - rest.len())?;
    if take::<1>(&mut rest)? != [END]
        || u64::from_le_bytes(take(&mut rest)?) != xxh3_64(body)
        || take::<4>(&mut rest)? != END_MAGIC
    {
        return None;
    }
    Some((JournalBatch { seqno, entries }, bytes.len() - rest.len()))
}

fn decode_entry<'a>(rest: &mut &'a [u8]) -> Option<JournalEntry<'a>> {
    let [tag, kind, compression] = take(rest)?;
    if tag != ENTRY {
        return None;
    }
    let keyspace = u64::from_le_bytes(take(rest)?);
    let key_len = u16::from_le_bytes(take(rest)?);
    let value_len = u32::from_le_bytes(take(rest)?);
    let stored_len = u32::from_le_bytes(take(rest)?);
    let key = take_slice(rest, usize::from(key_len))?;
    let bytes = take_slice(rest, stored_len as usize)?;
    let value = match kind {
        VALUE => Some(JournalValue {
            bytes,
            compressed_from: (compression == LZ4).then_some(value_len as usize),
        }),
        TOMBSTONE => None,
        _ => return None,
    };
    Some(JournalEntry {
        keyspace,
        key,
        value,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(len)?;
    *bytes = tail;
    Some(head)
}

impl JournalBatch<'_> {
    /// The batch's number. Its entries come last, so the search is short.
    fn stamp(&self) -> Option<Stamp> {
        let entry = self
            .entries
            .iter()
            .rev()
            .find(|entry| *entry.key == STAMP_KEY)?;
        let bytes = entry.value.as_ref()?.bytes;
        Some(Stamp::from_be_bytes(bytes.try_into().ok()?))
    }
}

//! What one block writes, and what it found there before.

use std::sync::OnceLock;

use bytes::Bytes;
use hashbrown::HashTable;

use crate::block::{BlockRef, Height, HistoryRoot};
use crate::error::WriteError;
use crate::hashed_key::HashedKey;
use crate::keys::{MAX_BLOCK_WRITES, MAX_KEY_LEN, MAX_VALUE_LEN, WRITE_OVERHEAD};
use crate::memo::{Memo, MemoPlace, Recalled};
use crate::root::{RootInput, history_root};

/// One version of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The height of the block that wrote it.
    pub height: Height,
    /// What it wrote; may be empty.
    pub value: Bytes,
}

/// The writes of one block, and a memo of the values it read while it ran.
///
/// The last value of a key wins. A commit needs the value that each written key
/// had before; [`remember`](Self::remember) spares it a second read of those
/// that the guest has read anyway.
///
/// All bytes are its own: it keeps nothing else in memory.
#[derive(Debug, Clone, Default)]
pub struct WriteSet {
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    /// In the order in which keys were first written.
    entries: Vec<Entry>,
    /// The numbers of entries, by the hashes of their keys.
    by_hash: HashTable<u32>,
    /// What counts against [`MAX_BLOCK_WRITES`].
    written: usize,
    memo: Memo,
    /// The numbers of entries in key order; found when first asked for.
    sorted: OnceLock<Box<[u32]>>,
    /// The history root that was asked for first, and what it was computed from besides.
    root: OnceLock<Box<(RootInput, HistoryRoot)>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    key: Place,
    value: Place,
}

/// Where a key or a value lies. A block's writes are far below 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    len: u32,
}

impl Place {
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = wide(self.start);
        bytes
            .get(start..start + wide(self.len))
            .expect("entries lie within the bytes")
    }

    /// Adds `part` to `bytes`.
    fn add(bytes: &mut Vec<u8>, part: &[u8]) -> Self {
        let place = Self {
            start: narrow(bytes.len()),
            len: narrow(part.len()),
        };
        bytes.extend_from_slice(part);
        place
    }
}

fn wide(narrow: u32) -> usize {
    usize::try_from(narrow).expect("hosts have at least 32-bit addresses")
}

fn narrow(wide: usize) -> u32 {
    u32::try_from(wide).expect("a block's writes are far below 4 GiB")
}

impl WriteSet {
    /// Sets `key` to `value`, replacing what the block wrote there before.
    ///
    /// The limits are part of what a guest can observe, so they are the same for
    /// every backend and every machine: [`MAX_KEY_LEN`], [`MAX_VALUE_LEN`], and
    /// [`MAX_BLOCK_WRITES`] for all that was ever inserted.
    pub fn insert(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), WriteError> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.len() > MAX_KEY_LEN {
            return Err(WriteError::KeyTooLong { len: key.len() });
        }
        if value.len() > MAX_VALUE_LEN {
            return Err(WriteError::ValueTooLong { len: value.len() });
        }
        let written = self.written + key.len() + value.len() + WRITE_OVERHEAD;
        if written > MAX_BLOCK_WRITES {
            return Err(WriteError::BlockTooLarge);
        }
        self.written = written;
        self.sorted.take();
        self.root.take();
        let key = HashedKey::new(key);
        if let Some(number) = self.find(key) {
            self.replace(number, value);
            return Ok(());
        }
        let entry = Entry {
            hash: key.hash(),
            key: Place::add(&mut self.bytes, key.key()),
            value: Place::add(&mut self.bytes, value),
        };
        let (number, entries) = (narrow(self.entries.len()), &self.entries);
        let hash_of = |number: &u32| entries.get(wide(*number)).map_or(0, |entry| entry.hash);
        self.by_hash.insert_unique(key.hash(), number, hash_of);
        self.entries.push(entry);
        Ok(())
    }

    /// Makes room for `pairs` more keys and values of `bytes` in all, if they can be
    /// within the limits.
    pub fn reserve(&mut self, pairs: usize, bytes: usize) {
        if self.written + bytes <= MAX_BLOCK_WRITES {
            self.bytes.reserve(bytes);
            self.entries
                .reserve(pairs.min(MAX_BLOCK_WRITES / WRITE_OVERHEAD));
        }
    }

    /// Writes `value` over the value of the entry `number`, or behind all others if it
    /// is longer.
    fn replace(&mut self, number: usize, value: &[u8]) {
        let Some(entry) = self.entries.get_mut(number) else {
            return;
        };
        if value.len() > wide(entry.value.len) {
            entry.value = Place::add(&mut self.bytes, value);
            return;
        }
        let start = wide(entry.value.start);
        if let Some(old) = self.bytes.get_mut(start..start + value.len()) {
            old.copy_from_slice(value);
        }
        entry.value.len = narrow(value.len());
    }

    fn find(&self, key: HashedKey<'_>) -> Option<usize> {
        let is_key = |number: &u32| self.key(wide(*number)).key() == key.key();
        self.by_hash.find(key.hash(), is_key).copied().map(wide)
    }

    /// The value this block wrote at `key`.
    pub fn get<'k>(&self, key: impl Into<HashedKey<'k>>) -> Option<&[u8]> {
        self.find(key.into()).map(|number| self.value(number))
    }

    /// How many keys the block wrote.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the block wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The memory it takes, in bytes; the order of its keys is counted before it is known.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.entries.len() * size_of::<u32>()
            + self.by_hash.allocation_size()
            + self.memo.bytes()
    }

    /// The key of the entry `number`; entries are counted in the order in which their
    /// keys were first written.
    pub(crate) fn key(&self, number: usize) -> HashedKey<'_> {
        let entry = self.entry(number);
        HashedKey::with_hash(entry.key.of(&self.bytes), entry.hash)
    }

    /// The key of an entry in [`key_order`](Self::key_order).
    pub(crate) fn key_at(&self, number: u32) -> &[u8] {
        self.entry(wide(number)).key.of(&self.bytes)
    }

    /// The value of the entry `number`.
    pub(crate) fn value(&self, number: usize) -> &[u8] {
        self.entry(number).value.of(&self.bytes)
    }

    fn entry(&self, number: usize) -> &Entry {
        self.entries
            .get(number)
            .expect("entries are numbered from 0 on")
    }

    /// The numbers of the entries in key order. They are sorted by whoever asks first.
    pub(crate) fn key_order(&self) -> &[u32] {
        self.sorted.get_or_init(|| {
            let numbers = 0..narrow(self.entries.len());
            // Most keys differ in their first bytes, which are compared as a number.
            let mut sorted: Vec<_> = numbers
                .map(|number| (leading(self.key(wide(number)).key()), number))
                .collect();
            sorted.sort_unstable_by(|(left_leading, left), (right_leading, right)| {
                left_leading.cmp(right_leading).then_with(|| {
                    let (left, right) = (self.key(wide(*left)), self.key(wide(*right)));
                    left.key().cmp(right.key())
                })
            });
            sorted.into_iter().map(|(_, number)| number).collect()
        })
    }

    /// Sorts the writes, so that nobody has to wait for that later.
    pub fn seal(&self) {
        self.key_order();
    }

    /// The history root of `block`, if these are its writes and `below` is the root of the
    /// block below it.
    ///
    /// What was asked for first is kept: a commit of the same block on the same root does not
    /// compute it again.
    pub fn history_root(&self, block: &BlockRef, below: &HistoryRoot) -> HistoryRoot {
        let input = RootInput {
            below: *below,
            height: block.height,
            hash: block.hash,
        };
        let compute = || history_root(&input, self.sorted());
        let (kept, root) = **self.root.get_or_init(|| Box::new((input, compute())));
        if kept == input { root } else { compute() }
    }

    /// The writes in the order of their keys.
    pub fn sorted(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.sorted_keys()
            .map(|number| (self.key(number).key(), self.value(number)))
    }

    /// The numbers of the entries in key order.
    pub(crate) fn sorted_keys(&self) -> impl ExactSizeIterator<Item = usize> {
        self.key_order().iter().copied().map(wide)
    }

    /// Notes that the newest version of `key` below this block is `newest`; copies it.
    ///
    /// Contract: `newest` was read from the state directly below the block that
    /// this set will be committed as. Anything else would be taken for the truth.
    /// Tells where the value is kept; none if there is no room for it.
    pub fn remember<'k>(
        &mut self,
        key: impl Into<HashedKey<'k>>,
        newest: Option<&Version>,
    ) -> Option<MemoPlace> {
        self.memo.insert(key.into(), newest)
    }

    /// Where the value that was remembered of `key` is kept; none if nothing was.
    pub fn find_remembered<'k>(&self, key: impl Into<HashedKey<'k>>) -> Option<MemoPlace> {
        self.memo.find(key.into())
    }

    /// The value that this set keeps at `place`; empty if the key was absent.
    pub fn remembered_value(&self, place: MemoPlace) -> &[u8] {
        self.memo.value(place)
    }

    /// What was remembered of `key`.
    pub(crate) fn remembered(&self, key: HashedKey<'_>) -> Recalled<'_> {
        self.memo.get(key)
    }
}

/// The first eight bytes of `key`, filled up with zeros, as a number of the same order.
fn leading(key: &[u8]) -> u64 {
    let mut leading = [0; 8];
    for (to, from) in leading.iter_mut().zip(key) {
        *to = *from;
    }
    u64::from_be_bytes(leading)
}

#[cfg(test)]
#[path = "write_set_tests.rs"]
mod tests;

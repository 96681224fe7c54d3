//! What a block read while it ran: keys, and the newest version of each below it.
//!
//! It holds bytes of its own: a value that was read may share the memory of a larger
//! block of the engine, which would live on with it. A full memo takes nothing more:
//! no answer depends on what it holds.

use hashbrown::{HashTable, hash_table};

use crate::block::Height;
use crate::hashed_key::HashedKey;
use crate::write_set::Version;

/// The bytes of keys and values that a block's memo may hold: a full block of Bitcoin
/// reads less than a twentieth.
pub(crate) const MAX_MEMO_BYTES: usize = 64 << 20;

/// A version that was read, borrowed from where it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered<'a> {
    /// The height of the block that wrote it.
    pub(crate) height: Height,
    /// What it wrote; may be empty.
    pub(crate) value: &'a [u8],
}

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recalled<'a> {
    Nothing,
    /// It was never written.
    Absent,
    /// This was its newest version.
    Newest(Remembered<'a>),
}

/// Where a write set keeps a value that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoPlace {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Memo {
    /// Each key, and behind it its value.
    bytes: Vec<u8>,
    entries: HashTable<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    key: MemoPlace,
    /// None if the key was absent.
    version: Option<(Height, MemoPlace)>,
}

impl Memo {
    /// Notes what was found at `key`, and tells where its value is; none if there is no
    /// room.
    pub(crate) fn insert(
        &mut self,
        key: HashedKey<'_>,
        newest: Option<&Version>,
    ) -> Option<MemoPlace> {
        let value_len = newest.map_or(0, |version| version.value.len());
        let end = self.bytes.len() + key.key().len() + value_len;
        // Every key takes an entry, even the empty one.
        if end + self.entries.len() * size_of::<Entry>() > MAX_MEMO_BYTES {
            return None;
        }
        let entry = Entry {
            hash: key.hash(),
            key: MemoPlace::add(&mut self.bytes, key.key()),
            version: newest.map(|version| {
                let place = MemoPlace::add(&mut self.bytes, &version.value);
                (version.height, place)
            }),
        };
        let bytes = &self.bytes;
        let is_key = |entry: &Entry| entry.key.of(bytes) == key.key();
        match self.entries.entry(key.hash(), is_key, |entry| entry.hash) {
            hash_table::Entry::Occupied(mut there) => *there.get_mut() = entry,
            hash_table::Entry::Vacant(there) => drop(there.insert(entry)),
        }
        Some(entry.value())
    }

    fn entry(&self, key: HashedKey<'_>) -> Option<&Entry> {
        let is_key = |entry: &Entry| entry.key.of(&self.bytes) == key.key();
        self.entries.find(key.hash(), is_key)
    }

    /// Where the value found at `key` is, if that is known.
    pub(crate) fn find(&self, key: HashedKey<'_>) -> Option<MemoPlace> {
        self.entry(key).map(Entry::value)
    }

    /// The value at `place`; empty if the key was absent.
    pub(crate) fn value(&self, place: MemoPlace) -> &[u8] {
        place.of(&self.bytes)
    }

    /// What was found at `key`.
    pub(crate) fn get(&self, key: HashedKey<'_>) -> Recalled<'_> {
        match self.entry(key).map(|entry| entry.version) {
            None => Recalled::Nothing,
            Some(None) => Recalled::Absent,
            Some(Some((height, place))) => Recalled::Newest(Remembered {
                height,
                value: place.of(&self.bytes),
            }),
        }
    }

    /// The memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.allocation_size()
    }
}

impl Entry {
    fn value(&self) -> MemoPlace {
        let none = MemoPlace { start: 0, len: 0 };
        self.version.map_or(none, |(_, place)| place)
    }
}

impl MemoPlace {
    fn add(bytes: &mut Vec<u8>, part: &[u8]) -> Self {
        let narrow = |wide| u32::try_from(wide).expect("a memo is far below 4 GiB");
        let (start, len) = (narrow(bytes.len()), narrow(part.len()));
        bytes.extend_from_slice(part);
        Self { start, len }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let wide = |narrow| usize::try_from(narrow).expect("hosts have at least 32-bit addresses");
        let start: usize = wide(self.start);
        bytes
            .get(start..start + wide(self.len))
            .expect("an entry lies within the bytes")
    }
}

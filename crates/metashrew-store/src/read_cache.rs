//! What readers found, kept in memory above the engine: one cache for views,
//! previews, indexing and commits.
//!
//! It holds facts about a key, and no fact ever turns false under a reader that
//! may use it. There are two sorts:
//!
//! - **At a height**: the newest version at or below height H, in chain generation
//!   G. Commits only add blocks above H, and a rollback starts another generation:
//!   within G the fact holds for ever.
//! - **Newest**: the newest version of all, learnt in generation G. *Invariant: it
//!   holds in every publication from the one it was learnt from to the next one to
//!   be published.* Whoever changes the store replaces the facts of the keys it
//!   writes before it publishes ([`supersede`](ReadCache::supersede)); and a reader
//!   that looked before that may not add what it found after it: `written` knows
//!   which publication last wrote each key, and is locked while either adds.
//!
//! A reader at height H, in a snapshot of generation g, may use a newest fact if
//! G ≤ g and its version lies at or below H. Either its snapshot is one of those
//! that the fact holds in, or (G = g) it is an older one of the same chain: then no
//! later block wrote the key, so no earlier one can have written a newer version.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use bytes::Bytes;
use parking_lot::RwLock;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::backend::View;
use crate::block::Height;
use crate::counter::Counter;
use crate::error::ReadError;
use crate::hashed_key::HashedKey;
use crate::history;
use crate::keys::decode_version;
use crate::looked_up::LookedUp;
use crate::write_set::Version;

/// Independent parts of the cache, so that threads seldom meet.
const SHARDS: usize = 64;
/// What an entry takes beside its key and value, in bytes: slots in the tables, what
/// these hold in reserve, and the allocator's own. Measured: 190 to 300.
const ENTRY_BYTES: usize = 300;
/// What a typical entry weighs; only the size of internal tables follows from it.
const TYPICAL_ENTRY_BYTES: u64 = 360;
/// The share of the entries that are remembered by their hash when they are evicted.
const GHOSTS: f64 = 0.25;
/// Keys share this many records of the publication that last wrote them. Keys that
/// fall together only keep a reader from adding a fact that would have been right.
const WRITTEN_RECORDS: usize = 1 << 16;

/// How much the read cache holds, and how well it did since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Reads that were answered from it.
    pub hits: u64,
    /// Reads that went to the engine.
    pub misses: u64,
    /// The facts it holds.
    pub entries: u64,
    /// The memory they take, in bytes.
    pub bytes: u64,
    /// The memory they may take, in bytes; 0 if there is no cache.
    pub capacity_bytes: u64,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// The number of the publication that its snapshot is.
    pub(crate) publication: u64,
    pub(crate) generation: u64,
    /// The height of the snapshot's last block.
    pub(crate) tip: Height,
    /// The height it reads at; not above `tip`.
    pub(crate) height: Height,
}

impl Position {
    /// The scope of what is known of its height alone.
    fn scope(self) -> Scope {
        Scope::At {
            generation: self.generation,
            height: self.height,
        }
    }
}

/// What is known of a key's newest version.
#[derive(Debug)]
pub(crate) enum Known {
    /// It has to be read.
    No,
    /// It is this one; none if the key was never written.
    Yes(Option<Version>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Newest,
    At { generation: u64, height: Height },
}

#[derive(Debug, PartialEq, Eq)]
struct FactKey {
    scope: Scope,
    key: Box<[u8]>,
}

/// A borrowed [`FactKey`], to look one up without an allocation.
#[derive(Clone, Copy)]
struct Sought<'a> {
    scope: Scope,
    key: HashedKey<'a>,
}

impl Scope {
    /// The hash of a fact about a key with this hash.
    fn mix(self, hash: u64) -> u64 {
        /// Odd, its bits without a pattern: the golden ratio's.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        match self {
            Self::Newest => hash,
            Self::At { generation, height } => {
                let place = (generation << 32) ^ u64::from(height);
                (hash ^ place.wrapping_mul(FACTOR)).rotate_left(29)
            }
        }
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.scope.mix(self.key.hash()));
    }
}

impl Hash for FactKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { scope, key } = self;
        let key = HashedKey::from(key);
        Sought { scope: *scope, key }.hash(state);
    }
}

impl Equivalent<FactKey> for Sought<'_> {
    fn equivalent(&self, key: &FactKey) -> bool {
        self.scope == key.scope && *self.key.key() == *key.key
    }
}

/// Passes on the hash that a key brings along.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed(u64);

impl BuildHasher for Hashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only hashes are written");
    }
}

#[derive(Debug, Clone)]
struct Fact {
    /// The generation it was learnt in.
    generation: u64,
    /// The version; none says that the key was never written.
    version: Option<Version>,
}

impl Fact {
    /// With bytes of its own: a version that was read or is written may share the
    /// memory of a larger block.
    fn new(generation: u64, version: Option<&Version>) -> Self {
        let version = version.map(|version| Version {
            height: version.height,
            value: Bytes::copy_from_slice(&version.value),
        });
        Self {
            generation,
            version,
        }
    }

    /// Whether it is the newest version at or below `height`, too.
    fn reaches_down_to(&self, height: Height) -> bool {
        self.version
            .as_ref()
            .is_none_or(|version| version.height <= height)
    }
}

#[derive(Debug, Clone)]
struct FactBytes;

impl Weighter<FactKey, Fact> for FactBytes {
    fn weight(&self, key: &FactKey, fact: &Fact) -> u64 {
        let value = fact
            .version
            .as_ref()
            .map_or(0, |version| version.value.len());
        (ENTRY_BYTES + key.key.len() + value) as u64
    }
}

/// Which publication last wrote a key.
struct Written {
    /// Any key may have been written by the publications up to this one.
    all: u64,
    by_hash: Box<[u64]>,
}

/// The record that `key` shares with others.
fn record_of(key: HashedKey<'_>) -> usize {
    usize::try_from(key.hash() % WRITTEN_RECORDS as u64).unwrap_or_default()
}

type Facts = Cache<FactKey, Fact, FactBytes, Hashed>;

/// The cache of one store.
pub(crate) struct ReadCache {
    facts: Facts,
    written: RwLock<Written>,
    hits: Counter,
    misses: Counter,
}

impl ReadCache {
    /// A cache that holds up to `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / TYPICAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .weight_capacity(bytes)
            .estimated_items_capacity(entries)
            .ghost_allocation(GHOSTS)
            .build()
            .expect("the capacities are given");
        Self {
            facts: Cache::with_options(
                options,
                FactBytes,
                Hashed::default(),
                DefaultLifecycle::default(),
            ),
            written: RwLock::new(Written {
                all: 0,
                by_hash: vec![0; WRITTEN_RECORDS].into_boxed_slice(),
            }),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.total(),
            misses: self.misses.total(),
            entries: self.facts.len() as u64,
            bytes: self.facts.weight(),
            capacity_bytes: self.facts.capacity(),
        }
    }

    /// The newest version of `key` at or below the reader's height: from here, or
    /// else from `view`, the view of the reader's snapshot.
    pub(crate) async fn read(
        &self,
        view: &dyn View,
        reader: Position,
        key: HashedKey<'_>,
    ) -> Result<Option<Version>, ReadError> {
        let mut found = self.look_up(reader, key);
        if let LookedUp::Newest = found {
            let newest = history::newest(view, key.key()).await?;
            found = self.found_newest(reader, key, newest);
        }
        match found {
            LookedUp::Version(version) => Ok(version),
            LookedUp::Newest | LookedUp::Older => self.older(view, reader, key).await,
        }
    }

    /// What is known here of the newest version of `key` at or below the reader's height.
    pub(crate) fn look_up(&self, reader: Position, key: HashedKey<'_>) -> LookedUp {
        let newest = self
            .fact(Scope::Newest, key)
            .filter(|fact| fact.generation <= reader.generation);
        let mut has_newer = false;
        if let Some(fact) = newest {
            if fact.reaches_down_to(reader.height) {
                self.hits.add();
                return LookedUp::Version(fact.version);
            }
            // Only a version in the reader's own chain tells that it has to look
            // among the older ones.
            has_newer = fact.reaches_down_to(reader.tip);
        }
        if reader.height < reader.tip
            && let Some(fact) = self.fact(reader.scope(), key)
        {
            self.hits.add();
            return LookedUp::Version(fact.version);
        }
        self.misses.add();
        if has_newer {
            LookedUp::Older
        } else {
            LookedUp::Newest
        }
    }

    /// The reader read the newest version of `key`.
    pub(crate) fn found_newest(
        &self,
        reader: Position,
        key: HashedKey<'_>,
        newest: Option<Version>,
    ) -> LookedUp {
        self.learn_newest(reader, key, newest.as_ref());
        LookedUp::newest(newest, reader.height)
    }

    /// Reads the newest version of `key` at or below the reader's height, where there is a
    /// newer one.
    pub(crate) async fn older(
        &self,
        view: &dyn View,
        reader: Position,
        key: HashedKey<'_>,
    ) -> Result<Option<Version>, ReadError> {
        let older = history::older(view, key.key(), reader.height).await?;
        self.add(reader.scope(), key, reader.generation, older.as_ref());
        Ok(older)
    }

    /// Whether the newest version of `key` is known, and which it is, for the writer:
    /// it alone changes the store, so any fact about a newest version holds for it.
    pub(crate) fn newest(&self, key: HashedKey<'_>) -> Known {
        self.fact(Scope::Newest, key)
            .map_or(Known::No, |fact| Known::Yes(fact.version))
    }

    fn fact(&self, scope: Scope, key: HashedKey<'_>) -> Option<Fact> {
        self.facts.get(&Sought { scope, key })
    }

    fn learn_newest(&self, reader: Position, key: HashedKey<'_>, newest: Option<&Version>) {
        // Whoever changes the store holds this for a while: not worth waiting for.
        let Some(written) = self.written.try_read() else {
            return;
        };
        let last = written.by_hash.get(record_of(key)).copied();
        if last.unwrap_or(u64::MAX).max(written.all) <= reader.publication {
            self.add(Scope::Newest, key, reader.generation, newest);
        }
    }

    /// Adds a fact, with bytes of its own.
    fn add(&self, scope: Scope, key: HashedKey<'_>, generation: u64, version: Option<&Version>) {
        let key = FactKey {
            scope,
            key: key.key().into(),
        };
        self.facts.insert(key, Fact::new(generation, version));
    }

    /// Replaces what is known of the newest versions of `changes`: keys, each with
    /// the record that is now stored for it, if any. To be called before these
    /// become visible as `publication`, of `generation`.
    pub(crate) fn supersede(
        &self,
        changes: &[(Bytes, Option<Bytes>)],
        publication: u64,
        generation: u64,
    ) {
        let mut written = self.written.write();
        for (key, record) in changes {
            let key = HashedKey::from(key);
            if let Some(last) = written.by_hash.get_mut(record_of(key)) {
                *last = publication;
            }
            let scope = Scope::Newest;
            let sought = Sought { scope, key };
            if !self.facts.contains_key(&sought) {
                continue;
            }
            let version = record.as_ref().map(decode_version).transpose();
            let Ok(version) = version else {
                self.facts.remove(&sought);
                continue;
            };
            let key = FactKey {
                scope,
                key: key.key().into(),
            };
            // An entry that was evicted meanwhile stays away.
            let fact = Fact::new(generation, version.as_ref());
            self.facts.replace(key, fact, true).ok();
        }
    }

    /// Forgets everything, before changes that nobody knows become visible as
    /// `publication`.
    pub(crate) fn forget(&self, publication: u64) {
        let mut written = self.written.write();
        written.all = publication;
        self.facts.clear();
    }
}

impl fmt::Debug for ReadCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReadCache")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

//! Committing blocks: all of a call's blocks in one atomic batch.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

use crate::backend::{Batch, Space, View};
use crate::base::Base;
use crate::block::{BlockRecord, BlockRef, Height};
use crate::error::{CommitError, ReadError};
use crate::hashed_key::HashedKey;
use crate::history;
use crate::keys::{
    BASE_KEY, HEIGHT_LEN, HISTORY_KEY_OVERHEAD, StoredBlock, TIP_KEY, put_history_key, put_version,
};
use crate::memo::{Recalled, Remembered};
use crate::packed::Packed;
use crate::read_cache::{Known, ReadCache};
use crate::readers;
use crate::store::Store;
use crate::touched::put_keys;
use crate::write_set::{Version, WriteSet};

impl Store {
    /// Commits one block on top of the tip; returns once it is durable.
    ///
    /// The first block of an empty store may have any height and any parent.
    pub fn commit(&self, block: &BlockRef, writes: &WriteSet) -> Result<BlockRecord, CommitError> {
        let records = self.commit_all(&[(*block, writes)])?;
        Ok(*records.last().expect("a committed block has a record"))
    }

    /// Commits several blocks, each on top of the one before it, in one atomic
    /// batch: all of them become visible together, or none does.
    pub fn commit_batch(
        &self,
        blocks: &[(BlockRef, Arc<WriteSet>)],
    ) -> Result<Vec<BlockRecord>, CommitError> {
        let blocks: Vec<_> = blocks
            .iter()
            .map(|(block, writes)| (*block, writes.as_ref()))
            .collect();
        self.commit_all(&blocks)
    }

    fn commit_all(
        &self,
        blocks: &[(BlockRef, &WriteSet)],
    ) -> Result<Vec<BlockRecord>, CommitError> {
        let (mut guard, published) = self.begin_write().map_err(|source| CommitError::Read {
            height: blocks.first().map_or(0, |(block, _)| block.height),
            source,
        })?;
        let mut commit = Commit {
            view: published.view.as_ref(),
            cache: self.inner.cache.as_deref(),
            readers: self.inner.readers,
            batch: Batch::default(),
            pending: HashTable::new(),
            newest: Packed::default(),
            older: Packed::default(),
            base: published.base,
            tip: published.tip,
        };
        let mut records = Vec::with_capacity(blocks.len());
        for (index, (block, writes)) in blocks.iter().enumerate() {
            check_connects(commit.tip.as_ref(), block)?;
            let record = commit
                .add_block(block, writes, index + 1 == blocks.len())
                .map_err(|source| CommitError::Read {
                    height: block.height,
                    source,
                })?;
            records.push(record);
        }
        let Some(tip) = commit.tip.filter(|_| !records.is_empty()) else {
            return Ok(records);
        };
        if let Some(record) = records.first() {
            let tip = published.tip.map(|tip| tip.record.height);
            let noted = self.inner.claimed.before_commit(tip, record.height);
            noted.map_err(|source| CommitError::Backend {
                height: record.height,
                source,
            })?;
        }
        let base = commit.base;
        let batch = commit.finish(&tip, published.base.is_none());
        self.write_and_publish(&mut guard, batch, Some(tip), base)
            .map_err(|source| CommitError::Backend {
                height: tip.record.height,
                source,
            })?;
        Ok(records)
    }
}

fn check_connects(tip: Option<&StoredBlock>, block: &BlockRef) -> Result<(), CommitError> {
    let Some(tip) = tip else {
        return Ok(());
    };
    if tip.record.height.checked_add(1) != Some(block.height) {
        return Err(CommitError::NotNext {
            tip: tip.record.height,
            height: block.height,
        });
    }
    if tip.record.hash != block.parent {
        return Err(CommitError::NotConnected {
            height: block.height,
            parent: block.parent,
            tip: tip.record.hash,
        });
    }
    Ok(())
}

/// The batch of one call to commit, while it is being made.
struct Commit<'a> {
    view: &'a dyn View,
    cache: Option<&'a ReadCache>,
    /// How many threads may read at once.
    readers: usize,
    batch: Batch,
    /// The newest versions as the blocks added so far leave them. They are put
    /// into the batch by the last block or after it, since a batch may name each
    /// key but once.
    pending: HashTable<Pending<'a>>,
    /// What the batch is to hold, apart by how long the engine keeps it.
    newest: Packed,
    older: Packed,
    base: Option<Base>,
    tip: Option<StoredBlock>,
}

/// The newest version of a key among the blocks of one batch.
#[derive(Clone, Copy)]
struct Pending<'a> {
    key: HashedKey<'a>,
    version: Remembered<'a>,
}

/// A version that a block supersedes.
enum Superseded<'a> {
    /// Written by a block before it in the batch, or read while the block ran.
    Known(Remembered<'a>),
    /// Found in the store.
    Found(Version),
}

impl Superseded<'_> {
    fn height(&self) -> Height {
        match self {
            Self::Known(version) => version.height,
            Self::Found(version) => version.height,
        }
    }

    fn value(&self) -> &[u8] {
        match self {
            Self::Known(version) => version.value,
            Self::Found(version) => &version.value,
        }
    }
}

impl<'a> Commit<'a> {
    fn add_block(
        &mut self,
        block: &BlockRef,
        writes: &'a WriteSet,
        is_last: bool,
    ) -> Result<BlockRecord, ReadError> {
        let superseded = self.superseded(block.height, writes)?;
        let previous = superseded
            .iter()
            .map(|old| old.as_ref().map(Superseded::height));
        let touched = writes.sorted().map(|(key, _)| key).zip(previous);
        put_keys(&mut self.batch, block.height, touched);
        let height = block.height;
        for (number, old) in writes.sorted_keys().zip(superseded) {
            let key = writes.key(number);
            if let Some(old) = old {
                self.put_older(key.key(), &old);
            }
            let version = Remembered {
                height,
                value: writes.value(number),
            };
            if is_last {
                self.take_pending(key);
                self.put_newest(key.key(), version);
            } else {
                self.set_pending(Pending { key, version });
            }
        }
        Ok(self.put_block(block, writes))
    }

    fn put_block(&mut self, block: &BlockRef, writes: &WriteSet) -> BlockRecord {
        let base = *self
            .base
            .get_or_insert_with(|| Base::fresh(block.height, block.parent));
        let below = self.tip.as_ref().map_or(base, Base::from);
        let record = BlockRecord {
            height: block.height,
            hash: block.hash,
            parent: block.parent,
            time: block.time,
            bits: block.bits,
            chainwork: block.chainwork,
            history_root: writes.history_root(block, &below.history_root),
        };
        let stored = StoredBlock {
            record,
            keys: u32::try_from(writes.len()).expect("the limit of a block's writes is far below"),
        };
        let height = Bytes::copy_from_slice(&block.height.to_be_bytes());
        self.batch
            .put(Space::HeightToBlock, height.clone(), stored.encode());
        self.batch.put(
            Space::HashToHeight,
            Bytes::copy_from_slice(block.hash.as_bytes()),
            height,
        );
        self.tip = Some(stored);
        record
    }

    /// The newest version below `height` of each key of `writes`, in key order: from
    /// the blocks before it in this batch, from what was remembered, or else from the
    /// store.
    fn superseded(
        &self,
        height: Height,
        writes: &'a WriteSet,
    ) -> Result<Vec<Option<Superseded<'a>>>, ReadError> {
        let mut versions = Vec::with_capacity(writes.len());
        let (mut unknown, mut unknown_keys) = (Vec::new(), Vec::new());
        for number in writes.sorted_keys() {
            let key = writes.key(number);
            let known = match (self.pending(key), writes.remembered(key)) {
                (Some(version), _) => Some(Some(Superseded::Known(version))),
                // A version from this height or above was read from another chain.
                (None, Recalled::Newest(old)) if old.height >= height => None,
                (None, Recalled::Newest(old)) => Some(Some(Superseded::Known(old))),
                (None, Recalled::Absent) => Some(None),
                (None, Recalled::Nothing) => {
                    match self.cache.map_or(Known::No, |cache| cache.newest(key)) {
                        Known::Yes(version) => Some(version.map(Superseded::Found)),
                        Known::No => None,
                    }
                }
            };
            if known.is_none() {
                unknown.push(versions.len());
                unknown_keys.push(key.key());
            }
            versions.push(known.flatten());
        }
        let found = readers::read_all(&unknown_keys, self.readers, |keys| {
            history::newest_of_each(self.view, keys)
        })?;
        for (index, found) in unknown.into_iter().zip(found) {
            if let Some(version) = versions.get_mut(index) {
                *version = found.map(Superseded::Found);
            }
        }
        Ok(versions)
    }

    fn pending(&self, key: HashedKey<'_>) -> Option<Remembered<'a>> {
        let found = self.pending.find(key.hash(), |pending| pending.key == key);
        found.map(|pending| pending.version)
    }

    fn set_pending(&mut self, pending: Pending<'a>) {
        let entry = self.pending.entry(
            pending.key.hash(),
            |other| other.key == pending.key,
            |other| other.key.hash(),
        );
        entry.insert(pending);
    }

    fn take_pending(&mut self, key: HashedKey<'_>) {
        let found = self
            .pending
            .find_entry(key.hash(), |pending| pending.key == key);
        if let Ok(found) = found {
            found.remove();
        }
    }

    fn put_newest(&mut self, key: &[u8], version: Remembered<'_>) {
        let len = HEIGHT_LEN + version.value.len();
        let record = self.newest.add(len, |bytes| {
            put_version(bytes, version.height, version.value);
        });
        let key = self.newest.copy(key);
        self.batch.put(Space::KeyToNewest, key, record);
    }

    /// Copies what is kept: a version that was found may share the memory of a larger
    /// block of the engine.
    fn put_older(&mut self, key: &[u8], old: &Superseded<'_>) {
        let len = key.len() + HISTORY_KEY_OVERHEAD;
        let history_key = self
            .older
            .add(len, |bytes| put_history_key(bytes, key, old.height()));
        let value = self.older.copy(old.value());
        self.batch.put(Space::KeyHeightToOlder, history_key, value);
    }

    fn finish(mut self, tip: &StoredBlock, is_first: bool) -> Batch {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_unstable_by_key(|pending| pending.key.key());
        for Pending { key, version } in pending {
            self.put_newest(key.key(), version);
        }
        self.batch
            .put(Space::Meta, Bytes::from_static(TIP_KEY), tip.encode());
        if let Some(base) = self.base.filter(|_| is_first) {
            self.batch
                .put(Space::Meta, Bytes::from_static(BASE_KEY), base.encode());
        }
        self.batch
    }
}

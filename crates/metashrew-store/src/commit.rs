//! Committing blocks: all of a call's blocks in one atomic batch.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::backend::{Batch, Space, View};
use crate::base::Base;
use crate::block::{BlockRecord, BlockRef, Height};
use crate::error::{CommitError, ReadError};
use crate::history;
use crate::keys::{BASE_KEY, StoredBlock, TIP_KEY, encode_version, history_key, history_prefix};
use crate::read_cache::{Known, ReadCache};
use crate::readers;
use crate::root::history_root;
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
        let (mut writer, published) = self.begin_write().map_err(|source| CommitError::Read {
            height: blocks.first().map_or(0, |(block, _)| block.height),
            source,
        })?;
        let mut commit = Commit {
            view: published.view.as_ref(),
            cache: self.inner.cache.as_deref(),
            readers: self.inner.readers,
            batch: Batch::default(),
            pending: HashMap::default(),
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
        self.write_and_publish(&mut writer, batch, Some(tip), base)
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
    pending: HashMap<&'a Bytes, (Height, &'a Bytes), RandomState>,
    base: Option<Base>,
    tip: Option<StoredBlock>,
}

impl<'a> Commit<'a> {
    fn add_block(
        &mut self,
        block: &BlockRef,
        writes: &'a WriteSet,
        is_last: bool,
    ) -> Result<BlockRecord, ReadError> {
        let sorted = writes.sorted();
        let superseded = self.superseded(&sorted, block.height, writes)?;
        let previous = superseded
            .iter()
            .map(|old| old.as_ref().map(|old| old.height));
        let touched = sorted.iter().map(|(key, _)| *key).zip(previous);
        put_keys(&mut self.batch, block.height, touched);
        for ((key, value), old) in sorted.iter().zip(superseded) {
            if let Some(old) = old {
                self.batch.put(
                    Space::KeyHeightToOlder,
                    history_key(&history_prefix(key), old.height),
                    old.value,
                );
            }
            if is_last {
                self.pending.remove(key);
                self.put_newest(key, block.height, value);
            } else {
                self.pending.insert(key, (block.height, value));
            }
        }
        Ok(self.put_block(block, &sorted))
    }

    fn put_block(&mut self, block: &BlockRef, sorted: &[(&Bytes, &Bytes)]) -> BlockRecord {
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
            history_root: history_root(&below.history_root, block.height, &block.hash, sorted),
        };
        let stored = StoredBlock {
            record,
            keys: u32::try_from(sorted.len()).expect("a guest's memory holds far fewer keys"),
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

    /// The newest version below `height` of each key of `sorted`: from the blocks
    /// before it in this batch, from what was remembered, or else from the store.
    fn superseded(
        &self,
        sorted: &[(&Bytes, &Bytes)],
        height: Height,
        writes: &WriteSet,
    ) -> Result<Vec<Option<Version>>, ReadError> {
        let mut versions = Vec::with_capacity(sorted.len());
        let (mut unknown, mut unknown_keys) = (Vec::new(), Vec::new());
        for (key, _) in sorted {
            let known = match (self.pending.get(key), writes.remembered(key)) {
                (Some((height, value)), _) => Known::Yes(Some(Version {
                    height: *height,
                    value: (*value).clone(),
                })),
                // A version from this height or above was read from another chain.
                (None, Some(Some(old))) if old.height >= height => Known::No,
                (None, Some(remembered)) => Known::Yes(remembered.clone()),
                (None, None) => self.cache.map_or(Known::No, |cache| cache.newest(key)),
            };
            versions.push(match known {
                Known::Yes(version) => version,
                Known::No => {
                    unknown.push(versions.len());
                    unknown_keys.push(key.as_ref());
                    None
                }
            });
        }
        let found = readers::read_all(&unknown_keys, self.readers, |keys| {
            history::newest_of_each(self.view, keys)
        })?;
        for (index, found) in unknown.into_iter().zip(found) {
            if let Some(version) = versions.get_mut(index) {
                *version = found;
            }
        }
        Ok(versions)
    }

    fn put_newest(&mut self, key: &Bytes, height: Height, value: &[u8]) {
        let record = encode_version(height, value);
        self.batch.put(Space::KeyToNewest, key.clone(), record);
    }

    fn finish(mut self, tip: &StoredBlock, is_first: bool) -> Batch {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_unstable_by_key(|(key, _)| *key);
        for (key, (height, value)) in pending {
            self.put_newest(key, height, value);
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

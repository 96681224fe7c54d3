//! Dropping the blocks above a height, at the cost of what they wrote.

use bytes::Bytes;

use crate::backend::{Batch, Space, View, get_all};
use crate::block::{BlockRecord, Height};
use crate::chain;
use crate::error::{ReadError, RollbackError};
use crate::keys::{
    BASE_KEY, StoredBlock, TIP_KEY, corrupt, encode_version, history_key, history_prefix,
};
use crate::readers;
use crate::store::Store;
use crate::touched::{Touched, read_keys};
use crate::undone::{self, Undoing, UndoneLimits};

/// A rollback whose blocks wrote more keys than this takes several batches, to
/// bound its memory; each of them ends on a block.
const MAX_BATCH_KEYS: u64 = 500_000;

impl Store {
    /// Drops every block above `keep`, or all of them; returns the new tip.
    ///
    /// Up to 500,000 keys written by the dropped blocks, this is one atomic
    /// batch. Beyond that it goes down in several, each ending on a block: a
    /// crash in between leaves a committed block above `keep`. The blocks are recorded as undone
    /// by the batch that drops them: see [`Snapshot::undone`](crate::Snapshot::undone).
    pub fn rollback(&self, keep: Option<Height>) -> Result<Option<BlockRecord>, RollbackError> {
        self.rollback_in_batches(keep, MAX_BATCH_KEYS)
    }

    pub(crate) fn rollback_in_batches(
        &self,
        keep: Option<Height>,
        max_batch_keys: u64,
    ) -> Result<Option<BlockRecord>, RollbackError> {
        let (mut guard, _) = self.begin_write().map_err(|source| RollbackError::Read {
            height: keep.map_or(0, |keep| keep.saturating_add(1)),
            source,
        })?;
        loop {
            let published = self.published();
            let (Some(tip), Some(base)) = (published.tip, published.base) else {
                return Ok(None);
            };
            let first = base.first().unwrap_or(tip.record.height);
            match keep {
                Some(keep) if keep < first => {
                    return Err(RollbackError::BelowFirst { keep, first });
                }
                None if !base.is_fresh() => return Err(RollbackError::NotFresh { first }),
                _ => {}
            }
            if keep.is_some_and(|keep| keep >= tip.record.height) {
                return Ok(Some(tip.record));
            }
            let view = published.view.as_ref();
            let lowest = keep.map_or(first, |keep| keep + 1);
            let mut rollback = Rollback::plan(view, tip, lowest, first, max_batch_keys)?;
            rollback.readers = self.inner.readers;
            rollback.undone = guard.writer.undone;
            rollback.collect().map_err(|source| RollbackError::Read {
                height: rollback.from,
                source,
            })?;
            let (batch, new_tip) = (rollback.batch, rollback.new_tip);
            self.write_and_publish(&mut guard, batch, new_tip, new_tip.map(|_| base))
                .map_err(|source| RollbackError::Backend {
                    height: rollback.from,
                    source,
                })?;
        }
    }
}

/// One batch of a rollback: it drops the blocks `from` to `tip`.
struct Rollback<'a> {
    view: &'a dyn View,
    /// How many threads may read at once.
    readers: usize,
    /// How many undone blocks are recorded.
    undone: UndoneLimits,
    from: Height,
    tip: StoredBlock,
    new_tip: Option<StoredBlock>,
    batch: Batch,
}

impl<'a> Rollback<'a> {
    /// Takes as many blocks from the tip down to `lowest` as fit into one batch.
    fn plan(
        view: &'a dyn View,
        tip: StoredBlock,
        lowest: Height,
        first: Height,
        max_keys: u64,
    ) -> Result<Self, RollbackError> {
        let read = |height| {
            chain::held_block(view, height).map_err(|source| RollbackError::Read { height, source })
        };
        let mut from = tip.record.height;
        let mut keys = u64::from(tip.keys);
        let new_tip = loop {
            if from == first {
                break None;
            }
            let below = read(from - 1)?;
            keys += u64::from(below.keys);
            if from == lowest || keys > max_keys {
                break Some(below);
            }
            from -= 1;
        };
        Ok(Self {
            view,
            readers: 1,
            undone: UndoneLimits::default(),
            from,
            tip,
            new_tip,
            batch: Batch::default(),
        })
    }

    fn collect(&mut self) -> Result<(), ReadError> {
        let keys = self.drop_blocks()?;
        // In order, as the keys are: escaping keeps it.
        let below: Vec<_> = keys
            .iter()
            .filter_map(|touched| {
                let prefix = history_prefix(&touched.key);
                Some(history_key(&prefix, touched.previous?))
            })
            .collect();
        let history_keys: Vec<_> = below.iter().map(Bytes::as_ref).collect();
        let values = readers::read_all(&history_keys, self.readers, |keys| {
            Ok(get_all(self.view, Space::KeyHeightToOlder, keys)?)
        })?;
        let mut below = below.into_iter().zip(values);
        for Touched { key, previous } in keys {
            let older = previous.and_then(|previous| Some((previous, below.next()?)));
            let Some((previous, (history_key, value))) = older else {
                self.batch.delete(Space::KeyToNewest, key);
                continue;
            };
            let value = value.ok_or_else(|| missing(&key, previous))?;
            self.batch.delete(Space::KeyHeightToOlder, history_key);
            let record = encode_version(previous, &value);
            self.batch.put(Space::KeyToNewest, key, record);
        }
        let tip_key = Bytes::from_static(TIP_KEY);
        if let Some(tip) = &self.new_tip {
            self.batch.put(Space::Meta, tip_key, tip.encode());
        } else {
            self.batch.delete(Space::Meta, tip_key);
            self.batch.delete(Space::Meta, Bytes::from_static(BASE_KEY));
        }
        Ok(())
    }

    /// Deletes the blocks' records, and the versions that one of them wrote and a
    /// later one superseded; records the blocks as undone. Returns each key they wrote, with
    /// the height of its newest version below them all.
    fn drop_blocks(&mut self) -> Result<Vec<Touched>, ReadError> {
        let mut writes = Vec::new();
        let mut undone = Vec::new();
        for height in self.from..=self.tip.record.height {
            let batch = &mut self.batch;
            let mut list = Vec::new();
            let touched = read_keys(self.view, height, |chunk_key, chunk| {
                batch.delete(Space::HeightToKeys, chunk_key.clone());
                list.push(chunk.clone());
            })?;
            let block = chain::held_block(self.view, height)?;
            if touched.len() as u64 != u64::from(block.keys) {
                return Err(corrupt(format!(
                    "block {height} wrote {} keys, but its list has {}",
                    block.keys,
                    touched.len()
                )));
            }
            writes.extend(touched.into_iter().map(|touched| (touched, height)));
            self.batch.delete(
                Space::HashToHeight,
                Bytes::copy_from_slice(block.record.hash.as_bytes()),
            );
            self.batch.delete(
                Space::HeightToBlock,
                Bytes::copy_from_slice(&height.to_be_bytes()),
            );
            undone.push(Undoing::new(&block, list));
        }
        undone::record(self.view, &mut self.batch, undone, self.undone)?;
        // The lists are in order each: merging them keeps a key's blocks in theirs.
        writes.sort_by(|(left, _), (right, _)| left.key.cmp(&right.key));
        let mut keys: Vec<Touched> = Vec::with_capacity(writes.len());
        let mut last = None;
        for (touched, height) in writes {
            let again = keys.last().is_some_and(|first| first.key == touched.key);
            let expected = match last {
                Some(last) if again => touched.previous == Some(last),
                _ => touched.previous.is_none_or(|previous| previous < self.from),
            };
            if !expected {
                return Err(corrupt(format!(
                    "the list of keys of block {height} misses a version of key 0x{}",
                    hex::display(&touched.key)
                )));
            }
            match last {
                Some(last) if again => self.batch.delete(
                    Space::KeyHeightToOlder,
                    history_key(&history_prefix(&touched.key), last),
                ),
                _ => keys.push(touched),
            }
            last = Some(height);
        }
        Ok(keys)
    }
}

fn missing(key: &[u8], height: Height) -> ReadError {
    corrupt(format!(
        "a value that block {height} wrote is missing, at key 0x{}",
        hex::display(key)
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::backend::{Backend, BackendError, BatchNumber, MemoryBackend, Read};
    use crate::block::{BlockHash, BlockRef};
    use crate::write_set::WriteSet;

    /// An engine that takes a number of writes and fails from then on.
    #[derive(Debug)]
    struct Limited {
        memory: MemoryBackend,
        writes_left: AtomicU32,
    }

    impl Backend for Limited {
        fn view(&self) -> Arc<dyn View> {
            self.memory.view()
        }

        fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
            let left = self.writes_left.load(Ordering::Relaxed);
            if left == 0 {
                return Err(BackendError::new("writing", "no space left"));
            }
            self.writes_left.store(left - 1, Ordering::Relaxed);
            self.memory.write(batch)
        }

        fn durable(&self) -> BatchNumber {
            self.memory.durable()
        }

        fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
            self.memory.sync(batch)
        }
    }

    /// Twenty blocks of four keys each: three that all of them write, one of its own.
    fn twenty_blocks(store: &Store) {
        let mut parent = BlockHash::from_bytes([0; 32]);
        for height in 0..20u8 {
            let mut writes = WriteSet::default();
            for key in [b"a", b"b", b"c", &[height]] {
                let (key, value) = (Bytes::copy_from_slice(key), Bytes::from(vec![height]));
                writes.insert(key, value).unwrap();
            }
            let hash = BlockHash::from_bytes([height + 1; 32]);
            let block = BlockRef::new(height.into(), hash, parent);
            store.commit(&block, &writes).unwrap();
            parent = hash;
        }
    }

    #[test]
    fn a_rollback_of_many_batches_ends_where_one_of_a_single_batch_does() {
        for keep in [None, Some(0), Some(7), Some(18)] {
            let (stepwise, at_once) = (Store::in_memory(), Store::in_memory());
            twenty_blocks(&stepwise);
            twenty_blocks(&at_once);
            let tip = stepwise.rollback_in_batches(keep, 10).unwrap();
            assert_eq!(at_once.rollback(keep).unwrap(), tip);
            assert_eq!(tip.map(|tip| tip.height), keep);
            let report = stepwise.verify(|_, _| ()).unwrap();
            assert_eq!(report, at_once.verify(|_, _| ()).unwrap());
        }
    }

    #[test]
    fn a_rollback_that_fails_between_batches_stands_at_a_block() {
        let backend = Arc::new(Limited {
            memory: MemoryBackend::default(),
            writes_left: AtomicU32::new(u32::MAX),
        });
        let store = Store::with_backend(backend.clone()).unwrap();
        twenty_blocks(&store);
        // Two blocks of four keys fit into a batch of ten.
        backend.writes_left.store(3, Ordering::Relaxed);
        let error = store.rollback_in_batches(Some(2), 10).unwrap_err();
        assert!(
            matches!(error, RollbackError::Backend { height: 12, .. }),
            "{error}"
        );
        assert_eq!(store.snapshot().tip().unwrap().height, 13);
        store.verify(|_, _| ()).unwrap();
        // Exactly the blocks that are gone are recorded.
        let undone = |height: u8| {
            let hash = BlockHash::from_bytes([height + 1; 32]);
            store.snapshot().undone(&hash).unwrap()
        };
        for height in 0..20 {
            assert_eq!(undone(height).is_some(), height > 13, "block {height}");
        }
        backend.writes_left.store(u32::MAX, Ordering::Relaxed);
        let tip = store.rollback_in_batches(Some(2), 10).unwrap();
        assert_eq!(tip.unwrap().height, 2);
        store.verify(|_, _| ()).unwrap();
        for height in 0..20 {
            assert_eq!(undone(height).is_some(), height > 2, "block {height}");
        }
    }
}

//! Recording blocks in the batch that undoes them, and dropping the oldest records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::Fuse;

use bytes::Bytes;

use super::UndoneLimits;
use super::layout::{ORDER, Record, Totals, decode_order, list_key, order_key, record_key, scan};
use crate::backend::{Batch, Scan, Space, View};
use crate::block::BlockHash;
use crate::error::ReadError;
use crate::keys::{StoredBlock, corrupt};

/// A block that a batch undoes.
#[derive(Debug)]
pub(crate) struct Undoing {
    hash: BlockHash,
    /// Its number is not known yet.
    record: Record,
    list: Vec<Bytes>,
}

impl Undoing {
    /// A block with the chunks of its list of keys.
    pub(crate) fn new(block: &StoredBlock, list: Vec<Bytes>) -> Self {
        let lengths = list.iter().map(|chunk| chunk.len() as u64);
        Self {
            hash: block.record.hash,
            record: Record {
                number: 0,
                height: block.record.height,
                parent: block.record.parent,
                keys: block.keys,
                chunks: u32::try_from(list.len()).expect("the number of a chunk has 32 bits"),
                list_bytes: lengths.sum(),
            },
            list,
        }
    }
}

/// Adds the records of `blocks`, the lowest first, to the `batch` that undoes them, and drops
/// what is too much, the oldest first.
///
/// The highest block is the oldest. What is left is the same whether the blocks are undone by
/// one batch or by several.
pub(crate) fn record(
    view: &dyn View,
    batch: &mut Batch,
    blocks: Vec<Undoing>,
    limits: UndoneLimits,
) -> Result<(), ReadError> {
    let before = Totals::of(view)?;
    let mut recording = Recording {
        view,
        batch,
        limits,
        totals: before,
        stored: None,
        dropped: BTreeSet::new(),
        records: BTreeMap::new(),
        added: VecDeque::new(),
    };
    for block in blocks.into_iter().rev() {
        recording.add(block)?;
    }
    recording.finish(&before);
    Ok(())
}

/// What a batch changes of the records. It may name each key but once, so that some of it is
/// put into the batch at the end.
struct Recording<'a> {
    view: &'a dyn View,
    batch: &'a mut Batch,
    limits: UndoneLimits,
    totals: Totals,
    /// A walk over those that were recorded before, the oldest first, once it is needed.
    stored: Option<Fuse<Scan>>,
    /// The numbers of those of them that are dropped.
    dropped: BTreeSet<u64>,
    /// What is to lie under a block's hash: a record, or nothing any more.
    records: BTreeMap<BlockHash, Option<Record>>,
    /// Those that are recorded now, the oldest first.
    added: VecDeque<Undoing>,
}

impl Recording<'_> {
    fn add(&mut self, block: Undoing) -> Result<(), ReadError> {
        // It was undone before, and came back into the chain.
        if let Some(record) = Record::of(self.view, &block.hash)? {
            self.drop_stored(&block.hash, &record);
        }
        self.totals.blocks = self.totals.blocks.saturating_add(1);
        self.totals.bytes = self.totals.bytes.saturating_add(block.record.bytes());
        self.added.push_back(block);
        while self.totals.blocks > self.limits.blocks || self.totals.bytes > self.limits.bytes {
            if let Some((number, hash)) = self.next_stored()? {
                let missing =
                    || corrupt(format!("the record of the undone block {hash} is missing"));
                let record = Record::of(self.view, &hash)?.ok_or_else(missing)?;
                debug_assert_eq!(record.number, number);
                self.drop_stored(&hash, &record);
            } else if let Some(oldest) = self.added.pop_front() {
                self.discount(&oldest.record);
            } else {
                break;
            }
        }
        Ok(())
    }

    /// The oldest of those that were recorded before and are not dropped yet.
    fn next_stored(&mut self) -> Result<Option<(u64, BlockHash)>, ReadError> {
        let begin = || scan(self.view, ORDER).fuse();
        let stored = self.stored.get_or_insert_with(begin);
        for entry in stored {
            let found = decode_order(&entry?)?;
            if !self.dropped.contains(&found.0) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Drops one of those that were recorded before, if it is not dropped yet.
    fn drop_stored(&mut self, hash: &BlockHash, record: &Record) {
        let number = record.number;
        if !self.dropped.insert(number) {
            return;
        }
        self.discount(record);
        self.records.insert(*hash, None);
        self.batch.delete(Space::Meta, order_key(number));
        for chunk in 0..record.chunks {
            let key = list_key(number, Some(chunk));
            self.batch.delete(Space::Meta, key);
        }
    }

    fn discount(&mut self, record: &Record) {
        self.totals.blocks = self.totals.blocks.saturating_sub(1);
        self.totals.bytes = self.totals.bytes.saturating_sub(record.bytes());
    }

    fn finish(mut self, before: &Totals) {
        for block in std::mem::take(&mut self.added) {
            let number = self.totals.next;
            self.totals.next = self.totals.next.saturating_add(1);
            let record = Record {
                number,
                ..block.record
            };
            self.records.insert(block.hash, Some(record));
            let hash = Bytes::copy_from_slice(block.hash.as_bytes());
            self.batch.put(Space::Meta, order_key(number), hash);
            for (chunk, keys) in (0..).zip(block.list) {
                let key = list_key(number, Some(chunk));
                self.batch.put(Space::Meta, key, keys);
            }
        }
        for (hash, record) in self.records {
            let key = record_key(&hash);
            match record {
                Some(record) => self.batch.put(Space::Meta, key, record.encode()),
                None => self.batch.delete(Space::Meta, key),
            }
        }
        if self.totals != *before {
            let (key, value) = self.totals.entry();
            self.batch.put(Space::Meta, key, value);
        }
    }
}

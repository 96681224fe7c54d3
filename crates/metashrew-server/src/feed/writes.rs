//! The events of a `writes` subscription, in parts if they are long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use metashrew_store::{BlockRecord, Height, ReadError, Snapshot};

use super::Shared;
use super::cursor::Cursor;
use super::event::{Draft, Event};
use super::keys::{Block, KeyCache, Walk};
use super::part::Part;
use super::scan::Undo;
use crate::budget::{BudgetExhausted, Lease};

/// Values that are read in one go.
const VALUES_AT_ONCE: usize = 16;

/// What an event is about.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Block(BlockRecord),
    Undo(Undo),
}

impl Change {
    /// Where a subscription stands that was told of it.
    pub(super) fn to(&self) -> Cursor {
        match self {
            Self::Block(block) => block.into(),
            Self::Undo(undo) => undo.ancestor,
        }
    }

    /// The event without any writes.
    pub(super) fn head(&self) -> Draft {
        match self {
            Self::Block(block) => Draft::of_block("block", block),
            Self::Undo(undo) => Draft::at("undo", &undo.ancestor).undone(undo),
        }
    }

    /// What each part of it after the first one begins with.
    fn short_head(&self) -> Draft {
        let kind = match self {
            Self::Block(_) => "block",
            Self::Undo(_) => "undo",
        };
        Draft::at(kind, &self.to())
    }
}

/// Why an event of writes is not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum WritesError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    NoRoom(#[from] BudgetExhausted),
}

/// An event, or the rest of one of which some parts were told. It holds the snapshot that the
/// event began with: a later one need not have the values.
#[derive(Debug, Clone)]
pub(super) struct Writes {
    snapshot: Snapshot,
    change: Change,
    prefix: Bytes,
    /// The last key that was told.
    after: Option<Bytes>,
    /// Parts that were told.
    parts: u32,
}

impl Writes {
    pub(super) fn new(snapshot: &Snapshot, change: Change, prefix: &Bytes) -> Self {
        Self {
            snapshot: snapshot.clone(),
            change,
            prefix: prefix.clone(),
            after: None,
            parts: 0,
        }
    }

    /// The next part, which holds its memory in `lease`, and what is left after it.
    ///
    /// # Errors
    /// If the database cannot be read, or there is no room for the part.
    pub(super) fn next(
        mut self,
        shared: &Shared,
        lease: Lease,
    ) -> Result<(Event, Option<Self>), WritesError> {
        let mut merged = Merged::new(self.walks(&shared.keys)?)?;
        let draft = if self.parts == 0 {
            self.change.head()
        } else {
            self.change.short_head()
        };
        let mut part = Part::new(draft, lease, shared.settings.lengths);
        let is_last = self.fill(&mut part, &mut merged)?;
        let cursor = Some(self.change.to());
        let event = part.finish(self.parts, is_last, cursor)?;
        self.parts += 1;
        Ok((event, (!is_last).then_some(self)))
    }

    /// Adds what comes next, and answers whether that is all.
    fn fill(&mut self, part: &mut Part, merged: &mut Merged) -> Result<bool, WritesError> {
        let height = self.change.to().height();
        while !merged.is_empty() {
            if part.is_long() {
                return Ok(false);
            }
            let keys = merged.take(VALUES_AT_ONCE)?;
            let values = values_at(&self.snapshot, height, &keys)?;
            let lengths: Vec<_> = values.iter().map(Bytes::len).collect();
            let first = keys.first().zip(values.first());
            let first = first.map_or(0, |(key, value)| Draft::write_length(key, value));
            let (count, bytes) = part.hold(&lengths, first)?;
            let is_cut = count < keys.len();
            for (key, value) in keys.into_iter().zip(values).take(count) {
                if !part.add(&key, &value)? {
                    return Ok(false);
                }
                self.after = Some(key);
            }
            if is_cut {
                return Ok(false);
            }
            part.release(bytes);
        }
        Ok(true)
    }

    fn walks(&self, keys: &KeyCache) -> Result<Vec<Walk>, ReadError> {
        let (snapshot, after) = (&self.snapshot, self.after.as_ref());
        let walk = |block| keys.walk(snapshot, &block, &self.prefix, after);
        match &self.change {
            Change::Block(block) => Ok(vec![walk(Block::Held(*block))?]),
            Change::Undo(undo) => {
                let blocks = undo.blocks.iter().cloned();
                blocks.map(|block| walk(Block::Undone(block))).collect()
            }
        }
    }
}

/// The values of `keys` after the block at `height`; those of absent ones are empty.
fn values_at(
    snapshot: &Snapshot,
    height: Option<Height>,
    keys: &[Bytes],
) -> Result<Vec<Bytes>, ReadError> {
    let Some(height) = height else {
        return Ok(vec![Bytes::new(); keys.len()]);
    };
    let versions = snapshot.values_at(height, keys)?.into_iter();
    Ok(versions
        .map(|version| version.map_or_else(Bytes::new, |version| version.value))
        .collect())
}

/// The keys of several walks, in order, each once.
struct Merged {
    walks: Vec<Walk>,
    /// The next key of each walk that has one.
    next: BinaryHeap<Reverse<(Bytes, usize)>>,
}

impl Merged {
    fn new(walks: Vec<Walk>) -> Result<Self, ReadError> {
        let mut merged = Self {
            next: BinaryHeap::with_capacity(walks.len()),
            walks,
        };
        for index in 0..merged.walks.len() {
            merged.advance(index)?;
        }
        Ok(merged)
    }

    fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    fn advance(&mut self, index: usize) -> Result<(), ReadError> {
        if let Some(walk) = self.walks.get_mut(index)
            && let Some(key) = walk.next_key()?
        {
            self.next.push(Reverse((key, index)));
        }
        Ok(())
    }

    /// So many keys, or what is left.
    fn take(&mut self, count: usize) -> Result<Vec<Bytes>, ReadError> {
        let mut keys: Vec<Bytes> = Vec::with_capacity(count);
        while let Some(Reverse((key, _))) = self.next.peek() {
            let is_known = keys.last() == Some(key);
            if !is_known && keys.len() == count {
                break;
            }
            if let Some(Reverse((key, index))) = self.next.pop() {
                if !is_known {
                    keys.push(key);
                }
                self.advance(index)?;
            }
        }
        Ok(keys)
    }
}

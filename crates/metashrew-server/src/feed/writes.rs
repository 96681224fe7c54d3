//! The events of a `writes` subscription, in parts if they are long.

use bytes::Bytes;
use metashrew_store::{BlockRecord, Height, ReadError, Snapshot};

use super::Shared;
use super::cursor::Cursor;
use super::event::{Draft, Event};
use super::keys::{Block, KeyCache};
use super::part::Part;
use super::scan::Undo;
use super::upcoming::{Sorted, Upcoming};
use crate::budget::{BudgetExhausted, Lease};

/// Keys whose values are read in one go, if they have room together.
const KEYS_AT_ONCE: usize = 16;

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

    /// The `type` of its event, but for that of an answer.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Undo(_) => "undo",
        }
    }

    /// In how many parts blocks that went are listed before all else.
    pub(super) fn parts(&self) -> u32 {
        match self {
            Self::Block(_) => 0,
            Self::Undo(undo) => undo.parts(),
        }
    }

    /// The event without any writes.
    pub(super) fn head(&self) -> Draft {
        match self {
            Self::Block(block) => Draft::of_block(self.kind(), block),
            Self::Undo(undo) => {
                let draft = Draft::at(self.kind(), &undo.ancestor);
                match &undo.list {
                    Some(list) => draft.undone(list),
                    None => draft,
                }
            }
        }
    }

    /// What each part of it after the first one begins with.
    fn short_head(&self) -> Draft {
        Draft::at(self.kind(), &self.to())
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
            parts: change.parts(),
            change,
            prefix: prefix.clone(),
            after: None,
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
        let draft = if self.parts == 0 {
            self.change.head()
        } else {
            self.change.short_head()
        };
        lease.charge(draft.len())?;
        let mut part = Part::new(draft, lease, shared.settings.lengths);
        let upcoming = self.upcoming(&shared.keys, &part)?;
        let is_last = self.fill(&mut part, upcoming)?;
        let cursor = Some(self.change.to());
        let event = part.finish(self.parts, is_last, cursor)?;
        self.parts += 1;
        Ok((event, (!is_last).then_some(self)))
    }

    /// Adds what comes next, and answers whether that is all.
    fn fill(&mut self, part: &mut Part, mut upcoming: Upcoming) -> Result<bool, WritesError> {
        let height = self.change.to().height();
        let mut keys = Vec::new();
        loop {
            upcoming.take(KEYS_AT_ONCE, &mut keys)?;
            if keys.is_empty() {
                return Ok(upcoming.is_all());
            }
            if part.is_long() {
                return Ok(false);
            }
            let reserved = part.reserve();
            let values = values_at(&self.snapshot, height, &keys, reserved);
            // From here on they are held by what they are.
            part.release(reserved);
            let values = values?;
            let lengths: Vec<_> = values.iter().map(Bytes::len).collect();
            let first = keys.first().zip(values.first());
            let first = first.map_or(0, |(key, value)| Draft::write_length(key, value));
            let (count, bytes) = part.hold(&lengths, first)?;
            let is_cut = count < values.len();
            let read = values.len();
            for (key, value) in keys.iter().zip(values).take(count) {
                if !part.add(key, &value)? {
                    return Ok(false);
                }
                self.after = Some(key.clone());
            }
            if is_cut {
                return Ok(false);
            }
            part.release(bytes);
            // Those whose values were not read come again.
            keys.drain(..read);
        }
    }

    /// The keys that come next.
    fn upcoming(&self, keys: &KeyCache, part: &Part) -> Result<Upcoming, WritesError> {
        let (snapshot, after) = (&self.snapshot, self.after.as_ref());
        let walk = |block| keys.walk(snapshot, &block, &self.prefix, after);
        let mut blocks = match &self.change {
            Change::Block(block) => return Ok(Upcoming::OfOne(walk(Block::Held(*block))?)),
            Change::Undo(undo) => undo.blocks,
        };
        if blocks.left() == 1
            && let Some(undone) = blocks.next(snapshot)?
        {
            return Ok(Upcoming::OfOne(walk(Block::Undone(undone))?));
        }
        let mut sorted = Sorted::default();
        while let Some(undone) = blocks.next(snapshot)? {
            part.sort(&mut sorted, walk(Block::Undone(undone))?)?;
        }
        Ok(Upcoming::OfSeveral(sorted))
    }
}

/// The values of the first of `keys` after the block at `height`: at least one, and no more once
/// they have `max_bytes`. Those of absent keys are empty.
fn values_at(
    snapshot: &Snapshot,
    height: Option<Height>,
    keys: &[Bytes],
    max_bytes: usize,
) -> Result<Vec<Bytes>, ReadError> {
    let Some(height) = height else {
        return Ok(vec![Bytes::new(); keys.len()]);
    };
    let versions = snapshot.values_at(height, keys, max_bytes)?.into_iter();
    Ok(versions
        .map(|version| version.map_or_else(Bytes::new, |version| version.value))
        .collect())
}

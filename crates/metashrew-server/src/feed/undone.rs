//! Blocks that went, and the list of them: that of a deep reorganisation is told in parts.
//!
//! They are looked up one after the other, from the top down, whenever they are needed. So
//! what is in memory of them does not grow with the depth.

use metashrew_store::{BlockHash, Height, ReadError, Snapshot, UndoneBlock};

use super::cursor::Cursor;
use super::event::{Draft, Event};
use super::scan::Undo;
use super::writes::WritesError;
use crate::budget::Lease;

/// Blocks that are listed in one event, or one part of an event: a list of 24 KiB.
pub(super) const LISTED_AT_ONCE: usize = 256;

/// What an event tells of a block that went.
#[derive(Debug, Clone, Copy)]
pub(super) struct UndoneHead {
    pub(super) height: Height,
    pub(super) hash: BlockHash,
}

impl From<&UndoneBlock> for UndoneHead {
    fn from(undone: &UndoneBlock) -> Self {
        Self {
            height: undone.height,
            hash: undone.hash,
        }
    }
}

/// The undone block of this height and hash, if it is recorded.
pub(super) fn at(snapshot: &Snapshot, at: &Cursor) -> Result<Option<UndoneBlock>, ReadError> {
    let Cursor::Block { height, hash } = at else {
        return Ok(None);
    };
    let undone = snapshot.undone(hash)?;
    Ok(undone.filter(|undone| undone.height == *height))
}

/// Where a chain stands without its last block, which is this one.
pub(super) fn below(undone: &UndoneBlock) -> Cursor {
    match undone.height.checked_sub(1) {
        Some(height) => Cursor::Block {
            height,
            hash: undone.parent,
        },
        None => Cursor::First,
    }
}

/// A walk over blocks that went, from the top down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undone {
    next: Cursor,
    left: usize,
}

impl Undone {
    /// So many, of which `top` is the highest. A snapshot has been seen to know them all.
    pub(super) fn new(top: Cursor, count: usize) -> Self {
        Self {
            next: top,
            left: count,
        }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next one, which the same snapshot knows.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn next(&mut self, snapshot: &Snapshot) -> Result<Option<UndoneBlock>, ReadError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let undone = at(snapshot, &self.next)?.ok_or_else(|| ReadError::Corrupt {
            what: format!("the record of the undone block {} is missing", self.next),
        })?;
        (self.next, self.left) = (below(&undone), left);
        Ok(Some(undone))
    }
}

impl Undo {
    /// In how many parts their list is told before all else; none if it is in the event's head.
    pub(super) fn parts(&self) -> u32 {
        if self.list.is_some() {
            return 0;
        }
        let parts = self.blocks.left().div_ceil(LISTED_AT_ONCE);
        u32::try_from(parts).unwrap_or(u32::MAX)
    }
}

/// A list that is told in parts, or what is left of it.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    snapshot: Snapshot,
    blocks: Undone,
    ancestor: Cursor,
    /// The `type` of its event.
    kind: &'static str,
    /// Whether nothing comes behind it in its event.
    is_all: bool,
    /// Parts that were told.
    parts: u32,
}

impl Listing {
    /// That of an event of this type, if it is too long for its head.
    pub(super) fn new(
        snapshot: &Snapshot,
        undo: &Undo,
        kind: &'static str,
        is_all: bool,
    ) -> Option<Self> {
        (undo.parts() > 0).then(|| Self {
            snapshot: snapshot.clone(),
            blocks: undo.blocks,
            ancestor: undo.ancestor,
            kind,
            is_all,
            parts: 0,
        })
    }

    /// The next part, which holds its memory in `lease`, and what is left after it.
    ///
    /// # Errors
    /// If the database cannot be read, or there is no room for the part.
    pub(super) fn next(mut self, lease: Lease) -> Result<(Event, Option<Self>), WritesError> {
        let count = self.blocks.left().min(LISTED_AT_ONCE);
        lease.charge(count * (size_of::<UndoneHead>() + Draft::UNDONE_LENGTH))?;
        let mut list = Vec::with_capacity(count);
        while list.len() < count
            && let Some(undone) = self.blocks.next(&self.snapshot)?
        {
            list.push(UndoneHead::from(&undone));
        }
        let draft = Draft::at(self.kind, &self.ancestor).undone(&list);
        let is_last = self.blocks.left() == 0;
        let mut event = if is_last && self.is_all {
            draft.last_part(self.parts, Some(self.ancestor))
        } else {
            draft.part(self.parts)
        };
        lease.settle(event.data.len())?;
        event.lease = Some(lease);
        self.parts += 1;
        Ok((event, (!is_last).then_some(self)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use metashrew_store::{BlockRef, Store, WriteSet};

    use super::super::scan::{self, Next};
    use super::*;
    use crate::budget::Budget;
    use crate::connections::Connection;

    fn hash(height: usize) -> BlockHash {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&(height as u64).to_le_bytes());
        BlockHash::from_bytes(hash)
    }

    /// What is told to one that stands on the last of so many blocks that went.
    fn undo(depth: usize) -> (Snapshot, Undo) {
        let store = Store::in_memory();
        for height in 1..=depth + 1 {
            let number = Height::try_from(height).unwrap();
            let block = BlockRef::new(number, hash(height), hash(height - 1));
            store.commit(&block, &WriteSet::default()).unwrap();
        }
        store.rollback(Some(1)).unwrap();
        let at = Cursor::Block {
            height: Height::try_from(depth + 1).unwrap(),
            hash: hash(depth + 1),
        };
        let snapshot = store.snapshot();
        let Next::Undo(undo) = scan::next(&snapshot, &at).unwrap() else {
            panic!("no way back from {at}");
        };
        (snapshot, undo)
    }

    #[test]
    fn a_list_takes_no_more_the_longer_it_is() {
        let check = |depth, parts| {
            let (snapshot, undo) = undo(depth);
            assert_eq!(undo.blocks.left(), depth);
            assert_eq!(undo.parts(), parts);
            assert_eq!(undo.list.is_some(), parts == 0);
            let Some(mut listing) = Listing::new(&snapshot, &undo, "undo", true) else {
                return assert_eq!(parts, 0);
            };
            let room = LISTED_AT_ONCE * 140;
            let budget = Arc::new(Budget::new(room, Duration::ZERO));
            let connection = Arc::new(Connection::new([127, 0, 0, 1].into()));
            for number in 0..parts {
                let (event, rest) = listing
                    .clone()
                    .next(budget.lease_of(&connection, 0))
                    .unwrap();
                assert_eq!(budget.used(), event.data.len());
                assert_eq!(event.cursor.is_some(), rest.is_none());
                assert_eq!(rest.is_none(), number + 1 == parts);
                let Some(rest) = rest else { break };
                // With this one held there is no room for another that is as long.
                if rest.blocks.left() >= LISTED_AT_ONCE {
                    let next = rest.clone().next(budget.lease_of(&connection, 0));
                    assert!(matches!(next, Err(WritesError::NoRoom(_))));
                }
                listing = rest;
            }
        };
        check(1, 0);
        check(LISTED_AT_ONCE, 0);
        check(LISTED_AT_ONCE + 1, 2);
        check(3 * LISTED_AT_ONCE, 3);
    }
}

//! One step along the chain, from where a subscription stands, as one snapshot shows it.

use metashrew_store::{BlockRecord, Height, ReadError, ResolveError, Snapshot};
use serde_json::json;

use super::cursor::Cursor;
use super::undone::{self, LISTED_AT_ONCE, Undone, UndoneHead};
use crate::fault::{self, CURSOR_TOO_OLD, RpcError};

/// What comes next.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// A block on top of the position.
    Block(BlockRecord),
    /// The position is not in the chain any more.
    Undo(Undo),
    /// Nothing, so far.
    Nothing,
    /// Nobody knows any more how to get from the position into the chain.
    Lost(Lost),
}

/// Blocks that went: what it takes does not grow with their number.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    /// The block below them, which is in the chain.
    pub(super) ancestor: Cursor,
    /// From the top down.
    pub(super) blocks: Undone,
    /// All of them, if they are few enough to be listed at once.
    pub(super) list: Option<Vec<UndoneHead>>,
}

/// A position that cannot be resumed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    at: Cursor,
    first: Option<Height>,
    tip: Option<Height>,
}

/// What comes after `at` in the chain of `snapshot`.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn next(snapshot: &Snapshot, at: &Cursor) -> Result<Next, ReadError> {
    // A rollback of all blocks is under way, or nothing is indexed yet.
    let (Some(tip), Some(first)) = (snapshot.tip(), snapshot.first()) else {
        return Ok(Next::Nothing);
    };
    if let Some(tip) = tip_above(snapshot, at) {
        return Ok(Next::Block(*tip));
    }
    if !is_in_chain(snapshot, at)? {
        return undo(snapshot, at);
    }
    let height = match at {
        Cursor::First => first,
        Cursor::Block { height, .. } if *height == tip.height => return Ok(Next::Nothing),
        Cursor::Block { height, .. } => height.saturating_add(1),
    };
    let block = snapshot.block(height)?;
    Ok(block.map_or(Next::Nothing, Next::Block))
}

/// The last block, if it stands on `at`: then that one is in the chain, too.
pub(super) fn tip_above<'a>(snapshot: &'a Snapshot, at: &Cursor) -> Option<&'a BlockRecord> {
    let tip = snapshot.tip()?;
    let below = tip.height.checked_sub(1).map(|height| Cursor::Block {
        height,
        hash: tip.parent,
    });
    (below.as_ref() == Some(at)).then_some(tip)
}

/// How many blocks there are above `at`, by heights.
pub(super) fn blocks_above(snapshot: &Snapshot, at: &Cursor) -> Option<u32> {
    let (tip, first) = (snapshot.tip()?.height, snapshot.first()?);
    let next = at.height().map_or(first, |height| height.saturating_add(1));
    tip.checked_sub(next).map(|more| more.saturating_add(1))
}

/// Whether `at` is in the chain of `snapshot`, which is not empty, or right below it.
fn is_in_chain(snapshot: &Snapshot, at: &Cursor) -> Result<bool, ReadError> {
    let Cursor::Block { height, hash } = at else {
        return Ok(true);
    };
    if let Some(base) = snapshot.base()
        && base.height == Some(*height)
    {
        return Ok(base.hash == *hash);
    }
    let block = snapshot.block(*height)?;
    Ok(block.is_some_and(|block| block.hash == *hash))
}

/// The way from `at`, which is not in the chain, down to it.
fn undo(snapshot: &Snapshot, at: &Cursor) -> Result<Next, ReadError> {
    let (mut below, mut count, mut list) = (*at, 0, Vec::new());
    while !is_in_chain(snapshot, &below)? {
        let Some(undone) = undone::at(snapshot, &below)? else {
            return Ok(Next::Lost(Lost {
                at: *at,
                first: snapshot.first(),
                tip: snapshot.tip().map(|tip| tip.height),
            }));
        };
        below = undone::below(&undone);
        if count < LISTED_AT_ONCE {
            list.push((&undone).into());
        }
        count += 1;
    }
    Ok(Next::Undo(Undo {
        ancestor: below,
        blocks: Undone::new(*at, count),
        list: (count <= LISTED_AT_ONCE).then_some(list),
    }))
}

impl Lost {
    /// Whether the position is above all blocks that are indexed.
    fn is_ahead(&self) -> bool {
        self.at.height() > self.tip
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.is_ahead() {
            "cursor_ahead"
        } else {
            "cursor_too_old"
        }
    }

    pub(super) fn error(&self) -> RpcError {
        let message = if self.is_ahead() {
            "the cursor's block is not indexed here, or not yet"
        } else {
            "the cursor's block is not in the chain, and it is not known any more what it wrote"
        };
        fault::object(
            CURSOR_TOO_OLD,
            message.to_owned(),
            json!({
                "kind": self.kind(), "cursor": self.at, "first": self.first, "tip": self.tip,
            }),
        )
    }
}

/// A block of a snapshot that was found in it is there: what is left is the database.
pub(super) fn of_resolve(error: ResolveError) -> ReadError {
    match error {
        ResolveError::Backend(error) => error,
        error => ReadError::Corrupt {
            what: error.to_string(),
        },
    }
}

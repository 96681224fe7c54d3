//! A look at the chain, from where a subscriber stands to what it is to be told next.

use std::sync::Arc;

use metashrew_runtime::Chain;

use super::Shared;
use super::answers::concerns;
use super::cursor::Cursor;
use super::event::Event;
use super::index::Interest;
use super::keys::Block;
use super::receiver::Receiver;
use super::scan::{self, Lost, Next};
use super::subscriber::Topic;
use super::writes::{Change, Writes, WritesError};

/// So many blocks that do not concern a subscription are passed over in one go.
const BLOCKS_AT_ONCE: u32 = 256;

/// One that is further from the tip is told so.
const BEHIND: u32 = 64;

/// What a look at the chain brought.
pub(super) enum Step {
    /// Something to tell, after which it stands at `to`.
    Event {
        event: Event,
        to: Cursor,
        rest: Option<Box<Writes>>,
    },
    /// A view is to be asked about the state after a change.
    Ask {
        chain: Chain,
        change: Change,
    },
    /// So many blocks are to come: it is to be told.
    Behind(u32),
    /// Up to here nothing concerns it; there is more.
    Moved(Cursor),
    /// Up to here nothing concerns it, and this is all.
    Tip(Cursor),
    Lost(Lost),
}

/// A look at the chain, on a thread where that may take a while.
pub(super) struct Look {
    pub(super) topic: Topic,
    pub(super) interest: Interest,
    pub(super) at: Cursor,
    pub(super) settled: Cursor,
    pub(super) is_behind: bool,
    /// Whom an event would be told to.
    pub(super) receiver: Arc<Receiver>,
}

impl Look {
    /// Goes from where the subscriber stands to what is to be told next.
    ///
    /// # Errors
    /// If the database cannot be read, or there is no room for an event.
    pub(super) fn step(self, shared: &Shared) -> Result<Step, WritesError> {
        let chain = shared.runtime.chain();
        let (snapshot, mut at) = (chain.snapshot(), self.at);
        if !self.is_behind
            && let Some(blocks) = scan::blocks_above(snapshot, &at)
            && blocks > BEHIND
        {
            return Ok(Step::Behind(blocks));
        }
        for _ in 0..BLOCKS_AT_ONCE {
            let change = match scan::next(snapshot, &at)? {
                Next::Nothing => return Ok(Step::Tip(at)),
                Next::Lost(lost) => return Ok(Step::Lost(lost)),
                // What it knows rests on none of the blocks that went.
                Next::Undo(undo) if self.settled.height() <= undo.ancestor.height() => {
                    at = undo.ancestor;
                    continue;
                }
                Next::Undo(undo) => Change::Undo(undo),
                Next::Block(block) => {
                    let held = Block::Held(block);
                    if !concerns(shared, snapshot, &held, &self.interest)? {
                        at = (&block).into();
                        continue;
                    }
                    Change::Block(block)
                }
            };
            let to = change.to();
            let (event, rest) = match &self.topic {
                Topic::View(_) => {
                    let chain = chain.clone();
                    return Ok(Step::Ask { chain, change });
                }
                Topic::Heads => (change.head().finish(Some(to)), None),
                Topic::Writes(prefix) => {
                    let lease = self.receiver.lease();
                    Writes::new(snapshot, change, prefix).next(shared, lease)?
                }
            };
            let rest = rest.map(Box::new);
            return Ok(Step::Event { event, to, rest });
        }
        Ok(Step::Moved(at))
    }
}

//! A look at the chain, from where a subscriber stands to what it is to be told next.

use std::sync::Arc;

use metashrew_runtime::Chain;
use metashrew_store::Snapshot;

use super::Shared;
use super::answers::concerns;
use super::cursor::Cursor;
use super::event::Event;
use super::index::Interest;
use super::keys::Block;
use super::receiver::Receiver;
use super::scan::{self, Lost, Next};
use super::subscriber::Topic;
use super::undone::Listing;
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
    /// Blocks that went, whose list is told first, in parts; after all of it stands at `to`.
    List {
        listing: Box<Listing>,
        to: Cursor,
        /// What comes behind the list.
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
            return match &self.topic {
                Topic::View(_) => {
                    let chain = chain.clone();
                    Ok(Step::Ask { chain, change })
                }
                Topic::Heads | Topic::Writes(_) => self.tell(shared, snapshot, &change),
            };
        }
        Ok(Step::Moved(at))
    }

    /// Begins the event of a change.
    fn tell(
        &self,
        shared: &Shared,
        snapshot: &Snapshot,
        change: &Change,
    ) -> Result<Step, WritesError> {
        let to = change.to();
        let listing = match change {
            Change::Block(_) => None,
            Change::Undo(undo) => {
                let is_all = matches!(self.topic, Topic::Heads);
                Listing::new(snapshot, undo, change.kind(), is_all)
            }
        };
        let writes = match &self.topic {
            Topic::Writes(prefix) => Some(Writes::new(snapshot, change.clone(), prefix)),
            Topic::Heads | Topic::View(_) => None,
        };
        if let Some(listing) = listing {
            return Ok(Step::List {
                listing: Box::new(listing),
                to,
                rest: writes.map(Box::new),
            });
        }
        let (event, rest) = match writes {
            Some(writes) => writes.next(shared, self.receiver.lease())?,
            None => (change.head().finish(Some(to)), None),
        };
        let rest = rest.map(Box::new);
        Ok(Step::Event { event, to, rest })
    }
}

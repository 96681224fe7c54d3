//! `pending` subscriptions: the block that may come next, whenever it is another one.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_runtime::{CallContext, ViewAt, ViewError};
use metashrew_store::BlockHash;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::event::{Draft, Event};
use super::part::{Lengths, Part};
use super::receiver::Receiver;
use crate::budget::{BudgetExhausted, Lease};
use crate::wire;

/// Where a subscription to pending blocks stands. It has no cursor.
#[derive(Debug)]
pub(super) struct Pending {
    prefix: Bytes,
    told: Told,
    /// When it is looked for another one at the earliest.
    due: Instant,
    rest: Option<Rest>,
}

/// What was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That there is no pending block.
    None,
    /// The block of this number, on top of this one.
    Block(u64, BlockHash),
}

/// An event, or what is left of one of which some parts were told.
#[derive(Debug, Clone)]
struct Rest {
    /// What the block writes: counted in the memory of views while this is held.
    context: CallContext,
    prefix: Bytes,
    /// Writes that were told, or passed over.
    passed: usize,
    parts: u32,
}

impl Pending {
    pub(super) fn new(prefix: Bytes) -> Self {
        Self {
            prefix,
            told: Told::Nothing,
            due: Instant::now(),
            rest: None,
        }
    }

    /// The next event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(super) async fn next(
        &mut self,
        shared: &Arc<Shared>,
        receiver: &Receiver,
    ) -> Result<Event, BudgetExhausted> {
        loop {
            if let Some(rest) = self.rest.clone() {
                let _turn = receiver.turn().await;
                let lease = receiver.lease();
                let making = move |shared: &Shared| rest.next(lease, shared.settings.lengths);
                let (event, rest) = shared.read(making).await?;
                self.rest = rest;
                return Ok(event);
            }
            sleep_until(self.due).await;
            let context = shared.runtime.chain().at(ViewAt::Pending).await;
            self.due = Instant::now() + shared.settings.pending_every;
            let context = match context {
                Ok(context) => Some(context),
                Err(ViewError::NoPending | ViewError::PendingFailed(_) | ViewError::Block(_)) => {
                    None
                }
                // It is looked for again.
                Err(_) => continue,
            };
            let found = context.as_ref().map_or(Told::None, name);
            if std::mem::replace(&mut self.told, found) == found {
                continue;
            }
            let Some(context) = context else {
                return Ok(Draft::new("none").finish(None));
            };
            self.rest = Some(Rest {
                context,
                prefix: self.prefix.clone(),
                passed: 0,
                parts: 0,
            });
        }
    }
}

impl Rest {
    /// The next part, and what is left after it.
    fn next(
        mut self,
        lease: Lease,
        lengths: Lengths,
    ) -> Result<(Event, Option<Self>), BudgetExhausted> {
        let mut part = Part::new(self.head(), lease, lengths);
        let writes = self.context.pending_writes().cloned().unwrap_or_default();
        let left = writes
            .sorted()
            .enumerate()
            .skip(self.passed)
            .skip_while(|(_, (key, _))| *key < &self.prefix[..])
            .take_while(|(_, (key, _))| key.starts_with(&self.prefix));
        let mut is_last = true;
        for (number, (key, value)) in left {
            self.passed = number;
            if !part.add(key, value)? {
                is_last = false;
                break;
            }
        }
        let event = part.finish(self.parts, is_last, None)?;
        self.parts += 1;
        Ok((event, (!is_last).then_some(self)))
    }

    fn head(&self) -> Draft {
        let draft = Draft::new("pending");
        match self.context.pending() {
            Some(id) if self.parts == 0 => draft
                .with("number", &id.number)
                .with("height", &id.height)
                .with("hash", &wire::block_hash(&id.hash))
                .with("parent", &wire::block_hash(&self.context.block().hash)),
            _ => draft,
        }
    }
}

/// Which pending block it is.
fn name(context: &CallContext) -> Told {
    let parent = context.block().hash;
    let id = context.pending();
    id.map_or(Told::None, |id| Told::Block(id.number, parent))
}

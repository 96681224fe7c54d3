//! `pending` subscriptions: the block that may come next, whenever it is another one.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_runtime::{CallContext, ViewAt, ViewError};
use metashrew_store::{BlockHash, WriteSet};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::event::{Draft, Event};
use super::writes::PART;
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

/// What is left of an event of which some parts were told.
#[derive(Debug, Clone)]
struct Rest {
    writes: Arc<WriteSet>,
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
    pub(super) async fn next(&mut self, shared: &Shared) -> Event {
        loop {
            if let Some(rest) = self.rest.take() {
                return self.part(Draft::new("pending"), rest);
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
            match context {
                Some(context) => return self.of(&context),
                None => return Draft::new("none").finish(None),
            }
        }
    }

    fn of(&mut self, context: &CallContext) -> Event {
        let mut draft = Draft::new("pending");
        if let Some(id) = context.pending() {
            draft = draft
                .with("number", &id.number)
                .with("height", &id.height)
                .with("hash", &wire::block_hash(&id.hash))
                .with("parent", &wire::block_hash(&context.block().hash));
        }
        let writes = context.pending_writes().cloned().unwrap_or_default();
        let rest = Rest {
            writes,
            passed: 0,
            parts: 0,
        };
        self.part(draft, rest)
    }

    fn part(&mut self, mut draft: Draft, mut rest: Rest) -> Event {
        draft.begin_writes();
        let writes = Arc::clone(&rest.writes);
        let mut left = writes.sorted().skip(rest.passed);
        while draft.len() < PART
            && let Some((key, value)) = left.next()
        {
            rest.passed += 1;
            if key.starts_with(&self.prefix) {
                draft.write(key, value);
            }
        }
        let number = rest.parts;
        rest.parts += 1;
        if left.any(|(key, _)| key.starts_with(&self.prefix)) {
            self.rest = Some(rest);
            return draft.part(number);
        }
        if number == 0 {
            draft.finish(None)
        } else {
            draft.last_part(number, None)
        }
    }
}

/// Which pending block it is.
fn name(context: &CallContext) -> Told {
    let parent = context.block().hash;
    let id = context.pending();
    id.map_or(Told::None, |id| Told::Block(id.number, parent))
}

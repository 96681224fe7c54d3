//! The events of a `view` subscription: an answer, whenever it differs from the one before.

use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::Chain;
use metashrew_store::{ReadError, Snapshot};
use tokio::time::sleep;

use super::Shared;
use super::apart::apart;
use super::cursor::Cursor;
use super::event::{Draft, Event};
use super::index::Interest;
use super::keys::Block;
use super::scan::{self, Next};
use super::subscriber::{Stage, Step, Subscriber, Topic};
use super::view::{Outcome, Query};
use super::writes::Change;
use crate::fault::{self, RpcError};
use crate::form::Form;
use crate::input::compact;

/// How long one pauses whose view could not be run, and how often that is doubled: to 13 seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_DOUBLED: u32 = 7;

/// What a subscription to a view asks.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) query: Arc<Query>,
    pub(super) form: Form,
}

/// The last answer, whether its client was told it or had it before.
#[derive(Debug, Clone)]
pub(super) struct Known {
    digest: [u8; 32],
    pub(super) interest: Interest,
}

/// Whether `block` may concern `interest`.
pub(super) fn concerns(
    shared: &Shared,
    snapshot: &Snapshot,
    block: &Block,
    interest: &Interest,
) -> Result<bool, ReadError> {
    match interest {
        Interest::Every => Ok(true),
        Interest::Prefix(prefix) => {
            let mut keys = shared.keys.walk(snapshot, block, prefix, None)?;
            Ok(keys.next_key()?.is_some())
        }
        Interest::Reads(reads) => shared.keys.touch(snapshot, block, reads.get()),
    }
}

impl Subscriber {
    /// The answer at the tip, with which a subscription begins; none if there is no block yet.
    pub(super) async fn first_answer(&mut self, asked: &Asked) -> Option<Event> {
        let chain = self.shared.runtime.chain();
        let Some(tip) = chain.tip().copied() else {
            self.stage = Stage::Telling;
            return None;
        };
        self.evaluate(asked, &chain, &Change::Block(tip)).await
    }

    /// The answer at the cursor that its client came with: the one that it knows.
    pub(super) async fn base_answer(&mut self, asked: &Asked) {
        let (shared, at) = (Arc::clone(&self.shared), self.at);
        self.moved.mark_unchanged();
        let chain = shared.runtime.chain();
        if chain.tip().is_none() {
            // All blocks went, and some come again.
            self.until_hub_moves().await;
            return;
        }
        let snapshot = chain.snapshot().clone();
        let next = shared.read(move |_| scan::next(&snapshot, &at)).await;
        let known = match (next, at) {
            (Ok(Next::Block(_) | Next::Nothing), Cursor::Block { .. }) if is_held(&chain, &at) => {
                let turn = self.turns.take().await;
                let outcome = self.outcome(asked, &chain, &at).await;
                drop(turn);
                match outcome {
                    Ok((_, known)) => Some(known),
                    Err(error) => return self.pause(&error).await,
                }
            }
            // The next look at the chain comes to the same.
            _ => None,
        };
        self.known = known;
        self.stage = Stage::Telling;
    }

    /// Asks the view about the state after `change`, and tells its answer if it is another one.
    pub(super) async fn evaluate(
        &mut self,
        asked: &Asked,
        chain: &Chain,
        change: &Change,
    ) -> Option<Event> {
        let to = change.to();
        let is_told_undone = matches!(change, Change::Undo(_)) && self.told.height() > to.height();
        if !is_held(chain, &to) {
            // There is no state to ask about any more.
            (self.at, self.settled, self.known) = (to, to, None);
            return is_told_undone.then(|| self.position()).flatten();
        }
        let turn = self.turns.take().await;
        let (outcome, known) = match self.outcome(asked, chain, &to).await {
            Ok(outcome) => outcome,
            Err(error) => {
                drop(turn);
                self.pause(&error).await;
                return None;
            }
        };
        let is_same = self
            .known
            .as_ref()
            .is_some_and(|it| it.digest == known.digest);
        let event = if is_same {
            None
        } else {
            let (shared, form, change) = (Arc::clone(&self.shared), asked.form, change.clone());
            Some(apart(async move { answer(&shared, form, &change, &outcome).await }).await)
        };
        (self.stage, self.failures) = (Stage::Telling, 0);
        (self.at, self.settled, self.known) = (to, to, Some(known));
        match event {
            Some(event) => Some(self.tell(event)),
            // Its client's cursor is gone: here is another one.
            None if is_told_undone => self.position(),
            None => None,
        }
    }

    async fn outcome(
        &self,
        asked: &Asked,
        chain: &Chain,
        at: &Cursor,
    ) -> Result<(Arc<Outcome>, Known), RpcError> {
        let Cursor::Block { height, hash } = *at else {
            return Err(RpcError::INTERNAL);
        };
        let (shared, query) = (Arc::clone(&self.shared), Arc::clone(&asked.query));
        let chain = chain.clone();
        let outcome = apart(async move {
            let Shared {
                views,
                runtime,
                limits,
                ..
            } = &*shared;
            let block = (height, hash);
            let outcome = views.outcome(&query, runtime, limits, &chain, block);
            outcome.await
        });
        let (outcome, interest) = outcome.await?;
        let digest = outcome.digest;
        Ok((outcome, Known { digest, interest }))
    }

    /// After a view could not be run, for want of room or for the machine: longer each time.
    async fn pause(&mut self, error: &RpcError) {
        let pause = FIRST_PAUSE * 2_u32.pow(self.failures);
        self.failures = (self.failures + 1).min(MAX_DOUBLED);
        tracing::debug!(
            ?pause,
            "a subscription's view is run again: {}",
            error.message
        );
        sleep(pause).await;
    }
}

/// Whether `at`, which is in the chain or right below it, is a block that is held.
fn is_held(chain: &Chain, at: &Cursor) -> bool {
    let first = chain.snapshot().first();
    first.is_some() && at.height() >= first
}

async fn answer(shared: &Shared, form: Form, change: &Change, outcome: &Outcome) -> Event {
    let result = match outcome.result.clone() {
        Ok(bytes) => form.result(bytes, &shared.offload).await,
        Err(error) => Err(error),
    };
    let limit = shared.settings.max_answer;
    let result = result.and_then(|answer| {
        let (length, json) = (answer.len(), answer.into_bytes());
        // White space between its parts might be ends of lines, where lines end events.
        let json = match form {
            Form::Json => compact(&String::from_utf8_lossy(&json)),
            _ => json,
        };
        let text = String::from_utf8(json).ok().filter(|_| length <= limit);
        text.ok_or_else(|| fault::answer_too_long(length, limit))
    });
    let to = change.to();
    let mut draft = Draft::at("answer", &to);
    match result {
        Ok(json) => draft.raw("result", &json),
        Err(error) => draft = draft.with("error", &error),
    }
    if let Change::Undo(undo) = change {
        draft = draft.undone(undo);
    }
    draft.finish(Some(to))
}

impl Topic {
    /// What is looked for in the chain, by one that knows this much.
    pub(super) fn interest(&self, known: Option<&Known>) -> Interest {
        match self {
            Self::Heads => Interest::Every,
            Self::Writes(prefix) => Interest::Prefix(prefix.clone()),
            Self::View(_) => known.map_or(Interest::Every, |known| known.interest.clone()),
        }
    }
}

impl Step {
    /// A change after which a view is to be asked.
    pub(super) fn ask(chain: &Chain, change: Change) -> Self {
        Self::Ask {
            chain: chain.clone(),
            change,
        }
    }
}

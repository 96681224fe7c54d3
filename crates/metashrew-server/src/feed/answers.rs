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
use super::scan::{self, Next, Undo};
use super::subscriber::{Stage, Subscriber, Topic};
use super::undone::Listing;
use super::view::{Outcome, Query};
use super::writes::Change;
use crate::answer::Answer;
use crate::budget::{BudgetExhausted, Lease};
use crate::clients::{Client, Taken};
use crate::fault::{self, RpcError};
use crate::form::Form;
use crate::input::Compact;

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
    /// What its client holds of its share for what the answer was read from.
    _of_client: Option<Arc<Taken>>,
}

impl Known {
    /// If `client` has no room for what the answer was read from, it is asked at every block. That
    /// is its own matter: others who ask the same are not.
    fn new(digest: [u8; 32], interest: Interest, client: &Arc<Client>) -> Self {
        let (interest, of_client) = match interest {
            Interest::Reads(reads) => match reads.held_by(client) {
                Some(held) => (Interest::Reads(reads), Some(held)),
                None => (Interest::Every, None),
            },
            interest @ (Interest::Every | Interest::Prefix(_)) => (interest, None),
        };
        Self {
            digest,
            interest,
            _of_client: of_client,
        }
    }
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
    pub(super) async fn first_answer(
        &mut self,
        asked: &Asked,
    ) -> Result<Option<Event>, BudgetExhausted> {
        let chain = self.shared.runtime.chain();
        let Some(tip) = chain.tip().copied() else {
            self.stage = Stage::Telling;
            return Ok(None);
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
                let query = Arc::clone(&asked.query);
                let asking = async move {
                    let (outcome, interest) = outcome(&shared, &query, &chain, &at).await?;
                    Ok::<_, RpcError>((outcome.digest, interest))
                };
                let turn = self.receiver.turn().await;
                let asked = apart(asking).await;
                drop(turn);
                match asked {
                    Ok((digest, interest)) => {
                        Some(Known::new(digest, interest, self.receiver.client()))
                    }
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
    /// Where so many blocks went that they are listed in parts, these are told before, and the
    /// view is asked again: so no answer waits for them in memory.
    pub(super) async fn evaluate(
        &mut self,
        asked: &Asked,
        chain: &Chain,
        change: &Change,
    ) -> Result<Option<Event>, BudgetExhausted> {
        let to = change.to();
        let is_told_undone = matches!(change, Change::Undo(_)) && self.told.height() > to.height();
        if !is_held(chain, &to) {
            // There is no state to ask about any more.
            (self.at, self.settled, self.known) = (to, to, None);
            return Ok(is_told_undone.then(|| self.position()).flatten());
        }
        let known = self.known.as_ref().map(|known| known.digest);
        let is_listed = self.listed.is_some();
        let listing = match change {
            Change::Undo(undo) if !is_listed => {
                Listing::new(chain.snapshot(), undo, "answer", false)
            }
            Change::Undo(_) | Change::Block(_) => None,
        };
        let is_to_be_listed = listing.is_some();
        let (shared, asked) = (Arc::clone(&self.shared), asked.clone());
        let (of_chain, made_by) = (chain.clone(), change.clone());
        let lease = self.receiver.lease();
        // Nothing waits for the connection but the event, which is counted.
        let telling = async move {
            let outcome = outcome(&shared, &asked.query, &of_chain, &to).await;
            let (outcome, interest) = outcome.map_err(Untold::Call)?;
            let digest = outcome.digest;
            let event = if known == Some(digest) && !is_listed {
                None
            } else if is_to_be_listed {
                return Err(Untold::Listed);
            } else {
                let answer = answer(&shared, asked.form, &made_by, outcome, lease).await;
                Some(answer.map_err(Untold::NoRoom)?)
            };
            Ok::<_, Untold>((event, digest, interest))
        };
        let turn = self.receiver.turn().await;
        let (event, digest, interest) = match apart(telling).await {
            Ok(told) => told,
            Err(Untold::Call(error)) => {
                drop(turn);
                self.pause(&error).await;
                return Ok(None);
            }
            Err(Untold::Listed) => {
                let listed = (chain.clone(), change.clone());
                (self.listing, self.listed) = (listing, Some(listed));
                return Ok(None);
            }
            Err(Untold::NoRoom(none)) => return Err(none),
        };
        self.listed = None;
        let known = Known::new(digest, interest, self.receiver.client());
        (self.stage, self.failures) = (Stage::Telling, 0);
        (self.at, self.settled, self.known) = (to, to, Some(known));
        Ok(match event {
            Some(event) => Some(self.tell(event)),
            // Its client's cursor is gone: here is another one.
            None if is_told_undone => self.position(),
            None => None,
        })
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

/// Why an answer is not told.
enum Untold {
    /// The view could not be run.
    Call(RpcError),
    /// Blocks that went are listed first.
    Listed,
    NoRoom(BudgetExhausted),
}

/// What comes of a view at a block of `chain`, and which blocks may change that.
async fn outcome(
    shared: &Shared,
    query: &Query,
    chain: &Chain,
    at: &Cursor,
) -> Result<(Arc<Outcome>, Interest), RpcError> {
    let Cursor::Block { height, hash } = *at else {
        return Err(RpcError::INTERNAL);
    };
    let Shared {
        views,
        runtime,
        limits,
        offload,
        ..
    } = shared;
    let block = (height, hash);
    let outcome = views.outcome(query, runtime, limits, offload, chain, block);
    outcome.await
}

/// Whether `at`, which is in the chain or right below it, is a block that is held.
fn is_held(chain: &Chain, at: &Cursor) -> bool {
    let first = chain.snapshot().first();
    first.is_some() && at.height() >= first
}

/// The event of an outcome: what it takes is held in `lease` before it is made, and it is made
/// where it holds up nobody.
async fn answer(
    shared: &Shared,
    form: Form,
    change: &Change,
    outcome: Arc<Outcome>,
    lease: Lease,
) -> Result<Event, BudgetExhausted> {
    let (to, parts) = (change.to(), change.parts());
    let draft = match change {
        Change::Undo(Undo {
            list: Some(list), ..
        }) => Draft::at("answer", &to).undone(list),
        Change::Undo(_) | Change::Block(_) => Draft::at("answer", &to),
    };
    let finished = move |draft: Draft| match parts {
        0 => draft.finish(Some(to)),
        parts => draft.last_part(parts, Some(to)),
    };
    lease.charge(draft.len())?;
    let limit = shared.settings.lengths.value;
    let given = match outcome.result.clone() {
        Ok(bytes) if form.least_length(&bytes) > limit => {
            Err(fault::answer_too_long(form.least_length(&bytes), limit))
        }
        Ok(bytes) => {
            // They are in memory, whoever else holds them.
            lease.charge(bytes.len())?;
            form.result(bytes, &shared.offload).await
        }
        Err(error) => Err(error),
    };
    drop(outcome);
    let told = match given {
        Ok(answer) if answer.len() > limit => Err(fault::answer_too_long(answer.len(), limit)),
        Ok(answer) => {
            let length = answer.len();
            lease.charge(length)?;
            let head = draft.clone();
            let making = move || finished(written(head, form, answer));
            shared.offload.run(length, making).await
        }
        Err(error) => Err(error),
    };
    let mut event = told.unwrap_or_else(|error| finished(draft.with("error", &error)));
    lease.settle(event.data.len())?;
    event.lease = Some(lease);
    Ok(event)
}

/// With the answer as its result.
fn written(mut draft: Draft, form: Form, mut answer: Answer) -> Draft {
    let result = draft.member("result", answer.len());
    // White space between its parts might be ends of lines, where lines end events.
    let mut compact = Compact::default();
    while let Some(piece) = answer.next_piece() {
        match form {
            Form::Json => compact.push(&piece, result),
            Form::Hex | Form::Text | Form::Bytes => result.extend_from_slice(&piece),
        }
    }
    draft
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

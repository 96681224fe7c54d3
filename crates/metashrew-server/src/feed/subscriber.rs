//! One subscription: it has a position, and goes from there to the tip, one event at a time.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::Chain;
use metashrew_store::{BlockRecord, ReadError};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::answers::{Asked, Known};
use super::cursor::Cursor;
use super::event::{self, Event};
use super::index::Interest;
use super::limits::Entered;
use super::look::{Look, Step};
use super::params::{From, Kind, Subscribe};
use super::pending::Pending;
use super::receiver::Receiver;
use super::scan::{self, Next};
use super::undone::Listing;
use super::writes::{Change, Writes, WritesError};
use crate::budget::BudgetExhausted;
use crate::fault::{self, RpcError};

/// How long one pauses whose database could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// A subscription. Dropping it ends it.
pub(crate) struct Subscriber {
    pub(super) shared: Arc<Shared>,
    entered: Entered,
    /// Who is told.
    pub(super) receiver: Arc<Receiver>,
    pub(super) topic: Topic,
    /// If it is one to pending blocks, which are in no chain.
    pending: Option<Pending>,
    /// Everything up to here was told, or does not concern it.
    pub(super) at: Cursor,
    /// What its client knows for sure: the cursor that it was told last.
    pub(super) told: Cursor,
    /// What it knows rests on this block and those below: if one of them goes, it looks again.
    pub(super) settled: Cursor,
    pub(super) stage: Stage,
    /// The last answer of its view.
    pub(super) known: Option<Known>,
    /// How often its view could not be run, one time after the other.
    pub(super) failures: u32,
    /// What is left of the list of blocks that went, the first parts of a long event.
    pub(super) listing: Option<Listing>,
    /// What is left of an event of which some parts were told.
    pub(super) rest: Option<Writes>,
    /// Of an answer that is told behind such a list: the view is asked again.
    pub(super) listed: Option<(Chain, Change)>,
    place: Option<Place>,
    pub(super) moved: watch::Receiver<u64>,
    /// When it is to be told where it stands, if it is told nothing else.
    position_due: Instant,
    /// Whether it was told that it is far from the tip.
    is_behind: bool,
}

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was not told yet where it begins.
    New,
    /// It is not known yet which answer its client has.
    WithoutBase,
    Telling,
    Ended,
}

/// What it is told.
#[derive(Clone)]
pub(super) enum Topic {
    Heads,
    Writes(Bytes),
    View(Asked),
}

/// A place among those that wait; dropping it gives it up.
struct Place {
    shared: Arc<Shared>,
    number: u64,
    woken: oneshot::Receiver<Cursor>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.hub.leave(self.number);
    }
}

impl Subscriber {
    pub(super) async fn begin(
        shared: Arc<Shared>,
        wanted: Subscribe,
        receiver: Arc<Receiver>,
    ) -> Result<Self, RpcError> {
        let (kind, bytes) = (wanted.kind.name(), wanted.kind.bytes());
        let entered = shared.limits.enter(kind, bytes, receiver.client())?;
        let (topic, pending) = match wanted.kind {
            Kind::Pending(filter) => {
                let pending = Pending::new(shared.prefix(filter)?);
                (Topic::Heads, Some(pending))
            }
            Kind::Heads => (Topic::Heads, None),
            Kind::Writes(filter) => (Topic::Writes(shared.prefix(filter)?), None),
            Kind::View {
                function,
                input,
                form,
            } => {
                shared.check_view(&function)?;
                let query = shared.views.query(function, input);
                (Topic::View(Asked { query, form }), None)
            }
        };
        let at = match wanted.from {
            From::Tip => {
                let snapshot = shared.runtime.store().snapshot();
                snapshot.tip().map_or(Cursor::First, Into::into)
            }
            From::First => Cursor::First,
            From::Cursor(cursor) => {
                let look =
                    move |shared: &Shared| scan::next(&shared.runtime.store().snapshot(), &cursor);
                match shared.read(look).await {
                    Ok(Next::Lost(lost)) => return Err(lost.error()),
                    Ok(_) => cursor,
                    Err(error) => return Err(fault::of_read(&error)),
                }
            }
        };
        let is_view = matches!(topic, Topic::View(_));
        let stage = match wanted.from {
            From::Cursor(_) if is_view => Stage::WithoutBase,
            // The first answer says as much.
            From::First if is_view => Stage::Telling,
            From::Cursor(_) => Stage::Telling,
            From::Tip | From::First => Stage::New,
        };
        Ok(Self {
            moved: shared.hub.moved(),
            position_due: Instant::now() + shared.settings.position_every,
            entered,
            receiver,
            topic,
            pending,
            at,
            told: at,
            settled: at,
            stage,
            known: None,
            failures: 0,
            listing: None,
            rest: None,
            listed: None,
            place: None,
            is_behind: false,
            shared,
        })
    }

    /// What it is told next. After the last event there is nothing more, ever. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// If there is no room for the event. Then it is told nothing more, and its client has to
    /// resume from what it has.
    pub(crate) async fn next(&mut self) -> Result<Event, BudgetExhausted> {
        if self.stage == Stage::Ended {
            return future::pending().await;
        }
        let stopped = self.shared.stopped();
        let mut event = tokio::select! {
            biased;
            () = stopped => return Ok(self.end("shutdown")),
            event = self.produce() => event?,
        };
        if event.lease.is_none() {
            let lease = self.receiver.lease();
            lease.charge(event.data.len())?;
            event.lease = Some(lease);
        }
        self.entered.count_event();
        Ok(event)
    }

    /// The last event: the subscription is over for this reason.
    pub(crate) fn end(&mut self, reason: &str) -> Event {
        self.stage = Stage::Ended;
        (self.place, self.listing, self.rest, self.listed) = (None, None, None, None);
        self.entered.count_event();
        // Pending blocks have no cursor to resume from.
        let cursor = self.pending.is_none().then_some(self.told);
        event::end(cursor, reason)
    }

    /// Nothing is changed before an await that does not hold if it goes no further.
    async fn produce(&mut self) -> Result<Event, BudgetExhausted> {
        if let Some(pending) = &mut self.pending {
            return pending.next(&self.shared, &self.receiver).await;
        }
        loop {
            if let Some(event) = self.begin_telling().await? {
                return Ok(event);
            }
            if self.has_begun() {
                if let Some(event) = self.go_on().await? {
                    return Ok(event);
                }
                continue;
            }
            if self.place.is_some() {
                if let Some(event) = self.wait().await {
                    return Ok(event);
                }
                continue;
            }
            if self.stage != Stage::Telling {
                continue;
            }
            self.moved.mark_unchanged();
            if !self.park()
                && let Some(event) = self.step().await?
            {
                return Ok(event);
            }
        }
    }

    /// What comes before all changes.
    async fn begin_telling(&mut self) -> Result<Option<Event>, BudgetExhausted> {
        match (self.stage, self.topic.clone()) {
            (Stage::New, Topic::View(asked)) => self.first_answer(&asked).await,
            (Stage::WithoutBase, Topic::View(asked)) => {
                self.base_answer(&asked).await;
                Ok(None)
            }
            (Stage::New, Topic::Heads | Topic::Writes(_)) => {
                self.stage = Stage::Telling;
                Ok(Some(self.tell(event::position(self.at))))
            }
            _ => Ok(None),
        }
    }

    /// Begins to wait for what concerns it, if it stands where the hub does.
    fn park(&mut self) -> bool {
        let interest = self.topic.interest(self.known.as_ref());
        let rests_on = self.settled.height();
        let parked = self.shared.hub.park(&self.at, &interest, rests_on);
        self.place = parked.map(|(number, woken)| Place {
            shared: Arc::clone(&self.shared),
            number,
            woken,
        });
        self.is_behind &= self.place.is_none();
        self.place.is_some()
    }

    /// Waits until something concerns it, or it is time to tell where it stands.
    async fn wait(&mut self) -> Option<Event> {
        let Some(place) = &mut self.place else {
            return None;
        };
        tokio::select! {
            biased;
            woken = &mut place.woken => {
                self.place = None;
                // If it fails, the place was lost: it looks for itself from where it stood.
                self.at = woken.unwrap_or(self.at);
                None
            }
            () = sleep_until(self.position_due) => {
                // One that was woken just now has no place any more.
                self.at = self.shared.hub.position(place.number)?;
                self.position()
            }
        }
    }

    /// Looks at the chain, as far as it is known now.
    async fn step(&mut self) -> Result<Option<Event>, BudgetExhausted> {
        let interest = self.topic.interest(self.known.as_ref());
        let chain = self.shared.runtime.chain();
        if interest == Interest::Every
            && let Some(tip) = scan::tip_above(chain.snapshot(), &self.at)
        {
            return self.block(&chain, *tip).await;
        }
        let look = Look {
            topic: self.topic.clone(),
            interest,
            at: self.at,
            settled: self.settled,
            is_behind: self.is_behind,
            receiver: Arc::clone(&self.receiver),
        };
        let step = move |shared: &Shared| look.step(shared);
        let turn = self.receiver.turn().await;
        let step = self.shared.read(step).await;
        drop(turn);
        match step {
            Ok(step) => self.take(step).await,
            Err(WritesError::NoRoom(none)) => Err(none),
            Err(WritesError::Read(error)) => {
                pause(&error).await;
                Ok(None)
            }
        }
    }

    /// Goes as far as a look at the chain has come.
    async fn take(&mut self, step: Step) -> Result<Option<Event>, BudgetExhausted> {
        Ok(match step {
            Step::Event { event, to, rest } => {
                self.at = to;
                self.rest = rest.map(|rest| *rest);
                Some(self.tell(event))
            }
            Step::List { listing, to, rest } => {
                self.at = to;
                (self.listing, self.rest) = (Some(*listing), rest.map(|rest| *rest));
                None
            }
            Step::Ask { chain, change } => match self.topic.clone() {
                Topic::View(asked) => self.evaluate(&asked, &chain, &change).await?,
                Topic::Heads | Topic::Writes(_) => None,
            },
            Step::Behind(blocks) => {
                self.is_behind = true;
                Some(event::behind(self.told, blocks))
            }
            Step::Moved(at) => {
                self.at = at;
                if Instant::now() < self.position_due {
                    return Ok(None);
                }
                self.position()
            }
            Step::Tip(at) if at != self.at => {
                self.at = at;
                None
            }
            Step::Tip(_) => self.until_hub_moves().await,
            Step::Lost(lost) => Some(self.end(lost.kind())),
        })
    }

    /// Tells of a block that concerns it, and that stands where it does: nothing is read for that.
    async fn block(
        &mut self,
        chain: &Chain,
        block: BlockRecord,
    ) -> Result<Option<Event>, BudgetExhausted> {
        let change = Change::Block(block);
        if let Topic::View(asked) = self.topic.clone() {
            return self.evaluate(&asked, chain, &change).await;
        }
        let to = change.to();
        self.at = to;
        Ok(Some(self.tell(change.head().finish(Some(to)))))
    }

    /// Waits until the hub, which is elsewhere, has moved.
    pub(super) async fn until_hub_moves(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            // The hub is there as long as its subscribers.
            _ = self.moved.changed() => None,
            () = sleep_until(self.position_due) => self.position(),
        }
    }

    /// Tells where it stands, unless its client knows.
    pub(super) fn position(&mut self) -> Option<Event> {
        self.position_due = Instant::now() + self.shared.settings.position_every;
        (self.at != self.told).then(|| self.tell(event::position(self.at)))
    }

    /// Notes that its client is told `event`.
    pub(super) fn tell(&mut self, event: Event) -> Event {
        if let Some(cursor) = event.cursor {
            (self.told, self.settled) = (cursor, cursor);
            self.position_due = Instant::now() + self.shared.settings.position_every;
        }
        event
    }
}

/// After the database could not be read.
pub(super) async fn pause(error: &ReadError) {
    tracing::warn!(
        "a subscription waits for the database: {}",
        fault::chain(error)
    );
    sleep(PAUSE).await;
}

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
use super::answers::{Asked, Known, concerns};
use super::apart::Turns;
use super::cursor::Cursor;
use super::event::{self, Event};
use super::index::Interest;
use super::keys::Block;
use super::limits::Entered;
use super::params::{From, Kind, Subscribe};
use super::pending::Pending;
use super::scan::{self, Lost, Next};
use super::writes::{Change, Writes};
use crate::fault::{self, RpcError};

/// So many blocks that do not concern a subscription are passed over in one go.
const BLOCKS_AT_ONCE: u32 = 256;

/// One that is further from the tip is told so.
const BEHIND: u32 = 64;

/// How long one pauses whose database could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// A subscription. Dropping it ends it.
pub(crate) struct Subscriber {
    pub(super) shared: Arc<Shared>,
    entered: Entered,
    /// Those of its connection: an event is made in one.
    pub(super) turns: Turns,
    topic: Topic,
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
    /// What is left of an event of which some parts were told.
    rest: Option<Writes>,
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

/// What a look at the chain brought.
pub(super) enum Step {
    /// Something to tell, after which it stands at `to`.
    Event {
        event: Event,
        to: Cursor,
        rest: Option<Writes>,
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

impl Subscriber {
    pub(super) async fn begin(
        shared: Arc<Shared>,
        wanted: Subscribe,
        turns: Turns,
    ) -> Result<Self, RpcError> {
        let entered = shared
            .limits
            .enter(wanted.kind.name(), wanted.kind.bytes())?;
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
            turns,
            topic,
            pending,
            at,
            told: at,
            settled: at,
            stage,
            known: None,
            failures: 0,
            rest: None,
            place: None,
            is_behind: false,
            shared,
        })
    }

    /// What it is told next. After the last event there is nothing more, ever. Dropping the
    /// future loses nothing.
    pub(crate) async fn next(&mut self) -> Event {
        if self.stage == Stage::Ended {
            return future::pending().await;
        }
        let stopped = self.shared.stopped();
        let event = tokio::select! {
            biased;
            () = stopped => return self.end("shutdown"),
            event = self.produce() => event,
        };
        self.entered.count_event();
        event
    }

    /// The last event: the subscription is over for this reason.
    pub(crate) fn end(&mut self, reason: &str) -> Event {
        self.stage = Stage::Ended;
        self.place = None;
        self.rest = None;
        self.entered.count_event();
        event::end(self.told, reason)
    }

    /// Nothing is changed before an await that does not hold if it goes no further.
    async fn produce(&mut self) -> Event {
        if let Some(pending) = &mut self.pending {
            return pending.next(&self.shared).await;
        }
        loop {
            if let Some(event) = self.begin_telling().await {
                return event;
            }
            if let Some(rest) = self.rest.clone() {
                let _turn = self.turns.take().await;
                let read = self.shared.read(move |shared| rest.next(&shared.keys));
                match read.await {
                    Ok((event, rest)) => {
                        self.rest = rest;
                        return self.tell(event);
                    }
                    Err(error) => pause(&error).await,
                }
                continue;
            }
            if self.place.is_some() {
                if let Some(event) = self.wait().await {
                    return event;
                }
                continue;
            }
            if self.stage != Stage::Telling {
                continue;
            }
            self.moved.mark_unchanged();
            if !self.park()
                && let Some(event) = self.step().await
            {
                return event;
            }
        }
    }

    /// What comes before all changes.
    async fn begin_telling(&mut self) -> Option<Event> {
        match (self.stage, self.topic.clone()) {
            (Stage::New, Topic::View(asked)) => self.first_answer(&asked).await,
            (Stage::WithoutBase, Topic::View(asked)) => {
                self.base_answer(&asked).await;
                None
            }
            (Stage::New, Topic::Heads | Topic::Writes(_)) => {
                self.stage = Stage::Telling;
                Some(self.tell(event::position(self.at)))
            }
            _ => None,
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
    async fn step(&mut self) -> Option<Event> {
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
        };
        let step = move |shared: &Shared| look.step(shared);
        let turn = self.turns.take().await;
        let step = self.shared.read(step).await;
        drop(turn);
        match step {
            Ok(Step::Event { event, to, rest }) => {
                self.at = to;
                self.rest = rest;
                Some(self.tell(event))
            }
            Ok(Step::Ask { chain, change }) => match self.topic.clone() {
                Topic::View(asked) => self.evaluate(&asked, &chain, &change).await,
                Topic::Heads | Topic::Writes(_) => None,
            },
            Ok(Step::Behind(blocks)) => {
                self.is_behind = true;
                Some(event::behind(self.told, blocks))
            }
            Ok(Step::Moved(at)) => {
                self.at = at;
                if Instant::now() < self.position_due {
                    return None;
                }
                self.position()
            }
            Ok(Step::Tip(at)) if at != self.at => {
                self.at = at;
                None
            }
            Ok(Step::Tip(_)) => self.until_hub_moves().await,
            Ok(Step::Lost(lost)) => Some(self.end(lost.kind())),
            Err(error) => {
                pause(&error).await;
                None
            }
        }
    }

    /// Tells of a block that concerns it, and that stands where it does: nothing is read for that.
    async fn block(&mut self, chain: &Chain, block: BlockRecord) -> Option<Event> {
        let change = Change::Block(block);
        if let Topic::View(asked) = self.topic.clone() {
            return self.evaluate(&asked, chain, &change).await;
        }
        let to = change.to();
        self.at = to;
        Some(self.tell(change.head().finish(Some(to))))
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
async fn pause(error: &ReadError) {
    tracing::warn!(
        "a subscription waits for the database: {}",
        fault::chain(error)
    );
    sleep(PAUSE).await;
}

/// A look at the chain, on a thread where that may take a while.
struct Look {
    topic: Topic,
    interest: Interest,
    at: Cursor,
    settled: Cursor,
    is_behind: bool,
}

impl Look {
    /// Goes from where the subscriber stands to what is to be told next.
    fn step(self, shared: &Shared) -> Result<Step, ReadError> {
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
                Topic::View(_) => return Ok(Step::ask(&chain, change)),
                Topic::Heads => (change.head().finish(Some(to)), None),
                Topic::Writes(prefix) => {
                    Writes::new(snapshot, change, prefix).next(&shared.keys)?
                }
            };
            return Ok(Step::Event { event, to, rest });
        }
        Ok(Step::Moved(at))
    }
}

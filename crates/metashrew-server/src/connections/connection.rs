//! One connection: whose turn it is and since when, and how fast it is.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Closed, Timeouts};

/// How long a new connection may take to ask something before it counts as idle: its
/// first request may be on its way, or lie unread in the socket.
const TIME_TO_ASK: Duration = Duration::from_secs(1);

/// How long a transfer is watched to tell how fast it is.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// A transfer that moves fewer bytes in a [`WINDOW`] has stalled where others wait for what
/// it takes. At that pace a request of 40 MiB takes ten minutes.
const PACE: u64 = 64 * 1024;

/// How long a client may go on sending after the answer to a request that was not read to
/// its end: as long as nginx has it (`lingering_time`).
const LINGER: Duration = Duration::from_secs(30);

/// Whose turn it is on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The client's: to begin a request.
    Idle,
    /// The client's: to send the rest of a request's head.
    Head,
    /// The client's: to send the rest of a request's body.
    Receiving,
    /// Ours: to find room for a body.
    Waiting,
    /// Ours: to answer.
    Answering,
    /// The client's: to read the answer.
    Sending,
    /// Nobody's: it is told what comes, whenever that is.
    Pushing,
    /// The client's: to end.
    Lingering,
}

/// How a connection was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It is idle.
    GiveWay,
    /// Its transfer has stalled.
    Close,
}

/// What goes on over a connection whose client sends no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtTheEnd {
    Nothing,
    Answering,
    Sending,
}

/// One connection.
pub(crate) struct Connection {
    /// Where its client is, as far as the socket tells.
    peer: IpAddr,
    state: Mutex<State>,
    /// Requests whose answers are not handed to the socket yet.
    under_way: AtomicUsize,
    /// Bytes read and written.
    moved: AtomicU64,
    gives_way: Notify,
    closes: Notify,
    stops_receiving: Notify,
}

#[derive(Debug)]
struct State {
    turn: Turn,
    since: Instant,
    /// Since when the socket takes nothing more.
    blocked: Option<Instant>,
    /// Since when a long message comes over a WebSocket.
    message: Option<Instant>,
    /// Who waits until nothing is left to send.
    waits: Option<Waker>,
    /// When it was last looked at, and what it had moved by then.
    looked: (Instant, u64),
    /// Bytes moved in the last window, if the turn was the same for all of it.
    pace: Option<u64>,
    /// Whether there was any request.
    asked: bool,
    /// Whether it was told to end.
    ending: Option<Ending>,
    /// Whether a request was refused before its body was read.
    refused: bool,
}

impl Connection {
    pub(crate) fn new(peer: IpAddr) -> Self {
        let now = Instant::now();
        Self {
            peer,
            state: Mutex::new(State {
                turn: Turn::Idle,
                since: now,
                blocked: None,
                message: None,
                waits: None,
                looked: (now, 0),
                pace: None,
                asked: false,
                ending: None,
                refused: false,
            }),
            under_way: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            gives_way: Notify::new(),
            closes: Notify::new(),
            stops_receiving: Notify::new(),
        }
    }

    /// Where its client is, as far as the socket tells: a proxy is one place for all that it
    /// speaks for.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// So many bytes were read.
    pub(crate) fn read(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.under_way.load(Ordering::Relaxed) == 0 {
            let mut state = self.state.lock();
            if state.turn == Turn::Idle {
                state.turn_to(Turn::Head);
            }
        }
    }

    /// So many bytes were written.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.blocked = None;
        state.wake();
    }

    /// The socket takes nothing more at present.
    pub(crate) fn write_blocked(&self) {
        self.state.lock().blocked.get_or_insert_with(Instant::now);
    }

    /// The request's body is there.
    pub(crate) fn answers(&self) {
        self.state.lock().turn_to(Turn::Answering);
    }

    /// The answer is there.
    pub(crate) fn sends(&self) {
        self.state.lock().turn_to(Turn::Sending);
    }

    /// From now on it is told what comes: it is idle no more.
    pub(crate) fn pushes(&self) {
        let mut state = self.state.lock();
        state.ending = None;
        state.turn_to(Turn::Pushing);
    }

    pub(crate) fn is_pushing(&self) -> bool {
        self.state.lock().turn == Turn::Pushing
    }

    /// Whether a message comes over its WebSocket that takes room.
    pub(crate) fn takes_message(&self, takes: bool) {
        let message = &mut self.state.lock().message;
        *message = takes.then(|| message.unwrap_or_else(Instant::now));
    }

    /// The answer is written, and the client may send on.
    pub(crate) fn lingers(&self) {
        let mut state = self.state.lock();
        if state.turn != Turn::Lingering {
            state.turn_to(Turn::Lingering);
        }
    }

    /// A request was refused before its body was read.
    pub(crate) fn refuse(&self) {
        self.state.lock().refused = true;
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.state.lock().refused
    }

    /// What goes on where the client has ended; `waker` hears of it when nothing is left to
    /// send.
    pub(crate) fn at_the_end(&self, waker: &Waker) -> AtTheEnd {
        let mut state = self.state.lock();
        let at = match state.turn {
            Turn::Pushing => return AtTheEnd::Nothing,
            Turn::Sending => AtTheEnd::Sending,
            _ if state.blocked.is_some() => AtTheEnd::Sending,
            // The end may come before the last of a body was taken.
            Turn::Receiving | Turn::Waiting | Turn::Answering => AtTheEnd::Answering,
            Turn::Idle | Turn::Head | Turn::Lingering => return AtTheEnd::Nothing,
        };
        state.waits = Some(waker.clone());
        at
    }

    /// Whether its body waits for room: the client cannot send meanwhile.
    pub(crate) fn waits_for_room(&self, waits: bool) {
        let mut state = self.state.lock();
        match state.turn {
            Turn::Receiving if waits => state.turn_to(Turn::Waiting),
            Turn::Waiting if !waits => state.turn_to(Turn::Receiving),
            _ => {}
        }
    }

    /// The bytes that it moved in the last window, if those are few and it is the client's
    /// turn.
    pub(crate) fn stalled(&self) -> Option<u64> {
        let state = self.state.lock();
        let is_transfer = match state.turn {
            Turn::Receiving | Turn::Sending => true,
            // Else it is silent because there is nothing to say.
            Turn::Pushing => [state.blocked, state.message]
                .into_iter()
                .flatten()
                .any(|since| since.elapsed() >= WINDOW),
            _ => false,
        };
        let pace = state.pace.filter(|pace| *pace < PACE)?;
        (is_transfer && state.ending.is_none()).then_some(pace)
    }

    /// Whether it was told to close since it has stalled.
    pub(crate) fn is_closing(&self) -> bool {
        self.state.lock().ending == Some(Ending::Close)
    }

    /// Closes a transfer; if it is a body that comes, it is refused. Answers whether it was
    /// one that could still be closed.
    pub(crate) fn close_stalled(&self) -> bool {
        let mut state = self.state.lock();
        match state.turn {
            Turn::Receiving => self.stops_receiving.notify_one(),
            Turn::Sending | Turn::Pushing => self.closes.notify_one(),
            _ => return false,
        }
        state.ending = Some(Ending::Close);
        true
    }

    /// Waits until the body that comes is to be refused, since it has stalled.
    pub(crate) async fn stops_receiving(&self) {
        while !self.is_closing() {
            // An earlier body may have been meant.
            self.stops_receiving.notified().await;
        }
    }

    /// Waits until it is to give way; it may end what it does before.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }

    /// Waits until it is to close at once.
    pub(crate) async fn closes(&self) {
        self.closes.notified().await;
    }

    /// Whether anything was asked over it.
    pub(crate) fn has_asked(&self) -> bool {
        self.state.lock().asked
    }

    pub(super) fn give_way(&self) {
        let mut state = self.state.lock();
        state.ending = Some(Ending::GiveWay);
        if state.turn == Turn::Lingering {
            self.closes.notify_one();
        } else {
            self.gives_way.notify_one();
        }
    }

    /// Since when it is idle, if it may give way to another.
    pub(super) fn idle_since(&self, now: Instant) -> Option<Instant> {
        let state = self.state.lock();
        let is_idle = matches!(state.turn, Turn::Idle | Turn::Head | Turn::Lingering);
        let may_ask_yet = !state.asked && now.saturating_duration_since(state.since) < TIME_TO_ASK;
        let stays = state.ending.is_some() || state.blocked.is_some() || may_ask_yet;
        (is_idle && !stays).then_some(state.since)
    }

    /// Looks how fast it is, and closes it if its client takes too long.
    pub(super) fn look(&self, now: Instant, timeouts: &Timeouts) -> Option<Closed> {
        let mut state = self.state.lock();
        let moved = self.moved.load(Ordering::Relaxed);
        if now.saturating_duration_since(state.looked.0) >= WINDOW {
            let same = state.since <= state.looked.0;
            state.pace = same.then(|| moved - state.looked.1);
            state.looked = (now, moved);
        }
        let lasts = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        let closed = match state.turn {
            _ if state
                .blocked
                .is_some_and(|since| lasts(since, timeouts.send)) =>
            {
                if state.turn == Turn::Pushing {
                    Closed::Slow
                } else {
                    Closed::Send
                }
            }
            Turn::Idle if state.ending.is_none() && lasts(state.since, timeouts.idle) => {
                Closed::Idle
            }
            Turn::Head if lasts(state.since, timeouts.head) => Closed::Head,
            Turn::Lingering if lasts(state.since, LINGER) => Closed::Lingered,
            _ => return None,
        };
        if closed == Closed::Idle {
            state.ending = Some(Ending::GiveWay);
            self.gives_way.notify_one();
        } else {
            // Once is enough.
            state.blocked = None;
            state.since = now;
            self.closes.notify_one();
        }
        Some(closed)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.lock().fmt(formatter)
    }
}

impl State {
    fn turn_to(&mut self, turn: Turn) {
        self.turn = turn;
        self.since = Instant::now();
        self.pace = None;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}

/// A request, from its head until its answer is handed to the socket.
pub(crate) struct UnderWay(Arc<Connection>);

impl UnderWay {
    pub(crate) fn new(connection: &Arc<Connection>) -> Self {
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        let mut state = connection.state.lock();
        state.asked = true;
        state.ending = None;
        state.turn_to(Turn::Receiving);
        drop(state);
        Self(Arc::clone(connection))
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            let mut state = self.0.state.lock();
            if state.turn != Turn::Lingering {
                state.turn_to(Turn::Idle);
            }
            state.wake();
        }
    }
}

//! Follows the chain for all subscribers that have been told everything, and wakes those whom
//! a change concerns.
//!
//! The hub has a position. Who waits has been told everything up to it: one may begin to wait
//! only at the hub's own position, and not while the hub looks at what comes next. Everybody
//! who is concerned by that is woken, with the position before it, before the hub moves on. So
//! whoever waits loses nothing, and whoever is not concerned need not look.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use metashrew_store::{Height, ReadError, Registration, Snapshot, Store};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::Shared;
use super::cursor::Cursor;
use super::index::{Index, Interest, Sweep};
use super::keys::Block;
use super::scan::{self, Next};
use crate::fault;

/// Keys that are looked at in one go: others may begin to wait in between.
const KEYS_AT_ONCE: usize = 4096;

/// How long the hub pauses after it could not read the database.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Hub {
    store: Store,
    state: Mutex<State>,
    /// Grows whenever one that could not begin to wait may try again.
    moved: watch::Sender<u64>,
    changed: Arc<Notify>,
    is_started: AtomicBool,
    _told: Registration,
}

struct State {
    at: Cursor,
    /// Whether it looks at what comes next.
    is_moving: bool,
    index: Index,
}

impl Hub {
    pub(super) fn new(store: &Store) -> Self {
        let changed = Arc::<Notify>::default();
        let tell = Arc::clone(&changed);
        Self {
            _told: store.on_publish(move || tell.notify_one()),
            store: store.clone(),
            state: Mutex::new(State {
                at: Cursor::First,
                is_moving: false,
                index: Index::default(),
            }),
            moved: watch::Sender::new(0),
            changed,
            is_started: AtomicBool::new(false),
        }
    }

    /// Has it follow the chain, unless it does.
    pub(super) fn start(&self, shared: &Arc<Shared>) {
        if !self.is_started.swap(true, Ordering::Relaxed) {
            let changed = Arc::clone(&self.changed);
            tokio::spawn(run(Arc::downgrade(shared), changed));
        }
    }

    /// Told when one that could not begin to wait may try again.
    pub(super) fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Begins to wait for what concerns `interest`, if the hub stands at `at`.
    pub(super) fn park(
        &self,
        at: &Cursor,
        interest: &Interest,
        rests_on: Option<Height>,
    ) -> Option<(u64, oneshot::Receiver<Cursor>)> {
        let mut state = self.state.lock();
        let may_park = !state.is_moving && state.at == *at;
        may_park.then(|| state.index.park(interest, rests_on))
    }

    pub(super) fn leave(&self, number: u64) {
        self.state.lock().index.leave(number);
    }

    /// Where one that still waits stands now: it is told so.
    pub(super) fn position(&self, number: u64) -> Option<Cursor> {
        let mut state = self.state.lock();
        let at = state.at;
        state.index.rest_on(number, at.height()).then_some(at)
    }

    /// Goes to the tip at once if nobody waits.
    fn jump(&self) -> bool {
        let mut state = self.state.lock();
        if !state.index.is_empty() {
            return false;
        }
        if let Some(tip) = self.store.snapshot().tip() {
            state.at = tip.into();
        }
        drop(state);
        self.tell_moved();
        true
    }

    /// Looks at the next change; whether there was one. Reads the database.
    fn step(&self, shared: &Shared) -> Result<bool, ReadError> {
        let snapshot = self.store.snapshot();
        // Nobody else changes it.
        let at = self.state.lock().at;
        match scan::next(&snapshot, &at)? {
            Next::Nothing => return Ok(false),
            Next::Block(block) => {
                let moving = Moving::begin(self);
                let touched = moving.touched(shared, &snapshot, &Block::Held(block))?;
                let mut state = self.state.lock();
                match touched {
                    Some(sweep) => state.index.wake_touched(sweep, at),
                    None => state.index.wake_all(at),
                }
                state.at = (&block).into();
            }
            Next::Undo(undo) => {
                let mut state = self.state.lock();
                state.index.wake_above(undo.ancestor.height(), at);
                state.at = undo.ancestor;
            }
            // They will find that they are lost, too.
            Next::Lost(_) => {
                let mut state = self.state.lock();
                state.index.wake_all(at);
                state.at = snapshot.tip().map_or(Cursor::First, Into::into);
            }
        }
        self.tell_moved();
        Ok(true)
    }

    fn tell_moved(&self) {
        self.moved.send_modify(|moved| *moved += 1);
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// While it is held, nobody begins to wait.
struct Moving<'a>(&'a Hub);

impl<'a> Moving<'a> {
    fn begin(hub: &'a Hub) -> Self {
        hub.state.lock().is_moving = true;
        Self(hub)
    }

    /// Whom the keys of `block` touch; none if they are so many that all have to look.
    fn touched(
        &self,
        shared: &Shared,
        snapshot: &Snapshot,
        block: &Block,
    ) -> Result<Option<Sweep>, ReadError> {
        let mut sweep = Sweep::default();
        if !self.0.state.lock().index.wants_keys() {
            return Ok(Some(sweep));
        }
        let Some(mut keys) = shared.keys.packed(snapshot, block)? else {
            return Ok(None);
        };
        loop {
            let state = self.0.state.lock();
            let index = &state.index;
            if !keys.each(KEYS_AT_ONCE, |key| index.touch(key, &mut sweep))? {
                return Ok(Some(sweep));
            }
        }
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_moving = false;
        self.0.tell_moved();
    }
}

/// Follows the chain until the feed is gone or the server stops.
async fn run(shared: Weak<Shared>, changed: Arc<Notify>) {
    while let Some(shared) = shared.upgrade() {
        let stopped = shared.stopped();
        if !advance(shared).await {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        tokio::select! {
            () = changed.notified() => {}
            () = stopped => return,
        }
    }
}

/// Goes to the tip; false if the database could not be read.
async fn advance(shared: Arc<Shared>) -> bool {
    while !shared.hub.jump() {
        let stepping = Arc::clone(&shared);
        let stepped = tokio::task::spawn_blocking(move || stepping.hub.step(&stepping)).await;
        match stepped {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return true,
            Ok(Err(error)) => {
                tracing::warn!(
                    "subscriptions wait for the database: {}",
                    fault::chain(&error)
                );
                return false;
            }
            Err(error) => {
                tracing::error!("following the chain for subscriptions failed: {error}");
                return false;
            }
        }
    }
    true
}

//! What the engine's threads and whoever writes tell each other: that there is work, that
//! there is room, and what failed.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{BackendError, ErrorKind};

/// How long a commit waits for tables to be merged: more of them do no harm but to reads.
const MAX_WAIT_FOR_RUNS: Duration = Duration::from_secs(1);
/// A commit that finds no room in memory fails after this time.
const MAX_WAIT_FOR_ROOM: Duration = Duration::from_mins(1);
/// How long a thread that failed waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Coordination {
    state: Mutex<State>,
    /// Told of what there is to do for the threads.
    work: Condvar,
    /// Told when there is more room, or no hope for it.
    room: Condvar,
}

#[derive(Debug)]
struct State {
    stopping: bool,
    /// What is there stays as it is.
    abandoned: bool,
    /// Raised whenever the layers changed, which may be work for the thread that flushes.
    layers: u64,
    /// Raised whenever the tables changed, which may be work for those that compact.
    tables: u64,
    /// How many flushes failed, or succeeded after one that failed.
    attempts: u64,
    /// Why the last flush failed, until one succeeds.
    flush_failure: Option<Failure>,
    /// What is beyond repair while the engine is open.
    fatal: Option<Failure>,
}

/// What a thread of the engine sees to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Concern {
    Layers,
    Tables,
}

impl State {
    fn changes(&self, concern: Concern) -> u64 {
        match concern {
            Concern::Layers => self.layers,
            Concern::Tables => self.tables,
        }
    }
}

/// A failure of a thread, for those who find out about it later.
#[derive(Debug, Clone)]
struct Failure {
    kind: ErrorKind,
    operation: &'static str,
    what: String,
}

impl Failure {
    fn of(error: &BackendError) -> Self {
        Self {
            kind: error.kind,
            operation: error.operation,
            what: chain(&*error.source),
        }
    }

    fn error(&self) -> BackendError {
        BackendError::of_kind(self.kind, self.operation, self.what.clone())
    }
}

impl Default for Coordination {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                stopping: false,
                abandoned: false,
                // What an earlier run left waits for the first write: opening is to be quick.
                layers: 0,
                tables: 0,
                attempts: 0,
                flush_failure: None,
                fatal: None,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
        }
    }
}

impl Coordination {
    /// Waits until another batch can be taken: as long as it takes, up to a minute, while
    /// `is_full`, and a second at most while the tables alone are behind. Returns how long
    /// it waited, if it did. Fails when nobody makes room any more.
    pub(super) fn wait_for_room(
        &self,
        is_full: impl Fn() -> bool,
        is_behind: impl Fn() -> bool,
    ) -> (Option<Duration>, Result<(), BackendError>) {
        let started = now();
        let mut state = self.state.lock();
        let attempts = state.attempts;
        let mut waited = false;
        let outcome = loop {
            if let Some(fatal) = &state.fatal {
                break Err(fatal.error());
            }
            let (full, elapsed) = (is_full(), started.elapsed());
            if !full && (elapsed >= MAX_WAIT_FOR_RUNS || !is_behind()) {
                break Ok(());
            }
            if let Some(failure) = state.flush_failure.as_ref().filter(|_| full) {
                // The machine may be well again: it has been tried since.
                if state.attempts > attempts {
                    break Err(failure.error());
                }
                state.layers += 1;
                self.work.notify_all();
            }
            if full && state.stopping {
                break Err(BackendError::of_kind(
                    ErrorKind::Machine,
                    "writing to the database",
                    "it was closed",
                ));
            }
            if elapsed >= MAX_WAIT_FOR_ROOM {
                break Err(BackendError::of_kind(
                    ErrorKind::Machine,
                    "waiting for the engine to write out",
                    format!("it made no room in {MAX_WAIT_FOR_ROOM:?}: the disk is too slow"),
                ));
            }
            if !waited {
                // What an earlier run left may be all there is, and nobody told of it yet.
                state.layers += 1;
                state.tables += 1;
                self.work.notify_all();
            }
            waited = true;
            let limit = if full {
                MAX_WAIT_FOR_ROOM
            } else {
                MAX_WAIT_FOR_RUNS
            };
            let rest = limit.saturating_sub(elapsed);
            self.room.wait_for(&mut state, rest);
        };
        (waited.then(|| started.elapsed()), outcome)
    }

    /// Waits until what concerns a thread changed since `seen`; returns what to pass next
    /// time, or none if the engine is being closed.
    pub(super) fn wait_for_work(
        &self,
        concern: Concern,
        seen: u64,
        timeout: Option<Duration>,
    ) -> Option<u64> {
        let mut state = self.state.lock();
        while !state.stopping && state.changes(concern) == seen {
            match timeout {
                Some(timeout) => {
                    if self.work.wait_for(&mut state, timeout).timed_out() {
                        break;
                    }
                }
                None => self.work.wait(&mut state),
            }
        }
        (!state.stopping).then_some(state.changes(concern))
    }

    /// Tells of a new layer.
    pub(super) fn tell_of_write(&self) {
        let mut state = self.state.lock();
        state.layers += 1;
        // The first one has the threads look at what an earlier run left.
        state.tables = state.tables.max(1);
        drop(state);
        self.work.notify_all();
    }

    /// Tells that layers were written out, or tables merged.
    pub(super) fn tell_of_tables(&self) {
        let mut state = self.state.lock();
        state.layers += 1;
        state.tables += 1;
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
    }

    pub(super) fn stop(&self) {
        self.state.lock().stopping = true;
        self.work.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Notes that a flush succeeded.
    pub(super) fn flush_succeeded(&self) {
        let mut state = self.state.lock();
        if state.flush_failure.take().is_some() {
            state.attempts += 1;
            self.room.notify_all();
        }
    }

    /// Notes that a thread's work failed. Returns after which time to try again; what is
    /// damaged is not tried again.
    pub(super) fn failed(&self, error: &BackendError, is_flush: bool) -> Option<Duration> {
        tracing::warn!(error = %chain(error), "the engine failed");
        let failure = Failure::of(error);
        let is_fatal = !error.is_transient();
        let mut state = self.state.lock();
        if is_fatal {
            state.fatal = Some(failure);
        } else if is_flush {
            state.flush_failure = Some(failure);
            state.attempts += 1;
        }
        drop(state);
        self.room.notify_all();
        (!is_fatal).then_some(RETRY_AFTER)
    }

    /// Notes why the flush failed that was to be the last one.
    pub(super) fn note_flush_failure(&self, error: &BackendError) {
        self.state.lock().flush_failure = Some(Failure::of(error));
    }

    /// Why the last flush failed, if it did.
    pub(super) fn flush_failure(&self) -> Option<BackendError> {
        let state = self.state.lock();
        state.flush_failure.as_ref().map(Failure::error)
    }

    /// Notes that nothing is written out any more until the database is opened again.
    pub(super) fn give_up(&self, why: &str) {
        self.state.lock().fatal = Some(Failure {
            kind: ErrorKind::Machine,
            operation: "writing to the database",
            what: format!("{why}; restart the program"),
        });
        self.room.notify_all();
    }

    /// Has the threads end without writing anything out.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.stopping = true;
        self.work.notify_all();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.state.lock().abandoned
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a commit waits for room and for the disk, which no state depends on"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

//! Sessions: names whose calls go to one instance while that lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::now;
use crate::error::{SessionLoss, ViewError};

/// Bytes that a session's name may have.
pub(crate) const MAX_SESSION_NAME: usize = 256;

/// How long the loss of a session is kept for whoever asks for it. One that nobody asks for
/// is forgotten then: made-up names must not fill the table for ever.
const TOLD_FOR: Duration = Duration::from_hours(1);

/// Between two searches of a full table for what may be forgotten.
const SEARCH_EVERY: Duration = Duration::from_secs(10);

/// One session. Whoever has its instance holds it: the pool, or the call that runs.
#[derive(Debug)]
pub(super) struct Session {
    /// What its instance is found by in the pool.
    pub(super) number: u64,
    /// Calls of one session run one after the other, in their order.
    turn: Arc<Semaphore>,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    /// Calls that the session's instance has answered.
    calls: u64,
    /// Why the instance is gone and since when, until somebody was told.
    loss: Option<(SessionLoss, Instant)>,
}

impl Session {
    fn new(number: u64) -> Self {
        Self {
            number,
            turn: Arc::new(Semaphore::new(1)),
            life: Mutex::default(),
        }
    }

    /// Counts an answer of the session's instance; tells which it was.
    pub(super) fn count_call(&self) -> u64 {
        let mut life = self.life.lock();
        life.calls += 1;
        life.calls
    }

    /// Whether its instance has answered, and so may hold something.
    pub(super) fn has_answered(&self) -> bool {
        self.life.lock().calls > 0
    }

    /// The instance is gone. One that never answered held nothing.
    pub(super) fn lose(&self, loss: SessionLoss) {
        let mut life = self.life.lock();
        if life.calls > 0 {
            *life = Life {
                calls: 0,
                loss: Some((loss, now())),
            };
        }
    }

    /// Why the session's instance is gone, if it is. The next one starts anew.
    pub(super) fn take_loss(&self) -> Option<SessionLoss> {
        self.life.lock().loss.take().map(|(loss, _)| loss)
    }

    /// Whether there is nothing to be told of it, at that time.
    fn is_over(&self, now: Instant) -> bool {
        let life = self.life.lock();
        life.loss
            .is_none_or(|(_, since)| now.saturating_duration_since(since) >= TOLD_FOR)
    }
}

/// A session's turn, for one call.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    sessions: &'a Sessions,
    name: String,
    pub(super) session: Arc<Session>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut table = self.sessions.table.lock();
        // The table and this: no instance is left, and no other call wants one.
        if Arc::strong_count(&self.session) == 2 && self.session.is_over(now()) {
            table.by_name.remove(&self.name);
        }
    }
}

/// All sessions that are known: those whose instance lives, those that a call is about, and
/// those whose loss somebody is still to be told.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    limit: usize,
    waiting: AtomicUsize,
    /// Calls that may wait for their turn, of all sessions together.
    queue: usize,
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<String, Arc<Session>>,
    numbers: u64,
    searched: Option<Instant>,
}

impl Table {
    /// Forgets what nobody has and nobody is to be told of any more.
    fn search(&mut self, now: Instant) {
        let since = |searched: Instant| now.saturating_duration_since(searched);
        if self
            .searched
            .is_some_and(|searched| since(searched) < SEARCH_EVERY)
        {
            return;
        }
        self.searched = Some(now);
        self.by_name
            .retain(|_, session| Arc::strong_count(session) > 1 || !session.is_over(now));
    }
}

impl Sessions {
    pub(super) fn new(limit: usize, queue: usize) -> Self {
        Self {
            table: Mutex::default(),
            limit,
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.lock().by_name.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for the turn of a call in the session called `name`.
    pub(super) async fn turn(&self, name: &str) -> Result<Turn<'_>, ViewError> {
        if name.is_empty() || name.len() > MAX_SESSION_NAME {
            return Err(ViewError::SessionName {
                length: name.len(),
                limit: MAX_SESSION_NAME,
            });
        }
        let mut turn = Turn {
            sessions: self,
            name: name.to_owned(),
            session: self.session(name)?,
            permit: None,
        };
        let semaphore = Arc::clone(&turn.session.turn);
        turn.permit = if let Ok(permit) = Arc::clone(&semaphore).try_acquire_owned() {
            Some(permit)
        } else {
            let _waiting = self.wait()?;
            semaphore.acquire_owned().await.ok() // it is never closed
        };
        Ok(turn)
    }

    /// The session of that name. A new one is refused if there is no place in the table.
    fn session(&self, name: &str) -> Result<Arc<Session>, ViewError> {
        let mut table = self.table.lock();
        if let Some(session) = table.by_name.get(name) {
            return Ok(Arc::clone(session));
        }
        if table.by_name.len() >= self.limit {
            table.search(now());
        }
        if table.by_name.len() >= self.limit {
            return Err(ViewError::SessionsFull { limit: self.limit });
        }
        table.numbers += 1;
        let session = Arc::new(Session::new(table.numbers));
        table.by_name.insert(name.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    fn wait(&self) -> Result<Waiting<'_>, ViewError> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            return Err(ViewError::Busy { queue: self.queue });
        }
        Ok(waiting)
    }
}

/// One call that waits for its session's turn, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use metashrew_store::wait;

    use super::*;

    #[test]
    fn a_full_table_refuses_and_forgets_nobody() {
        let sessions = Sessions::new(2, 8);
        let known: Vec<_> = ["a", "b"]
            .map(|name| wait(sessions.turn(name)).unwrap())
            .into();
        for turn in &known {
            assert_eq!(turn.session.count_call(), 1);
        }
        // As if the pool had their instances.
        let instances: Vec<_> = known.iter().map(|turn| Arc::clone(&turn.session)).collect();
        drop(known);
        let full = wait(sessions.turn("c"));
        assert!(
            matches!(full, Err(ViewError::SessionsFull { limit: 2 })),
            "{full:?}"
        );
        assert_eq!(wait(sessions.turn("a")).unwrap().session.count_call(), 2);

        // Whose instance goes is told so, and only then is there a place again.
        for session in instances {
            session.lose(SessionLoss::Memory);
        }
        wait(sessions.turn("c")).unwrap_err();
        let told = wait(sessions.turn("a")).unwrap().session.take_loss();
        assert_eq!(told, Some(SessionLoss::Memory));
        wait(sessions.turn("c")).unwrap();
    }

    #[test]
    fn what_nobody_asked_for_again_is_forgotten_in_the_end() {
        let sessions = Sessions::new(1, 8);
        let turn = wait(sessions.turn("a")).unwrap();
        turn.session.count_call();
        turn.session.lose(SessionLoss::Fault);
        drop(turn);
        let at = |later: Duration| now().checked_add(later).unwrap();
        sessions.table.lock().search(now());
        assert_eq!(sessions.len(), 1);
        sessions.table.lock().search(at(TOLD_FOR));
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn a_session_that_came_to_nothing_leaves_nothing() {
        let sessions = Sessions::new(1, 8);
        for name in ["a", "b", "c"] {
            drop(wait(sessions.turn(name)).unwrap());
        }
        assert_eq!(sessions.len(), 0);
    }
}

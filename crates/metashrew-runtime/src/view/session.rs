//! Sessions: names whose calls go to one instance while that lives.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{SessionLoss, ViewError};

/// Bytes that a session's name may have.
pub(crate) const MAX_SESSION_NAME: usize = 256;

/// Sessions that are remembered at least; beyond, the one not asked for longest is
/// forgotten.
const MIN_REMEMBERED: usize = 4096;

/// One session. Its instance is with the idle ones, or runs its call.
pub(super) struct Session {
    /// Calls of one session run one after the other, in their order.
    turn: Arc<Semaphore>,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    /// Calls that the session's instance has answered.
    calls: u64,
    /// Why the instance is gone, until somebody was told.
    loss: Option<SessionLoss>,
}

impl Session {
    fn new() -> Self {
        Self {
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

    /// The instance is gone. One that never answered held nothing.
    pub(super) fn lose(&self, loss: SessionLoss) {
        let mut life = self.life.lock();
        if life.calls > 0 {
            *life = Life {
                calls: 0,
                loss: Some(loss),
            };
        }
    }

    /// Why the session's instance is gone, if it is. The next one starts anew.
    pub(super) fn take_loss(&self) -> Option<SessionLoss> {
        self.life.lock().loss.take()
    }
}

/// A session's turn, for one call.
pub(super) struct Turn {
    pub(super) session: Arc<Session>,
    _permit: OwnedSemaphorePermit,
}

/// All sessions that are remembered.
pub(super) struct Sessions {
    by_name: Mutex<LruCache<String, Arc<Session>>>,
    waiting: AtomicUsize,
    /// Calls that may wait for their turn, of all sessions together.
    queue: usize,
}

impl Sessions {
    /// As many sessions are remembered as can have a call under way, and more.
    pub(super) fn new(instances: usize, queue: usize) -> Self {
        let under_way = instances.saturating_add(queue).saturating_mul(2);
        let remembered = NonZeroUsize::new(under_way.max(MIN_REMEMBERED));
        Self {
            by_name: Mutex::new(LruCache::new(remembered.unwrap_or(NonZeroUsize::MAX))),
            waiting: AtomicUsize::new(0),
            queue,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.lock().len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for the turn of a call in the session called `name`.
    pub(super) async fn turn(&self, name: &str) -> Result<Turn, ViewError> {
        if name.is_empty() || name.len() > MAX_SESSION_NAME {
            return Err(ViewError::SessionName {
                length: name.len(),
                limit: MAX_SESSION_NAME,
            });
        }
        let session = {
            let mut by_name = self.by_name.lock();
            Arc::clone(by_name.get_or_insert_ref(name, || Arc::new(Session::new())))
        };
        let turn = Arc::clone(&session.turn);
        let permit = if let Ok(permit) = Arc::clone(&turn).try_acquire_owned() {
            permit
        } else {
            let _waiting = self.wait()?;
            let permit = turn.acquire_owned().await;
            permit.expect("the semaphore is never closed")
        };
        Ok(Turn {
            session,
            _permit: permit,
        })
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

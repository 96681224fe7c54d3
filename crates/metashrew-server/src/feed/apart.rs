//! Work for subscribers, on tasks of its own: whoever waits for it need not be polled for it to
//! go on.
//!
//! A connection polls none of its subscriptions while its client does not read. What they have
//! begun would keep permits from all others for as long as that client likes.

use std::future;
use std::panic;

use tokio::task::{JoinError, JoinSet};

/// Does `work`, which ends if nobody waits for it any more.
pub(super) async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(ended) => done(ended).await,
        // There is the one task.
        None => future::pending().await,
    }
}

/// What came of a task.
pub(super) async fn done<T>(ended: Result<T, JoinError>) -> T {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panicked)) => panic::resume_unwind(panicked),
        // The process ends.
        Err(Err(_)) => future::pending().await,
    }
}

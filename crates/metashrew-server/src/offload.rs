//! Work that keeps a core busy for long and that no tick interrupts: it runs on threads
//! of its own, a bounded number of them, so that the workers stay free for others.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::fault::RpcError;

/// Bytes that a worker reads or decodes itself: fractions of a millisecond of work.
pub(crate) const SHORT: usize = 256 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Offload(Arc<Semaphore>);

impl Offload {
    pub(crate) fn new(at_a_time: NonZeroUsize) -> Self {
        let permits = at_a_time.get().min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Does `work`, on so many bytes. It is done to its end even if nobody waits for it
    /// any more. One that panics is a defect of the server.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        length: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RpcError> {
        if length <= SHORT {
            return catch_unwind(AssertUnwindSafe(work)).map_err(|_| RpcError::INTERNAL);
        }
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| RpcError::INTERNAL)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn two() -> Offload {
        Offload::new(NonZeroUsize::new(2).unwrap())
    }

    #[tokio::test]
    async fn long_work_leaves_the_worker() {
        let here = thread::current().id();
        let on = async |length| two().run(length, || thread::current().id()).await;
        assert_eq!(on(SHORT).await, Ok(here));
        assert_ne!(on(SHORT + 1).await, Ok(here));
    }

    #[tokio::test]
    async fn so_much_is_done_at_a_time() {
        static DOING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let offload = two();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let offload = offload.clone();
            all.spawn(async move {
                let work = || {
                    let doing = DOING.fetch_add(1, Ordering::SeqCst) + 1;
                    MOST.fetch_max(doing, Ordering::SeqCst);
                    thread::yield_now();
                    DOING.fetch_sub(1, Ordering::SeqCst);
                };
                offload.run(SHORT + 1, work).await
            });
        }
        assert!(all.join_all().await.into_iter().all(|done| done.is_ok()));
        assert!(MOST.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_the_thread_back() {
        let offload = Offload::new(NonZeroUsize::MIN);
        for length in [0, SHORT + 1, SHORT + 1] {
            let failed = offload.run(length, || panic!("a defect")).await;
            assert_eq!(failed, Err::<(), _>(RpcError::INTERNAL));
        }
        assert_eq!(offload.run(SHORT + 1, || 7).await, Ok(7));
    }
}

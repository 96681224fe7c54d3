//! Runs many calls side by side, so many at a time.

use std::future::Future;
use std::iter::Enumerate;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::vec::IntoIter;

use parking_lot::Mutex;
use tokio::task::JoinSet;

/// How calls run that came together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Calls that run at a time.
    pub(crate) at_a_time: NonZeroUsize,
    /// Bytes that all answers may have together.
    pub(crate) max_length: usize,
}

/// The answers are longer than they may be together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The answers to `calls`, in their order; none for a call that panicked. `work`
/// answers a call, and says how many bytes the answer has. Once the answers are
/// too long, nothing more is begun. Dropping the future ends all calls under way.
pub(crate) async fn run<C, T, F>(
    calls: Vec<C>,
    bounds: Bounds,
    work: impl Fn(C) -> F + Clone + Send + 'static,
) -> Result<Vec<Option<T>>, TooLong>
where
    C: Send + 'static,
    T: Send + 'static,
    F: Future<Output = (T, usize)> + Send + 'static,
{
    let workers = bounds.at_a_time.get().min(calls.len());
    let shared = Arc::new(Mutex::new(Shared::new(calls, bounds.max_length)));
    let mut running = JoinSet::new();
    for _ in 0..workers {
        running.spawn(worker(Arc::clone(&shared), work.clone()));
    }
    while let Some(ended) = running.join_next().await {
        // A call that panicked took its worker with it.
        if ended.is_err_and(|error| error.is_panic()) {
            running.spawn(worker(Arc::clone(&shared), work.clone()));
        }
    }
    let mut shared = shared.lock();
    match shared.room {
        Some(_) => Ok(std::mem::take(&mut shared.answers)),
        None => Err(TooLong),
    }
}

struct Shared<C, T> {
    waiting: Enumerate<IntoIter<C>>,
    answers: Vec<Option<T>>,
    /// Bytes that answers may still have; none when they had more.
    room: Option<usize>,
}

impl<C, T> Shared<C, T> {
    fn new(calls: Vec<C>, max_length: usize) -> Self {
        Self {
            answers: calls.iter().map(|_| None).collect(),
            waiting: calls.into_iter().enumerate(),
            room: Some(max_length),
        }
    }

    fn next(&mut self) -> Option<(usize, C)> {
        self.room.and_then(|_| self.waiting.next())
    }

    fn answered(&mut self, place: usize, answer: T, length: usize) {
        self.room = self.room.and_then(|room| room.checked_sub(length));
        if let Some(slot) = self.answers.get_mut(place) {
            *slot = Some(answer);
        }
    }
}

async fn worker<C, T, F>(shared: Arc<Mutex<Shared<C, T>>>, work: impl Fn(C) -> F)
where
    F: Future<Output = (T, usize)>,
{
    loop {
        let Some((place, call)) = shared.lock().next() else {
            return;
        };
        let (answer, length) = work(call).await;
        shared.lock().answered(place, answer, length);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const TWO: Bounds = Bounds {
        at_a_time: NonZeroUsize::new(2).unwrap(),
        max_length: 10,
    };

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_calls() {
        let answers = run((0..1000).collect(), TWO, |call: u32| async move {
            for _ in 0..call % 7 {
                tokio::task::yield_now().await;
            }
            (call * 2, 0)
        });
        let answers: Option<Vec<_>> = answers.await.unwrap().into_iter().collect();
        assert_eq!(answers, Some((0..1000).map(|call| call * 2).collect()));
        let none = run(Vec::new(), TWO, |(): ()| async { ((), 0) }).await;
        assert_eq!(none, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn so_many_run_at_a_time() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let answers = run((0..50).collect(), TWO, |_: u32| async {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(running, Ordering::SeqCst);
            tokio::task::yield_now().await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            ((), 0)
        });
        answers.await.unwrap();
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_leaves_its_own_place_empty() {
        let answers = run((0..9).collect(), TWO, |call: u32| async move {
            assert_ne!(call % 3, 0, "a call that panics");
            (call, 1)
        });
        let expect = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|call| (call % 3 != 0).then_some(call));
        assert_eq!(answers.await.unwrap(), expect);
    }

    #[tokio::test]
    async fn nothing_is_begun_once_the_answers_are_too_long() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let work = |length: usize| async move {
            BEGUN.fetch_add(1, Ordering::SeqCst);
            ((), length)
        };
        assert_eq!(run(vec![4, 6], TWO, work).await.unwrap().len(), 2);
        BEGUN.store(0, Ordering::SeqCst);
        assert_eq!(run(vec![11; 100], TWO, work).await, Err(TooLong));
        assert!(BEGUN.load(Ordering::SeqCst) <= 2);
    }
}

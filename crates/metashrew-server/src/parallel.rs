//! Runs many calls side by side, so many at a time.

use std::future::Future;
use std::iter::Enumerate;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::vec::IntoIter;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::budget::{BudgetExhausted, Lease, Parts};

/// How calls run that came together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Calls that run at a time.
    pub(crate) at_a_time: NonZeroUsize,
    /// Bytes that all answers may have together.
    pub(crate) max_length: usize,
}

/// Why not all calls were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The answers are longer than they may be together.
    TooLong,
    /// There was no room for one.
    Exhausted(BudgetExhausted),
}

/// What an answer takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    /// Bytes that are sent.
    pub(crate) length: usize,
    /// Bytes of memory.
    pub(crate) held: usize,
}

/// The answers to `calls`, in their order; none for a call that panicked. `work`
/// answers a call, and says what the answer takes, which the request's `lease` holds
/// until all are there. Once they are too long or find no room, the calls under way end.
/// Dropping the future ends them too.
pub(crate) async fn run<C, T, F>(
    calls: Vec<C>,
    bounds: Bounds,
    lease: &Arc<Lease>,
    work: impl Fn(C) -> F + Clone + Send + 'static,
) -> Result<Vec<Option<T>>, Stopped>
where
    C: Send + 'static,
    T: Send + 'static,
    F: Future<Output = (T, Size)> + Send + 'static,
{
    let workers = bounds.at_a_time.get().min(calls.len());
    let shared = Arc::new(Mutex::new(Shared::new(calls, bounds.max_length, lease)));
    let mut running = JoinSet::new();
    for _ in 0..workers {
        running.spawn(worker(Arc::clone(&shared), work.clone()));
    }
    while let Some(ended) = running.join_next().await {
        if let Some(stopped) = shared.lock().stopped {
            return Err(stopped);
        }
        // A call that panicked took its worker with it.
        if ended.is_err_and(|error| error.is_panic()) {
            running.spawn(worker(Arc::clone(&shared), work.clone()));
        }
    }
    let mut shared = shared.lock();
    // The answers are in the caller's hands now.
    shared.parts.give_back();
    Ok(std::mem::take(&mut shared.answers))
}

struct Shared<C, T> {
    waiting: Enumerate<IntoIter<C>>,
    answers: Vec<Option<T>>,
    /// Bytes that answers may still have.
    room: usize,
    parts: Parts,
    stopped: Option<Stopped>,
}

impl<C, T> Shared<C, T> {
    fn new(calls: Vec<C>, max_length: usize, lease: &Arc<Lease>) -> Self {
        Self {
            answers: calls.iter().map(|_| None).collect(),
            waiting: calls.into_iter().enumerate(),
            room: max_length,
            parts: Parts::new(lease),
            stopped: None,
        }
    }

    fn next(&mut self) -> Option<(usize, C)> {
        match self.stopped {
            Some(_) => None,
            None => self.waiting.next(),
        }
    }

    fn answered(&mut self, place: usize, answer: T, size: Size) {
        if self.stopped.is_some() {
            return;
        }
        match self.take(size) {
            Err(stopped) => {
                self.stopped = Some(stopped);
                self.answers.clear();
                self.parts.give_back();
            }
            Ok(()) => {
                if let Some(slot) = self.answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
        }
    }

    fn take(&mut self, size: Size) -> Result<(), Stopped> {
        let left = self.room.checked_sub(size.length);
        self.room = left.ok_or(Stopped::TooLong)?;
        self.parts.add(size.held).map_err(Stopped::Exhausted)
    }
}

async fn worker<C, T, F>(shared: Arc<Mutex<Shared<C, T>>>, work: impl Fn(C) -> F)
where
    F: Future<Output = (T, Size)>,
{
    loop {
        let Some((place, call)) = shared.lock().next() else {
            return;
        };
        let (answer, size) = work(call).await;
        shared.lock().answered(place, answer, size);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::budget::{Budget, SMALL};
    use crate::connections::Connection;

    fn lease() -> Arc<Lease> {
        lease_of(0)
    }

    fn lease_of(limit: usize) -> Arc<Lease> {
        let budget = Arc::new(Budget::new(limit, Duration::ZERO));
        Arc::new(budget.lease(&Arc::new(Connection::new([127, 0, 0, 1].into()))))
    }

    fn size(length: usize) -> Size {
        Size { length, held: 0 }
    }

    const TWO: Bounds = Bounds {
        at_a_time: NonZeroUsize::new(2).unwrap(),
        max_length: 10,
    };

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_calls() {
        let lease = lease();
        let answers = run((0..1000).collect(), TWO, &lease, |call: u32| async move {
            for _ in 0..call % 7 {
                tokio::task::yield_now().await;
            }
            (call * 2, size(0))
        });
        let answers: Option<Vec<_>> = answers.await.unwrap().into_iter().collect();
        assert_eq!(answers, Some((0..1000).map(|call| call * 2).collect()));
        let none = run(Vec::new(), TWO, &lease, |(): ()| async { ((), size(0)) }).await;
        assert_eq!(none, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn so_many_run_at_a_time() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let lease = lease();
        let answers = run((0..50).collect(), TWO, &lease, |_: u32| async {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(running, Ordering::SeqCst);
            tokio::task::yield_now().await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            ((), size(0))
        });
        answers.await.unwrap();
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_leaves_its_own_place_empty() {
        let lease = lease();
        let answers = run((0..9).collect(), TWO, &lease, |call: u32| async move {
            assert_ne!(call % 3, 0, "a call that panics");
            (call, size(1))
        });
        let expect = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|call| (call % 3 != 0).then_some(call));
        assert_eq!(answers.await.unwrap(), expect);
    }

    #[tokio::test]
    async fn nothing_is_begun_once_the_answers_are_too_long() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let work = |length: usize| async move {
            BEGUN.fetch_add(1, Ordering::SeqCst);
            ((), size(length))
        };
        assert_eq!(run(vec![4, 6], TWO, &lease(), work).await.unwrap().len(), 2);
        BEGUN.store(0, Ordering::SeqCst);
        assert_eq!(
            run(vec![11; 100], TWO, &lease(), work).await,
            Err(Stopped::TooLong)
        );
        assert!(BEGUN.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn calls_under_way_end_once_an_answer_finds_no_room() {
        let answers = |held: Vec<usize>| {
            let lease = lease_of(10 - 1);
            async move {
                let work = |held: usize| async move {
                    if held == 0 {
                        std::future::pending::<()>().await;
                    }
                    ((), Size { length: 0, held })
                };
                run(held, TWO, &lease, work).await
            }
        };
        assert_eq!(answers(vec![SMALL, 9]).await.unwrap().len(), 2);
        let stopped = answers(vec![0, SMALL, 10]).await;
        assert_eq!(
            stopped,
            Err(Stopped::Exhausted(BudgetExhausted { limit: 9 }))
        );
    }
}

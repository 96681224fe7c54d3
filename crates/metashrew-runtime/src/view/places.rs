//! The places that calls run on, and the queue for them.
//!
//! With one place, or where calls take longer than a switch between threads, calls run
//! in the order they came. Else a place that becomes free is for whoever is there first. While callers come back by
//! themselves, nobody is woken for it: waking a thread and having it find the place
//! taken costs more than most calls. Once in a while the longest waiting call gets
//! a place handed, so that no call waits for ever; and a place that nobody came for
//! is found at the next [`Places::nudge`].

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The time between two places that are handed to whoever waits longest.
const HAND_OVER_EVERY: Duration = Duration::from_millis(1);

/// A call that had its place for so long was worth the switch to the next one.
const WORTH_A_SWITCH: Duration = Duration::from_micros(20);

/// Who waits in the queue, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

struct Waiter {
    ticket: Ticket,
    waker: Waker,
    /// Was woken and has not looked yet.
    woken: bool,
    /// Has a place already.
    has_place: bool,
}

pub(super) struct Places {
    count: usize,
    free: usize,
    queue: VecDeque<Waiter>,
    /// Calls that may wait.
    limit: usize,
    next_ticket: u64,
    next_hand_over: Option<Instant>,
    /// Places that became free since one was last taken past the queue.
    left_alone: usize,
}

/// There is no room in the queue.
pub(super) struct Full;

impl Places {
    pub(super) fn new(count: usize, limit: usize) -> Self {
        Self {
            count,
            free: count,
            queue: VecDeque::new(),
            limit,
            next_ticket: 0,
            next_hand_over: None,
            left_alone: usize::MAX,
        }
    }

    pub(super) fn busy(&self) -> usize {
        self.count - self.free
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Calls that may wait.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes a free place.
    pub(super) fn take(&mut self) -> bool {
        let free = self.free > 0;
        self.free -= usize::from(free);
        if free && !self.queue.is_empty() {
            self.left_alone = 0;
        }
        free
    }

    /// Waits for a place: `waker` is called when it is worth asking
    /// [`Places::take_waiting`].
    pub(super) fn wait(&mut self, waker: Waker) -> Result<Ticket, Full> {
        if self.queue.len() >= self.limit {
            return Err(Full);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.queue.push_back(Waiter {
            ticket,
            waker,
            woken: false,
            has_place: false,
        });
        Ok(ticket)
    }

    /// Takes the place that a waiting call has got, or a free one, and leaves the
    /// queue; else goes on waiting.
    pub(super) fn take_waiting(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        let Some(index) = self.position(ticket) else {
            return false;
        };
        let Some(waiter) = self.queue.get_mut(index) else {
            return false;
        };
        let has_place = waiter.has_place;
        if !has_place && self.free == 0 {
            waiter.woken = false;
            waiter.waker.clone_from(waker);
            return false;
        }
        self.free -= usize::from(!has_place);
        self.queue.remove(index);
        true
    }

    /// Leaves the queue; answers whom to wake, if a place comes free by that.
    pub(super) fn leave_queue(&mut self, ticket: Ticket) -> Option<Waker> {
        let waiter = self.queue.remove(self.position(ticket)?)?;
        if waiter.has_place {
            self.release(Duration::ZERO)
        } else {
            self.wake_next()
        }
    }

    /// Gives a place back that was `held` for a time; answers whom to wake.
    pub(super) fn release(&mut self, held: Duration) -> Option<Waker> {
        self.free += 1;
        if self.queue.is_empty() {
            return None;
        }
        let in_order = self.count == 1 || held >= WORTH_A_SWITCH;
        if !in_order && !self.is_hand_over_due() {
            // As many callers as there are places may be on their way back.
            self.left_alone = self.left_alone.saturating_add(1);
            let come_back = self.left_alone <= self.count;
            return if come_back { None } else { self.wake_next() };
        }
        let longest = self.queue.iter_mut().find(|waiter| !waiter.has_place)?;
        longest.has_place = true;
        self.free -= 1;
        if longest.woken {
            // It was on its way to another free place: that one is for the next.
            return self.wake_next();
        }
        Some(longest.waker.clone())
    }

    /// To be called every now and then, until there is nobody to wake.
    pub(super) fn nudge(&mut self) -> Option<Waker> {
        self.wake_next()
    }

    /// Whom to wake, so that as many look for a place as there are free ones.
    fn wake_next(&mut self) -> Option<Waker> {
        let looking = self
            .queue
            .iter()
            .filter(|waiter| waiter.woken && !waiter.has_place)
            .count();
        if looking >= self.free {
            return None;
        }
        let longest = self
            .queue
            .iter_mut()
            .find(|waiter| !waiter.woken && !waiter.has_place)?;
        longest.woken = true;
        Some(longest.waker.clone())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "time decides who runs next, never what is answered"
    )]
    fn is_hand_over_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.next_hand_over.is_none_or(|due| now >= due);
        if due {
            self.next_hand_over = now.checked_add(HAND_OVER_EVERY);
        }
        due
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.queue.iter().position(|waiter| waiter.ticket == ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn noop() -> Waker {
        Waker::noop().clone()
    }

    #[test]
    fn one_place_is_handed_over_in_order() {
        let mut places = Places::new(1, 3);
        assert!(places.take());
        let tickets: Vec<_> = (0..3).map(|_| places.wait(noop()).ok().unwrap()).collect();
        assert!(places.wait(noop()).is_err());
        for (index, ticket) in tickets.iter().enumerate() {
            assert!(places.release(Duration::ZERO).is_some());
            assert!(!places.take(), "nobody overtakes");
            for later in tickets.iter().skip(index + 1) {
                assert!(!places.take_waiting(*later, &noop()));
            }
            assert!(places.take_waiting(*ticket, &noop()));
        }
        assert!(places.release(Duration::ZERO).is_none());
        assert_eq!((places.busy(), places.waiting()), (0, 0));
    }

    #[test]
    fn a_call_that_gives_up_passes_its_place_on() {
        let mut places = Places::new(1, 3);
        assert!(places.take());
        let bell = Arc::new(Bell::default());
        let first = places.wait(noop()).ok().unwrap();
        let second = places.wait(Arc::clone(&bell).into()).ok().unwrap();
        places.release(Duration::ZERO).unwrap().wake();
        places.leave_queue(first).unwrap().wake();
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert!(places.take_waiting(second, &noop()));
    }

    /// What callers do, in any order; every woken call looks for its place at some time.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Come,
        Look(usize),
        /// After a short call, or a long one.
        Leave {
            long: bool,
        },
        GiveUp(usize),
        /// So much time passes that a place is handed over next.
        Wait,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Come),
            3 => any::<usize>().prop_map(Step::Look),
            3 => any::<bool>().prop_map(|long| Step::Leave { long }),
            1 => any::<usize>().prop_map(Step::GiveUp),
            1 => Just(Step::Wait),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn no_place_is_lost_and_no_call_is_forgotten(count in 1..4_usize, steps in steps()) {
            let mut places = Places::new(count, 8);
            let (mut running, mut waiting) = (0_usize, Vec::new());
            for step in steps {
                match step {
                    Step::Come if places.take() => running += 1,
                    Step::Come => {
                        if let Ok(ticket) = places.wait(noop()) {
                            waiting.push(ticket);
                        }
                    }
                    Step::Look(which) if !waiting.is_empty() => {
                        let index = which % waiting.len();
                        if places.take_waiting(waiting[index], &noop()) {
                            waiting.remove(index);
                            running += 1;
                        }
                    }
                    Step::Leave { long } if running > 0 => {
                        running -= 1;
                        let held = if long { WORTH_A_SWITCH } else { Duration::ZERO };
                        places.release(held);
                    }
                    Step::GiveUp(which) if !waiting.is_empty() => {
                        places.leave_queue(waiting.remove(which % waiting.len()));
                    }
                    Step::Wait => places.next_hand_over = None,
                    _ => {}
                }
                prop_assert!(running <= count);
                prop_assert_eq!(places.waiting(), waiting.len());
                // After nudges, for every free place somebody who waits is on the way, or
                // nobody is left.
                while places.nudge().is_some() {}
                let without = || places.queue.iter().filter(|waiter| !waiter.has_place);
                let on_the_way = without().filter(|waiter| waiter.woken).count();
                prop_assert!(on_the_way >= places.free.min(without().count()));
            }
            // Everybody gets a turn in the end.
            while !waiting.is_empty() || running > 0 {
                let before = waiting.len();
                waiting.retain(|ticket| !places.take_waiting(*ticket, &noop()));
                running += before - waiting.len();
                prop_assert!(running > 0, "all are stuck");
                running -= 1;
                places.release(Duration::ZERO);
            }
            prop_assert_eq!((places.busy(), places.waiting()), (0, 0));
        }
    }
}

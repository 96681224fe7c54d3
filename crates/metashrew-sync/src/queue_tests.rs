//! Order, bounds, retries and ends of the queue of blocks.

use std::thread;

use super::*;
use crate::block::HEADER_LEN;

fn planned(height: Height) -> Planned {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&height.to_le_bytes());
    Planned {
        height,
        hash: BlockHash::from_bytes(hash),
        noticed: None,
    }
}

fn fill(queue: &Queue, job: &Job, length: usize) {
    let bytes = Bytes::from(vec![0; length]);
    let header = Header::read(&[0; HEADER_LEN]).unwrap();
    queue.fill(job, header, bytes);
}

fn plan(queue: &Queue, heights: std::ops::Range<Height>) {
    for height in heights {
        assert!(queue.plan(planned(height)));
    }
}

/// The height of the block that is there now, if it is the next one's turn.
fn ready(queue: &Queue) -> Option<Height> {
    queue.inner.lock().pop().map(|block| block.block.height)
}

/// A job, if there is one now.
fn job(queue: &Queue) -> Option<Job> {
    let mut inner = queue.inner.lock();
    inner.take(queue.max_bytes, Instant::now()).ok()
}

#[test]
fn blocks_fetched_in_any_order_come_out_in_order() {
    let queue = Queue::new(8, usize::MAX);
    plan(&queue, 0..5);
    let jobs: Vec<_> = (0..5).map(|_| job(&queue).unwrap()).collect();
    assert!(job(&queue).is_none());
    for (filled, expected) in [
        (3, &[][..]),
        (1, &[]),
        (0, &[0, 1]),
        (4, &[]),
        (2, &[2, 3, 4]),
    ] {
        fill(&queue, &jobs[filled], 10);
        let out: Vec<_> = std::iter::from_fn(|| ready(&queue)).collect();
        assert_eq!(out, expected, "after block {filled}");
    }
    assert_eq!(queue.inner.lock().bytes, 0);
}

#[test]
fn many_threads_keep_order_and_bounds() {
    for (max_entries, max_bytes) in [(1, 1), (3, usize::MAX), (100, 3 * RESERVED)] {
        let queue = Queue::new(max_entries, max_bytes);
        thread::scope(|scope| {
            scope.spawn(|| {
                plan(&queue, 0..200);
                queue.finish(FetchEnd::Tip);
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(job) = queue.take() {
                        let length = job.height as usize * 7_919 % RESERVED;
                        fill(&queue, &job, length);
                    }
                });
            }
            for expected in 0..200 {
                let Some(Fetched::Block(block)) = queue.pop() else {
                    panic!("no block {expected}");
                };
                assert_eq!(block.block.height, expected);
                let inner = queue.inner.lock();
                assert!(inner.slots.len() <= max_entries);
                let started = inner.slots.iter().filter(|slot| slot.held > 0).count();
                assert!(inner.bytes <= max_bytes || started == 1);
            }
            assert!(matches!(queue.pop(), Some(Fetched::End(FetchEnd::Tip))));
            queue.close();
        });
    }
}

#[test]
fn blocks_under_way_count_and_give_back_what_they_do_not_need() {
    let queue = Queue::new(100, 3 * RESERVED);
    plan(&queue, 0..10);
    let jobs: Vec<_> = std::iter::from_fn(|| job(&queue)).collect();
    assert_eq!(jobs.len(), 3, "each may be as large as a block can be");
    fill(&queue, &jobs[2], RESERVED / 2);
    assert!(job(&queue).is_none());
    fill(&queue, &jobs[1], RESERVED / 2);
    let fourth = job(&queue).unwrap();
    assert_eq!((fourth.height, queue.inner.lock().bytes), (3, 3 * RESERVED));
    // The next in order is tried again although there is no room for another.
    queue.put_back(&jobs[0], Duration::ZERO);
    assert_eq!(job(&queue).unwrap().height, 0);
    assert!(job(&queue).is_none());
}

#[test]
fn a_block_larger_than_any_before_makes_the_next_ones_wait() {
    let queue = Queue::new(100, 4 * RESERVED);
    plan(&queue, 0..4);
    fill(&queue, &job(&queue).unwrap(), 3 * RESERVED);
    assert_eq!(ready(&queue), Some(0));
    assert_eq!(job(&queue).map(|job| job.height), Some(1));
    assert!(job(&queue).is_none());
}

#[test]
fn a_failed_block_is_left_alone_for_its_pause_and_its_neighbours_are_not() {
    let queue = Queue::new(8, usize::MAX);
    plan(&queue, 0..3);
    let first = job(&queue).unwrap();
    queue.put_back(&first, Duration::from_hours(1));
    assert_eq!(job(&queue).unwrap().height, 1);
    assert_eq!(job(&queue).unwrap().height, 2);
    assert!(job(&queue).is_none());
    let later = Instant::now() + Duration::from_hours(2);
    let again = queue.inner.lock().take(usize::MAX, later).unwrap();
    assert_eq!((again.height, again.failures), (0, 1));
    fill(&queue, &again, 1);
    assert_eq!(ready(&queue), Some(0));
}

#[test]
fn a_cut_drops_the_block_and_all_after_it_and_the_lowest_cut_counts() {
    let queue = Queue::new(8, usize::MAX);
    plan(&queue, 0..5);
    let jobs: Vec<_> = (0..5).map(|_| job(&queue).unwrap()).collect();
    for filled in [0, 1, 4] {
        fill(&queue, &jobs[filled], 10);
    }
    queue.cut(&jobs[3], FetchEnd::Changed);
    queue.cut(&jobs[2], FetchEnd::Exit);
    // Whoever comes too late changes nothing.
    queue.cut(&jobs[3], FetchEnd::Tip);
    queue.finish(FetchEnd::Tip);
    fill(&queue, &jobs[4], 10);
    queue.put_back(&jobs[2], Duration::ZERO);
    assert!(!queue.plan(planned(5)) && job(&queue).is_none());
    assert_eq!(queue.inner.lock().bytes, 20);
    assert_eq!((ready(&queue), ready(&queue)), (Some(0), Some(1)));
    assert!(matches!(queue.pop(), Some(Fetched::End(FetchEnd::Exit))));
}

#[test]
fn closing_wakes_all_who_wait() {
    let full = Queue::new(1, 1);
    plan(&full, 0..1);
    let empty = Queue::new(1, 1);
    thread::scope(|scope| {
        let plan = scope.spawn(|| full.plan(planned(1)));
        let pop = scope.spawn(|| empty.pop().is_none());
        let take = scope.spawn(|| empty.take().is_none());
        let wait = scope.spawn(|| full.wait_closed(Duration::MAX));
        full.close();
        empty.close();
        assert!(!plan.join().unwrap());
        assert!(pop.join().unwrap() && take.join().unwrap() && wait.join().unwrap());
    });
    assert!(full.is_closed() && !full.plan(planned(2)) && full.pop().is_none());
}

#[test]
fn a_scout_gets_blocks_that_are_there_in_order_each_once_and_they_stay() {
    let queue = Queue::new(8, usize::MAX);
    plan(&queue, 0..6);
    let jobs: Vec<_> = (0..6).map(|_| job(&queue).unwrap()).collect();
    let ahead = |lookahead| {
        let ahead = queue.inner.lock().take_ahead(lookahead);
        ahead.map(|ahead| (ahead.place, ahead.height))
    };
    assert_eq!(ahead(8), None);
    assert!(!queue.has_ready());
    for filled in [0, 1, 3, 4] {
        fill(&queue, &jobs[filled], 10);
    }
    assert!(queue.has_ready());
    assert_eq!(ahead(0), None);
    assert_eq!(ahead(1), Some((0, 0)));
    assert_eq!(ahead(1), None, "it was given out");
    assert_eq!(ready(&queue), Some(0), "and stays");
    assert_eq!(ahead(2), Some((1, 1)));
    assert_eq!(
        ahead(2),
        None,
        "block 2 is not there, and block 3 is too far"
    );
    assert_eq!(ahead(8), Some((3, 3)));
    fill(&queue, &jobs[2], 10);
    assert_eq!(ahead(8), Some((2, 2)));
    assert_eq!(ahead(8), Some((4, 4)));
    assert_eq!(ahead(8), None);
    let out: Vec<_> = std::iter::from_fn(|| ready(&queue)).collect();
    assert_eq!(out, [1, 2, 3, 4]);
}

#[test]
fn a_scout_that_waits_ends_when_it_is_not_wanted_or_the_queue_is_closed() {
    for close in [true, false] {
        let queue = Queue::new(8, usize::MAX);
        let wanted = std::sync::atomic::AtomicBool::new(true);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                queue.take_ahead(|| {
                    wanted
                        .load(std::sync::atomic::Ordering::Relaxed)
                        .then_some(8)
                })
            });
            if close {
                queue.close();
            } else {
                wanted.store(false, std::sync::atomic::Ordering::Relaxed);
                queue.wake();
            }
            assert!(waiting.join().unwrap().is_none());
        });
    }
}

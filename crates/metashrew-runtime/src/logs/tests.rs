//! What is known of blocks' lines: which run they are of, and what goes when there is no room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

const ALL: LogRange = LogRange {
    from: 0,
    lines: usize::MAX,
    bytes: usize::MAX,
};

fn hash(number: u8) -> BlockHash {
    BlockHash::from_bytes([number; 32])
}

fn block(height: Height, number: u8) -> BlockRef {
    BlockRef::new(height, hash(number), hash(number.wrapping_sub(1)))
}

fn logs(memory: usize, block_memory: usize) -> GuestLogs {
    GuestLogs::new(LogOptions {
        memory,
        block_memory,
    })
}

fn run(logs: &GuestLogs, block: &BlockRef, lines: &[&str]) {
    let log = logs.begin(block, 0).unwrap();
    for line in lines {
        log.add(line.as_bytes());
    }
    log.processed();
}

fn texts(logs: &GuestLogs, number: u8) -> Option<Vec<String>> {
    match logs.of(&hash(number), None, &ALL) {
        LogsFound::Kept(kept) => Some(kept.lines.into_iter().map(|line| line.text).collect()),
        LogsFound::Silent | LogsFound::NotKept => None,
    }
}

#[test]
fn lines_belong_to_the_last_run_of_their_block() {
    let logs = logs(1 << 20, 1 << 16);
    run(&logs, &block(1, 1), &["one", "two"]);
    let log = logs.begin(&block(2, 2), 0).unwrap();
    log.add(b"three");
    let LogsFound::Kept(kept) = logs.of(&hash(2), None, &ALL) else {
        panic!("it is at work");
    };
    assert_eq!((kept.run, kept.logged), (BlockRun::Running, 1));
    drop(log);
    let LogsFound::Kept(kept) = logs.of(&hash(2), None, &ALL) else {
        panic!("it has failed");
    };
    assert_eq!(kept.run, BlockRun::Failed);
    assert_eq!(texts(&logs, 1).unwrap(), ["one", "two"]);
    run(&logs, &block(2, 2), &["again"]);
    assert_eq!(texts(&logs, 2).unwrap(), ["again"]);
    let counts = logs.counts();
    assert_eq!((counts.logged, counts.dropped, counts.blocks), (4, 1, 2));
}

#[test]
fn a_block_that_logged_nothing_is_told_from_one_of_which_nothing_is_known() {
    let logs = logs(1 << 20, 1 << 16);
    for number in 5..9 {
        run(&logs, &block(number.into(), number), &[]);
    }
    assert_eq!(
        logs.counts().blocks,
        1,
        "the last one is known all the same"
    );
    let found = |height: Height, number| logs.of(&hash(number), Some(height), &ALL);
    assert_eq!(found(5, 5), LogsFound::Silent);
    assert_eq!(found(4, 4), LogsFound::NotKept, "it ran before the start");
    assert_eq!(logs.of(&hash(5), None, &ALL), LogsFound::NotKept);
    assert_eq!(logs.last(), Some(block(8, 8)));
}

#[test]
fn the_blocks_that_ran_first_go_first_and_the_bound_holds() {
    let logs = logs(10_000, 2_000);
    for number in 1..=100 {
        run(&logs, &block(number.into(), number), &["x"; 100]);
        assert!(logs.counts().bytes <= 10_000);
    }
    let counts = logs.counts();
    assert!((4..40).contains(&counts.blocks), "{counts:?}");
    assert_eq!(counts.logged, 10_000);
    let kept = (1..=100).filter_map(|number| texts(&logs, number));
    assert_eq!(
        kept.flatten().count() as u64,
        counts.logged - counts.dropped
    );
    assert_eq!(texts(&logs, 100).unwrap().len(), 100);
    assert_eq!(logs.of(&hash(1), Some(1), &ALL), LogsFound::NotKept);
    let nothing = GuestLogs::new(LogOptions {
        memory: 0,
        block_memory: 1 << 20,
    });
    assert!(nothing.begin(&block(1, 1), 0).is_none());
}

/// Memory of all runs, as it is.
fn bytes(logs: &GuestLogs) -> usize {
    logs.shared.lock().runs.values().map(Run::bytes).sum()
}

#[test]
fn lines_that_somebody_reads_stay_as_they_are_while_others_are_added() {
    let logs = logs(1 << 20, 1 << 16);
    let log = logs.begin(&block(1, 1), 0).unwrap();
    // There is room for more, which a copy does without.
    for _ in 0..100 {
        log.add(b"before");
    }
    let held = logs.shared.lock().runs[&0].clone();
    log.add(b"after");
    assert_eq!(held.read(&ALL).lines.len(), 100);
    assert_eq!(texts(&logs, 1).unwrap().len(), 101);
    assert_eq!(logs.counts().bytes, bytes(&logs));
}

#[test]
fn what_is_read_while_the_guest_logs_is_of_one_moment() {
    let logs = logs(1 << 20, 2_000);
    let log = logs.begin(&block(1, 1), 0).unwrap();
    log.add(b"0");
    let is_over = AtomicBool::new(false);
    let read = || {
        while !is_over.load(Ordering::Relaxed) {
            let LogsFound::Kept(kept) = logs.of(&hash(1), None, &ALL) else {
                panic!("it is at work");
            };
            assert_eq!(kept.lines.len() as u64, kept.logged - kept.dropped);
            assert_eq!(kept.lines.last().unwrap().number, kept.logged - 1);
            for line in &kept.lines {
                assert_eq!(line.text, line.number.to_string());
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(read);
        }
        for number in 1..20_000 {
            log.add(number.to_string().as_bytes());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(logs.counts().bytes, bytes(&logs));
    assert!(logs.counts().dropped > 0);
}

#[test]
fn above_the_tip_only_blocks_of_the_chain_that_is_executed_are_known_by_height() {
    let logs = logs(1 << 20, 1 << 16);
    let begin = |block: &BlockRef, generation| {
        let log = logs.begin(block, generation).unwrap();
        log.add(b"x");
        log.processed();
    };
    begin(&block(10, 10), 0);
    begin(&block(11, 11), 0);
    assert_eq!(logs.above_tip(11, 0), Some(block(11, 11)));
    assert_eq!(logs.above_tip(12, 0), None);
    // Block 11 was never committed, and another one takes its place.
    begin(&block(11, 21), 0);
    assert_eq!(logs.above_tip(11, 0), Some(block(11, 21)));
    // A rollback: they are dead, by height.
    assert_eq!(logs.above_tip(11, 1), None);
    begin(&block(10, 20), 1);
    assert_eq!(logs.above_tip(11, 1), None);
    assert!(texts(&logs, 11).is_some(), "by its hash it is known");
}

//! Files of a log cut at every byte, with every byte flipped, or gone.

use std::collections::BTreeMap;

use super::super::frame::{BadFrame, FRAME_HEADER_LEN, FrameHeader, read_header};
use super::super::segment::{SEGMENT_HEADER_LEN, SegmentHeader, name};
use super::sim::Sim;
use super::{Found, Known, Log, append, batch, known, replayed};
use crate::backend::Durability;
use crate::backend::log::files::Files;
use crate::error::OpenError;

type Contents = BTreeMap<String, Vec<u8>>;

const LAST: u64 = 6;
const LAST_BUT_ONE: u64 = LAST - 1;
/// Before the last file.
const EARLIER: u64 = LAST - 2;

/// Three files with two batches each.
fn contents(durability: Durability) -> Contents {
    let sim = Sim::new(1);
    let log = Log::create_in(sim.boxed(), 0, None).unwrap();
    for number in 1..=LAST {
        append(&log, number, &[number as u8; 20], durability).unwrap();
        if number % 2 == 0 && number < LAST {
            log.rotate().unwrap();
        }
    }
    assert_eq!(sim.contents().len(), 3);
    sim.contents()
}

/// How far a damaged log goes, which must hold the right batches, unless it is refused.
fn reach(contents: Contents, known: &Known) -> Result<u64, OpenError> {
    let found = Found::look_at(Sim::of(contents).boxed(), known)?;
    let batches = replayed(&found)?;
    let first = known.trees.start() + 1;
    let numbers: Vec<_> = batches.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (first..=found.last()).collect::<Vec<_>>());
    for (number, operations) in batches {
        assert_eq!(operations, batch(&[number as u8; 20]).into_operations());
    }
    Ok(found.last())
}

/// Calls `check` with every damage of every file: the sequence number of the file, and where it is.
fn each_damage(intact: &Contents, mut check: impl FnMut(u64, usize, Contents)) {
    for sequence in 1..=3 {
        let bytes = &intact[&name(sequence)];
        for at in 0..bytes.len() {
            for mask in [0, 1, 0xff] {
                let mut damaged = bytes.clone();
                match mask {
                    0 => damaged.truncate(at),
                    mask => damaged[at] ^= mask,
                }
                let mut contents = intact.clone();
                contents.insert(name(sequence), damaged);
                check(sequence, at, contents);
            }
        }
    }
}

fn is_refused(outcome: &Result<u64, OpenError>) -> bool {
    matches!(
        outcome,
        Err(OpenError::Corrupt { .. } | OpenError::LostCommits { .. })
    )
}

#[test]
fn any_damage_to_what_was_synced_is_refused() {
    let intact = contents(Durability::Synced);
    assert_eq!(reach(intact.clone(), &known(0, LAST)).unwrap(), LAST);
    let mut damages = 0;
    each_damage(&intact, |sequence, at, contents| {
        let outcome = reach(contents.clone(), &known(0, LAST));
        assert!(is_refused(&outcome), "file {sequence}, {at}: {outcome:?}");
        if let Err(OpenError::Corrupt { what, .. }) = outcome {
            assert!(what.contains(&name(sequence)), "{what}");
        }
        // What is needed of them is in the tables.
        let outcome = reach(contents, &known(4, LAST));
        assert_eq!(
            is_refused(&outcome),
            sequence == 3,
            "{sequence}, {at}: {outcome:?}"
        );
        damages += 1;
    });
    assert!(damages > 1_000);
}

#[test]
fn without_the_record_of_durable_batches_only_the_last_one_can_be_taken_for_torn() {
    let intact = contents(Durability::Synced);
    let len = intact[&name(3)].len();
    let last = len - (len - SEGMENT_HEADER_LEN) / 2;
    each_damage(&intact, |sequence, at, contents| {
        let is_cut = contents[&name(3)].len() < len;
        let outcome = reach(contents, &known(0, 0));
        match outcome {
            outcome if sequence < 3 || at < SEGMENT_HEADER_LEN => assert!(is_refused(&outcome)),
            Ok(LAST_BUT_ONE) => assert!(at >= last),
            // Nothing is left that knows of them.
            Ok(EARLIER) => assert!(is_cut && at < last),
            outcome => assert!(!is_cut && at < last && is_refused(&outcome), "{outcome:?}"),
        }
    });
}

#[test]
fn what_was_not_synced_may_be_missing_but_is_never_wrong() {
    let intact = contents(Durability::Buffered);
    each_damage(&intact, |sequence, at, contents| {
        let outcome = reach(contents, &known(0, 0));
        match outcome {
            // The header of a file is synced before it gets its name.
            outcome if at < SEGMENT_HEADER_LEN => assert!(is_refused(&outcome)),
            Ok(last) => assert!(((sequence - 1) * 2..sequence * 2).contains(&last)),
            Err(error) => panic!("file {sequence}, {at}: {error:?}"),
        }
    });
}

#[test]
fn a_file_that_is_gone_is_missed() {
    let intact = contents(Durability::Synced);
    for gone in 1..=3 {
        let mut contents = intact.clone();
        contents.remove(&name(gone));
        let outcome = reach(contents.clone(), &known(0, LAST));
        assert!(is_refused(&outcome), "{gone}: {outcome:?}");
        let outcome = reach(contents, &known(LAST - 1, LAST));
        assert_eq!(is_refused(&outcome), gone == 3, "{gone}: {outcome:?}");
    }
    assert!(is_refused(&reach(Contents::new(), &known(LAST, LAST))));
}

#[test]
fn lost_batches_are_given_up_only_when_that_is_accepted() {
    let mut contents = contents(Durability::Synced);
    contents.get_mut(&name(3)).unwrap().pop();
    let mut known = known(0, LAST);
    assert!(matches!(
        reach(contents.clone(), &known).unwrap_err(),
        OpenError::LostCommits { lost: 1 }
    ));
    known.accept_lost = true;
    assert_eq!(reach(contents.clone(), &known).unwrap(), LAST - 1);
    // Not when some trees hold what others do not.
    known.trees = 1..=LAST;
    assert!(is_refused(&reach(contents.clone(), &known)));
    // And nothing is lost when all of them do.
    known.trees = LAST..=LAST;
    known.accept_lost = false;
    let sim = Sim::of(contents);
    let found = Found::look_at(sim.boxed(), &known).unwrap();
    assert_eq!((found.last(), replayed(&found).unwrap().len()), (LAST, 0));
    let log = found.open(None).unwrap();
    append(&log, LAST + 1, b"next", Durability::Synced).unwrap();
    let found = Found::look_at(sim.boxed(), &super::known(LAST, LAST + 1)).unwrap();
    assert_eq!(found.last(), LAST + 1);
}

#[test]
fn a_length_beyond_the_file_asks_for_no_memory() {
    let header = FrameHeader {
        len: u64::MAX - 7,
        number: 1,
        synced: 0,
        checksum: 0,
    };
    let mut bytes = SegmentHeader {
        sequence: 1,
        first: 1,
        synced: 0,
        salt: 3,
    }
    .encode()
    .to_vec();
    bytes.extend(header.encode(3));
    let len = bytes.len() as u64;
    let sim = Sim::of([(name(1), bytes)].into());
    let file = sim.open(&name(1), false).unwrap();
    let start = len - FRAME_HEADER_LEN as u64;
    let read = read_header(file.as_ref(), len, start, 1, 3).unwrap();
    assert_eq!(read.unwrap_err(), BadFrame::Cut);
    let found = Found::look_at(sim.boxed(), &known(0, 0)).unwrap();
    assert_eq!(found.last(), 0);
}

#[test]
fn stored_bytes_that_look_like_a_frame_are_none() {
    // All of one log, stored as a value in another whose last batch is torn.
    let other = contents(Durability::Synced);
    let sim = Sim::new(5);
    let log = Log::create_in(sim.boxed(), 0, None).unwrap();
    append(&log, 1, &other[&name(1)], Durability::Buffered).unwrap();
    let mut contents = sim.contents();
    contents.get_mut(&name(1)).unwrap()[SEGMENT_HEADER_LEN] ^= 1;
    let found = Found::look_at(Sim::of(contents).boxed(), &known(0, 0)).unwrap();
    assert_eq!(found.last(), 0);
}

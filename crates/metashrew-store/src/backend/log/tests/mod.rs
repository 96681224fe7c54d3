//! The log against a model: whatever fails, is killed, cut off or flipped.

#![allow(
    clippy::cast_possible_truncation,
    reason = "what is counted here is small"
)]

mod damaged;
mod faults;
mod sim;

use bytes::Bytes;

use super::{BatchNumber, Found, Known, Log};
use crate::backend::{BackendError, Batch, Durability, Operation, Space};
use crate::error::OpenError;

/// A batch with a value of this content, and one deletion.
fn batch(content: &[u8]) -> Batch {
    let mut batch = Batch::default();
    let content = Bytes::copy_from_slice(content);
    batch.put(Space::KeyToNewest, Bytes::from_static(b"key"), content);
    batch.delete(Space::Meta, Bytes::new());
    batch
}

/// Appends a batch of this content, durably if that is asked for.
fn append(
    log: &Log,
    number: BatchNumber,
    content: &[u8],
    durability: Durability,
) -> Result<(), BackendError> {
    log.append(number, &batch(content))?;
    if durability == Durability::Synced {
        log.sync()?;
    }
    Ok(())
}

fn known(trees: BatchNumber, durable: BatchNumber) -> Known {
    Known {
        trees: trees..=trees,
        durable,
        accept_lost: false,
    }
}

/// What a log holds, by number.
fn replayed(found: &Found) -> Result<Vec<(BatchNumber, Vec<Operation>)>, OpenError> {
    found
        .replay()
        .map(|batch| batch.map(|(number, batch)| (number, batch.into_operations())))
        .collect()
}

#[test]
fn a_log_in_files_holds_what_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let log = Log::create(path, 0, None).unwrap();
    // Longer than what is written at a time.
    let large = vec![7; 3 << 20];
    let values = [b"".as_slice(), b"short", &large, b"x"];
    for (number, value) in (1..).zip(values) {
        append(&log, number, value, Durability::Synced).unwrap();
        if number == 2 {
            log.rotate().unwrap();
        }
    }
    assert!(append(&log, 7, b"", Durability::Buffered).is_err());
    assert_eq!((log.last(), log.synced()), (4, 4));
    drop(log);
    let found = Found::look(path, &known(0, 4)).unwrap();
    let expect: Vec<_> = (1..)
        .zip(values.map(|value| batch(value).into_operations()))
        .collect();
    assert_eq!(replayed(&found).unwrap(), expect);

    // A clean stop.
    let log = found.open(None).unwrap();
    log.rotate().unwrap();
    log.remove_through(4).unwrap();
    assert_eq!(log.bytes(), super::segment::SEGMENT_HEADER_LEN as u64);
    drop(log);
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
    let found = Found::look(path, &known(4, 4)).unwrap();
    assert_eq!((found.last(), replayed(&found).unwrap().len()), (4, 0));
    let log = found.open(None).unwrap();
    append(&log, 5, b"y", Durability::Buffered).unwrap();
    assert_eq!((log.last(), log.synced()), (5, 4));
    assert_eq!(log.sync().unwrap(), 5);
    assert_eq!(log.synced(), 5);
}

#[test]
fn reading_a_log_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let log = Log::create(path, 0, None).unwrap();
    for number in 1..=3 {
        append(&log, number, b"value", Durability::Buffered).unwrap();
    }
    drop(log);
    let name = std::fs::read_dir(path).unwrap().next().unwrap().unwrap();
    let mut torn = std::fs::read(name.path()).unwrap();
    torn.pop();
    std::fs::write(name.path(), &torn).unwrap();
    let found = Found::look(path, &known(0, 0)).unwrap();
    assert_eq!(replayed(&found).unwrap().len(), 2);
    assert_eq!(std::fs::read(name.path()).unwrap(), torn);
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
}

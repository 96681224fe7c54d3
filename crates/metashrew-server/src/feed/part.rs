//! An event of writes that is being made, or a part of one: it holds the memory of what it has
//! before it is written out, and ends where it is long or where there is no room for more.

use super::cursor::Cursor;
use super::event::{Draft, Event};
use super::keys::Walk;
use super::upcoming::Sorted;
use super::writes::WritesError;
use crate::budget::{BudgetExhausted, Lease};

/// How long events may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// An event of writes that is longer is told in parts of about this many bytes.
    pub(super) part: usize,
    /// Bytes of the JSON of a value, or of a view's answer: a longer one is not told.
    pub(super) value: usize,
    /// Bytes that keys of several blocks take which are sorted at a time.
    pub(super) sorted: usize,
}

impl Lengths {
    /// Bytes of a part, where memory allows.
    const PART: usize = 1024 * 1024;

    /// A value of this length is told even where answers may hardly have any.
    const LEAST: usize = 4 * 1024;

    /// Of answers that may have so many bytes, where all may take so much memory: what is told
    /// takes no more with what it is made of.
    pub(super) fn new(max_answer: usize, memory: usize) -> Self {
        let value = max_answer.min(memory / 2).max(Self::LEAST);
        Self {
            part: Self::PART.min(value),
            value,
            // The longest value and its JSON leave a quarter.
            sorted: Self::PART.min(memory / 8),
        }
    }

    /// Whether a value of so many bytes is not told.
    pub(super) fn is_too_long(&self, value: usize) -> bool {
        value.saturating_mul(2) > self.value
    }
}

pub(super) struct Part {
    draft: Draft,
    lease: Lease,
    lengths: Lengths,
}

impl Part {
    /// Begins the writes of an event.
    pub(super) fn new(mut draft: Draft, lease: Lease, lengths: Lengths) -> Self {
        draft.begin_writes();
        Self {
            draft,
            lease,
            lengths,
        }
    }

    /// Whether nothing more goes into it.
    pub(super) fn is_long(&self) -> bool {
        self.draft.len() >= self.lengths.part
    }

    /// Adds a write, unless that has to go into the next part. Answers whether it did.
    ///
    /// # Errors
    /// If there is no room for it, though it has all that there is.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<bool, BudgetExhausted> {
        if self.is_long() {
            return Ok(false);
        }
        if self.lengths.is_too_long(value.len()) {
            self.draft.write_without_value(key, value.len());
            return Ok(true);
        }
        match self.lease.charge(Draft::write_length(key, value)) {
            Ok(()) => self.draft.write(key, value),
            Err(_) if self.draft.has_writes() => return Ok(false),
            Err(none) => return Err(none),
        }
        Ok(true)
    }

    /// Adds keys of one more block to `sorted`, as far as there is room.
    ///
    /// # Errors
    /// If the database cannot be read, or there is no room for a single key.
    pub(super) fn sort(&self, sorted: &mut Sorted, walk: Walk) -> Result<(), WritesError> {
        sorted.add(walk, &self.lease, self.lengths.sorted)
    }

    /// Holds what values that are read together may take, if that much is to spare. Answers how
    /// many bytes that are: with none, one value is read at a time.
    pub(super) fn reserve(&self) -> usize {
        let bytes = self.lengths.part;
        if self.lease.charge_spare(bytes) {
            bytes
        } else {
            0
        }
    }

    /// Holds values of these lengths that were read, if there is room to write the first of them,
    /// too, which takes so many bytes. If there is none for all, then the first alone, and if any
    /// writes are there already, none. Answers how many, and their bytes.
    ///
    /// # Errors
    /// If there is no room, though it has all that there is.
    pub(super) fn hold(
        &self,
        lengths: &[usize],
        first_write: usize,
    ) -> Result<(usize, usize), BudgetExhausted> {
        let first = lengths.first().copied().unwrap_or_default();
        let is_begun = self.draft.has_writes();
        let is_told = !self.lengths.is_too_long(first);
        let write = if is_begun || !is_told { 0 } else { first_write };
        let hold = |count: usize, bytes: usize| -> Result<_, BudgetExhausted> {
            self.lease.charge(bytes + write)?;
            self.lease.release(write);
            Ok((count, bytes))
        };
        match hold(lengths.len(), lengths.iter().sum()) {
            Err(_) if is_begun => Ok((0, 0)),
            // Nothing is made of it.
            Err(_) if !is_told => Ok((1, 0)),
            Err(_) if lengths.len() > 1 => hold(1, first),
            all => all,
        }
    }

    /// Values of so many bytes are let go.
    pub(super) fn release(&self, bytes: usize) {
        self.lease.release(bytes);
    }

    /// Ends it as the part `number` of its event, whether or not that is the last one.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(super) fn finish(
        self,
        number: u32,
        is_last: bool,
        cursor: Option<Cursor>,
    ) -> Result<Event, BudgetExhausted> {
        let mut event = match (number, is_last) {
            (_, false) => self.draft.part(number),
            (0, true) => self.draft.finish(cursor),
            (_, true) => self.draft.last_part(number, cursor),
        };
        self.lease.settle(event.data.len())?;
        event.lease = Some(self.lease);
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::budget::Budget;
    use crate::connections::Connection;

    const LENGTHS: Lengths = Lengths {
        part: 1000,
        value: 800,
        sorted: 1000,
    };

    fn budget(limit: usize) -> Arc<Budget> {
        Arc::new(Budget::new(limit, Duration::ZERO))
    }

    /// One of which nothing is free.
    fn part(budget: &Arc<Budget>) -> Part {
        let connection = Arc::new(Connection::new([127, 0, 0, 1].into()));
        Part::new(
            Draft::new("block"),
            budget.lease_of(&connection, 0),
            LENGTHS,
        )
    }

    fn read(event: &Event) -> Value {
        serde_json::from_slice(&event.data).unwrap()
    }

    #[test]
    fn what_is_written_was_held_before() {
        let budget = budget(10_000);
        let mut part = part(&budget);
        assert!(part.add(b"a", &[1; 100]).unwrap());
        let held = Draft::write_length(b"a", &[1; 100]);
        assert_eq!(budget.used(), held);
        let event = part.finish(0, true, None).unwrap();
        assert_eq!(budget.used(), event.data.len());
        drop(event);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_part_ends_where_it_is_long_or_finds_no_room() {
        let all = budget(10_000);
        let mut long = part(&all);
        assert!(long.add(b"a", &[1; 300]).unwrap());
        assert!(!long.is_long() && long.add(b"b", &[1; 300]).unwrap());
        assert!(long.is_long() && !long.add(b"c", b"").unwrap());
        drop(long);
        let little = budget(500);
        let mut short = part(&little);
        assert!(short.add(b"a", &[1; 200]).unwrap());
        assert!(!short.add(b"b", &[1; 200]).unwrap());
        let event = read(&short.finish(1, false, None).unwrap());
        assert_eq!(event["writes"].as_array().unwrap().len(), 1);
        // The first one is not put off.
        part(&little).add(b"b", &[1; 300]).unwrap_err();
    }

    #[test]
    fn a_value_that_is_too_long_is_told_by_its_length() {
        let budget = budget(300);
        let mut part = part(&budget);
        assert_eq!(part.hold(&[401], 1000).unwrap(), (1, 0));
        assert!(part.add(b"a", &[1; 401]).unwrap());
        assert!(part.add(b"b", &[1; 2]).unwrap());
        let event = read(&part.finish(0, true, None).unwrap());
        let expect = json!([
            { "key": "0x61", "value": null, "length": 401 },
            { "key": "0x62", "value": "0x0101" },
        ]);
        assert_eq!(event["writes"], expect);
    }

    #[test]
    fn as_many_values_are_held_as_there_is_room_for() {
        let budget = budget(500);
        let held = part(&budget);
        assert_eq!(held.hold(&[100, 200], 200).unwrap(), (2, 300));
        held.release(300);
        assert_eq!(budget.used(), 0);
        // They find room, and the write of the first would not.
        assert_eq!(held.hold(&[100, 300], 200).unwrap(), (1, 100));
        held.hold(&[300], 101).unwrap_err();
        held.hold(&[300, 10], 101).unwrap_err();
        assert_eq!(held.hold(&[300], 100).unwrap(), (1, 300));
        held.release(400);
        let mut begun = part(&budget);
        assert!(begun.add(b"a", &[1; 100]).unwrap());
        assert_eq!(begun.hold(&[300, 10], 0).unwrap(), (0, 0));
    }

    #[test]
    fn lengths_fit_into_the_memory() {
        let check = |max_answer, memory, expect| {
            let lengths = Lengths::new(max_answer, memory);
            assert_eq!((lengths.part, lengths.value, lengths.sorted), expect);
        };
        let mib = 1 << 20;
        check(136 * mib, 512 * mib, (mib, 136 * mib, mib));
        check(136 * mib, 100 * mib, (mib, 50 * mib, mib));
        check(136 * mib, mib, (mib / 2, mib / 2, mib / 8));
        check(10, usize::MAX, (4096, 4096, mib));
    }
}

//! Watches a run, and records what it reads.

use super::read_set::{ReadSet, TooLarge};
use crate::observe::{Event, Observer, Refusal};
use crate::reads::Walk;

/// How much a run has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Keys read one by one, or many at once; one that is read again counts again.
    pub keys: u64,
    /// Of these, how many were absent.
    pub absent: u64,
    /// Ranges walked over.
    pub ranges: u64,
    /// Keys found in them.
    pub found: u64,
    /// Bytes of all values.
    pub bytes: u64,
}

impl ReadCounts {
    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::Read { value, .. } => {
                self.keys += 1;
                self.absent += u64::from(value.is_empty());
                self.bytes += value.len() as u64;
            }
            Event::Range { .. } => self.ranges += 1,
            Event::Found { value, .. } => {
                self.found += 1;
                self.bytes += value.len() as u64;
            }
            _ => {}
        }
    }
}

impl Observer for ReadCounts {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        self.add(&event);
        Ok(())
    }
}

/// Records what a run reads. It ends a run that reads more than
/// [`MAX_READ_SET_BYTES`](super::MAX_READ_SET_BYTES).
#[derive(Debug, Default)]
pub struct Recorder {
    reads: ReadSet,
    counts: ReadCounts,
    walk: Option<Walk>,
}

impl Recorder {
    /// What was read, and how much that was.
    pub fn into_parts(self) -> (ReadSet, ReadCounts) {
        (self.reads, self.counts)
    }

    fn record(&mut self, event: Event<'_>) -> Result<(), TooLarge> {
        match event {
            Event::Read { key, value } => self.reads.note(key, value),
            Event::Range {
                start,
                end,
                descending,
                ..
            } => {
                self.walk = Some(Walk::begin(start, end, descending));
                Ok(())
            }
            Event::Found { key, value } => {
                self.reads.note(key, value)?;
                let passed = self.walk.as_mut().map(|walk| walk.pass(key));
                let Some((start, end)) = passed else {
                    return Ok(());
                };
                self.reads.cover(&start, end.as_deref())
            }
            Event::RangeEnd { complete } => match self.walk.take() {
                Some(walk) if complete => {
                    let (start, end) = walk.rest();
                    self.reads.cover(&start, end.as_deref())
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Observer for Recorder {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        self.counts.add(&event);
        Ok(self.record(event)?)
    }
}

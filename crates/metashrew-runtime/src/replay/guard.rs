//! Watches a run on a read set, and ends it where it reads what the set does not know.

use std::sync::Arc;

use super::read_set::ReadSet;
use crate::observe::{Event, Frames, Observer, Refusal};
use crate::reads::Walk;

/// A run read what was not recorded: another guest reads other keys, say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The value of a key.
    #[error("what is at the key 0x{} was not recorded", hex::encode(key))]
    Key {
        /// The key.
        key: Vec<u8>,
    },
    /// Which keys there are.
    #[error(
        "which keys there are from 0x{} to {} was not recorded",
        hex::encode(start),
        end.as_ref().map_or_else(|| "the last".to_owned(), |end| format!("0x{}", hex::encode(end)))
    )]
    Range {
        /// The lowest of them.
        start: Vec<u8>,
        /// The key before which they end; none is the end of all keys.
        end: Option<Vec<u8>>,
    },
}

/// Ends a run that reads what `reads` does not know; tells `inner` of the rest.
pub(super) struct Guard<O> {
    pub(super) reads: Arc<ReadSet>,
    pub(super) inner: O,
    pub(super) walk: Option<Walk>,
}

impl<O> Guard<O> {
    fn check(&mut self, event: &Event<'_>) -> Result<(), NotRecorded> {
        match *event {
            Event::Read { key, .. } if !self.reads.knows(key) => {
                Err(NotRecorded::Key { key: key.to_vec() })
            }
            Event::Range {
                start,
                end,
                descending,
                ..
            } => {
                self.walk = Some(Walk::begin(start, end, descending));
                Ok(())
            }
            Event::Found { key, .. } => {
                let passed = self.walk.as_mut().map(|walk| walk.pass(key));
                passed.map_or(Ok(()), |part| self.check_range(part))
            }
            Event::RangeEnd { complete: true } => {
                let rest = self.walk.take().map(Walk::rest);
                rest.map_or(Ok(()), |part| self.check_range(part))
            }
            _ => Ok(()),
        }
    }

    fn check_range(&self, (start, end): (Vec<u8>, Option<Vec<u8>>)) -> Result<(), NotRecorded> {
        if self.reads.knows_range(&start, end.as_deref()) {
            return Ok(());
        }
        Err(NotRecorded::Range { start, end })
    }
}

impl<O: Observer> Observer for Guard<O> {
    fn called(&mut self, function: &'static str, frames: &Frames<'_>) {
        self.inner.called(function, frames);
    }

    fn returned(&mut self, function: &'static str) {
        self.inner.returned(function);
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        self.check(&event)?;
        self.inner.event(event)
    }
}

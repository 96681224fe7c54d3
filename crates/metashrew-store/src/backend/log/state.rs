//! The segments of an open log: appending, and going on in a new one.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use super::BatchNumber;
use super::files::{Files, LogFile};
use super::frame::{self, FrameWriter};
use super::segment::{Segment, SegmentHeader, UNFINISHED};
use crate::backend::durable::DurableRecord;
use crate::backend::{BackendError, Batch, ErrorKind};

/// The log behind its lock.
#[derive(Debug)]
pub(super) struct State {
    /// Oldest first; the last one is appended to.
    pub(super) segments: Vec<Segment>,
    /// Files that hold nothing that is needed, to be removed.
    pub(super) void: Vec<String>,
    pub(super) next_sequence: u64,
    /// The last batch.
    pub(super) last: BatchNumber,
    /// The last batch that is known to be durable.
    pub(super) synced: BatchNumber,
    /// Whether nothing may be appended to the newest segment.
    pub(super) doubtful: bool,
    pub(super) writer: FrameWriter,
    pub(super) durable: Option<DurableRecord>,
}

impl State {
    pub(super) fn append(
        &mut self,
        files: &dyn Files,
        number: BatchNumber,
        batch: &Batch,
    ) -> Result<u64, BackendError> {
        if number != self.last + 1 {
            return Err(BackendError::of_kind(
                ErrorKind::Misuse,
                "appending to the log",
                format!("batch {number} does not follow batch {}", self.last),
            ));
        }
        if self.doubtful {
            self.restart(files)?;
        }
        let Some(newest) = self.segments.last_mut() else {
            unreachable!("a log has a segment")
        };
        let (end, salt) = (newest.end(), newest.header.salt);
        let file = newest.file.as_ref();
        let ids = (number, self.synced);
        let len = match self.writer.write(file, end, ids, batch, salt) {
            Ok(len) => len,
            Err(error) => {
                // Gives the space back. What is left where that fails is no whole frame,
                // and the next one is written over it.
                file.set_len(end).ok();
                return Err(BackendError::new("appending to the log", error));
            }
        };
        newest.ends.push(end + len);
        self.last = number;
        Ok(len)
    }

    /// The files that hold batches which are not known to be durable.
    pub(super) fn unsynced(&self) -> Vec<Arc<dyn LogFile>> {
        let segments = self.segments.iter();
        segments
            .filter(|segment| segment.last() > self.synced)
            .map(|segment| Arc::clone(&segment.file))
            .collect()
    }

    /// Notes that the batches up to `number` are durable.
    pub(super) fn advance(&mut self, number: BatchNumber) {
        if number > self.synced {
            self.synced = number;
            if let Some(durable) = &mut self.durable {
                durable.advance(number);
            }
        }
    }

    pub(super) fn rotate(&mut self, files: &dyn Files) -> Result<(), BackendError> {
        if self.doubtful {
            self.restart(files)?;
        }
        let is_empty = |newest: &Segment| newest.ends.is_empty();
        if self.segments.last().is_some_and(is_empty) {
            return Ok(());
        }
        self.begin(files, self.last + 1)
    }

    /// Goes on in a new segment, which takes over all batches that are not known to be
    /// durable, and makes them so.
    pub(super) fn restart(&mut self, files: &dyn Files) -> Result<(), BackendError> {
        let first = self.synced.min(self.last) + 1;
        self.begin(files, first)?;
        self.advance(self.last);
        self.remove_void(files);
        Ok(())
    }

    /// Begins a segment with copies of the batches from `first` on.
    fn begin(&mut self, files: &dyn Files, first: BatchNumber) -> Result<(), BackendError> {
        let sequence = self.next_sequence;
        let header = SegmentHeader {
            sequence,
            first,
            synced: self.synced.min(first - 1),
            salt: RandomState::new().hash_one(sequence),
        };
        let segment = match self.make(files, header) {
            Ok(segment) => segment,
            Err(error) => {
                files.remove(UNFINISHED).ok();
                return Err(error);
            }
        };
        // From here on it may be found, and make void what others hold from `first` on.
        self.next_sequence += 1;
        self.doubtful = true;
        let named = files.rename(UNFINISHED, &segment.name());
        if let Err(error) = named.and_then(|()| files.sync()) {
            self.void.push(segment.name());
            return Err(failed("putting a file of the log into its place")(error));
        }
        self.doubtful = false;
        for older in &mut self.segments {
            older.truncate(first);
        }
        let is_void = |older: &Segment| older.header.first >= first;
        let void = self.segments.extract_if(.., |older| is_void(older));
        self.void.extend(void.map(|older| older.name()));
        self.segments.push(segment);
        Ok(())
    }

    /// Writes and syncs a segment that has no name yet.
    fn make(&self, files: &dyn Files, header: SegmentHeader) -> Result<Segment, BackendError> {
        let failed = failed("beginning a file of the log");
        let file: Arc<dyn LogFile> = files.create(UNFINISHED).map_err(&failed)?.into();
        file.write_all_at(&header.encode(), 0).map_err(&failed)?;
        let mut segment = Segment {
            header,
            file,
            ends: Vec::new(),
        };
        for number in header.first..=self.last {
            let end = self.copy(number, &segment).map_err(&failed)?;
            segment.ends.push(end.ok_or_else(|| {
                BackendError::of_kind(
                    ErrorKind::Damage,
                    "beginning a file of the log",
                    format!("batch {number}, which was not synced yet, can no longer be read"),
                )
            })?);
        }
        segment.file.sync().map_err(&failed)?;
        Ok(segment)
    }

    /// Copies a batch to the end of `target`, and returns where it ends there; none if it
    /// is not what was written.
    fn copy(&self, number: BatchNumber, target: &Segment) -> io::Result<Option<u64>> {
        let holds = |segment: &&Segment| (segment.header.first..=segment.last()).contains(&number);
        let Some(source) = self.segments.iter().rev().find(holds) else {
            return Ok(None);
        };
        let end = target.end();
        let from = (
            source.file.as_ref(),
            source.start_of(number),
            source.header.salt,
        );
        let to = (target.file.as_ref(), end, target.header.salt);
        let copied = frame::copy(from, to, number, target.header.synced)?;
        Ok(copied.ok().map(|len| end + len))
    }

    pub(super) fn remove_through(
        &mut self,
        files: &dyn Files,
        number: BatchNumber,
    ) -> Result<(), BackendError> {
        self.remove_void(files);
        // Oldest first, so that what is left has no gap whenever this stops.
        while self
            .segments
            .get(1)
            .is_some_and(|next| next.header.first - 1 <= number)
        {
            let Some(oldest) = self.segments.first() else {
                break;
            };
            remove(files, &oldest.name()).map_err(failed("removing a file of the log"))?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Removes files that hold nothing that is needed. They do no harm.
    fn remove_void(&mut self, files: &dyn Files) {
        self.void.retain(|name| match remove(files, name) {
            Ok(()) => false,
            Err(error) => {
                tracing::debug!(%error, name, "cannot remove a file of the log yet");
                true
            }
        });
    }
}

/// Removes a file, if it is there.
fn remove(files: &dyn Files, name: &str) -> io::Result<()> {
    match files.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

pub(super) fn failed(operation: &'static str) -> impl Fn(io::Error) -> BackendError {
    move |error| BackendError::new(operation, error)
}

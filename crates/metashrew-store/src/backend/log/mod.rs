//! The log: every batch is written here, in order, before it is anywhere else on disk.
//!
//! It is a directory of segments, of which the newest is appended to. A batch is one frame
//! of a segment, with checksums and its number; numbers have no gap. Once the tables hold
//! what a segment holds, and are synced, it is removed.
//!
//! After a write or sync that failed nobody knows what the disk holds of the file: the
//! system may take pages for written that are not. So nothing is appended to it any more.
//! A new segment is begun, with all batches that are not known to be durable, and
//! what older segments hold from its first batch on is void. It gets its name only when it
//! is synced, so there is never a segment whose header is torn. The same happens when a log
//! is opened whose last process did not end well.

use std::path::Path;

use parking_lot::Mutex;

use self::files::{Directory, Files};
use self::frame::FrameWriter;
use self::scan::Scan;
use self::segment::{Segment, UNFINISHED};
use self::state::{State, failed};
use super::durable::DurableRecord;
use super::{BackendError, Batch};
use crate::error::OpenError;

mod files;
mod frame;
mod replay;
mod scan;
mod segment;
mod state;
#[cfg(test)]
mod tests;

pub(super) use self::replay::Replay;
pub(super) use self::scan::Known;

/// The number of a batch; the first one of a database has number 1.
pub(super) type BatchNumber = u64;

/// The log of one database, open for writing.
#[derive(Debug)]
pub(super) struct Log {
    files: Box<dyn Files>,
    /// Held while files are synced that others may sync too: an error of the disk is told
    /// to one of them only. Taken before `state`.
    syncing: Mutex<()>,
    state: Mutex<State>,
}

/// A log that was looked through, and is what it must be. Nothing was written yet.
#[derive(Debug)]
pub(super) struct Found {
    files: Box<dyn Files>,
    scan: Scan,
    persisted: BatchNumber,
}

impl Found {
    /// Looks through the log in `directory`. Changes nothing.
    ///
    /// Refuses damage: a file that is gone, a frame that is not what was written and had
    /// been synced. What was not known to be synced may be missing at the end.
    pub(super) fn look(directory: &Path, known: &Known) -> Result<Self, OpenError> {
        Self::look_at(Box::new(Directory(directory.to_owned())), known)
    }

    fn look_at(files: Box<dyn Files>, known: &Known) -> Result<Self, OpenError> {
        let scan = scan::scan(files.as_ref(), known)?;
        Ok(Self {
            files,
            scan,
            persisted: *known.trees.start(),
        })
    }

    /// The number of the last batch, in the log or the trees.
    pub(super) fn last(&self) -> BatchNumber {
        self.scan.last
    }

    /// The last batch that is known to be durable.
    pub(super) fn synced(&self) -> BatchNumber {
        self.scan.synced
    }

    /// The batches that not all trees hold.
    pub(super) fn replay(&self) -> Replay {
        Replay::new(&self.scan, self.persisted)
    }

    /// Opens the log for writing. What the process before left unsynced is made durable;
    /// where that fails, the next batch tries it again.
    pub(super) fn open(self, durable: Option<DurableRecord>) -> Result<Log, BackendError> {
        let Self { files, scan, .. } = self;
        let mut state = State {
            segments: scan.segments,
            void: scan.void.into_iter().map(segment::name).collect(),
            next_sequence: scan.next_sequence,
            last: scan.last,
            synced: scan.synced,
            doubtful: scan.doubtful,
            writer: FrameWriter::default(),
            durable,
        };
        files.remove(UNFINISHED).ok();
        if state.doubtful {
            if let Err(error) = state.restart(files.as_ref()) {
                tracing::warn!(error = %error.source, "cannot make the last commits durable yet");
            }
        } else if let Some(newest) = state.segments.last_mut() {
            let sequence = newest.header.sequence;
            let writable =
                Segment::open(files.as_ref(), sequence, true).map_err(failed("opening the log"))?;
            if let Some(writable) = writable {
                newest.file = writable.file;
            }
            // The process before may have ended after it gave the file its name, and before
            // that was durable.
            if let Err(error) = files.sync() {
                tracing::warn!(%error, "cannot make the names of the log's files durable yet");
                state.doubtful = true;
            }
        }
        Ok(Log {
            files,
            syncing: Mutex::default(),
            state: Mutex::new(state),
        })
    }
}

impl Log {
    /// Makes an empty log in `directory`, which must be there and empty, for batches
    /// above `last`.
    pub(super) fn create(
        directory: &Path,
        last: BatchNumber,
        durable: Option<DurableRecord>,
    ) -> Result<Self, BackendError> {
        Self::create_in(Box::new(Directory(directory.to_owned())), last, durable)
    }

    fn create_in(
        files: Box<dyn Files>,
        last: BatchNumber,
        durable: Option<DurableRecord>,
    ) -> Result<Self, BackendError> {
        let mut state = State {
            segments: Vec::new(),
            void: Vec::new(),
            next_sequence: 1,
            last,
            synced: last,
            doubtful: true,
            writer: FrameWriter::default(),
            durable,
        };
        state.restart(files.as_ref())?;
        Ok(Self {
            files,
            syncing: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Appends batch `number`, which must be the next one, and returns how many bytes it takes.
    /// It is durable once [`sync`](Self::sync) says so.
    ///
    /// After an error it is not there for any later batch; only a process that ends before
    /// it appends another, or rotates, may leave it behind.
    pub(super) fn append(&self, number: BatchNumber, batch: &Batch) -> Result<u64, BackendError> {
        self.state.lock().append(self.files.as_ref(), number, batch)
    }

    /// Begins a new segment, unless the newest one is empty: so that the batches before it
    /// can be removed.
    pub(super) fn rotate(&self) -> Result<(), BackendError> {
        self.state.lock().rotate(self.files.as_ref())
    }

    /// Makes every batch durable that was appended before this call, and returns the number
    /// of the last of them. Meanwhile others may be appended.
    ///
    /// Tables may hold a batch only after this returned for it.
    pub(super) fn sync(&self) -> Result<BatchNumber, BackendError> {
        let _syncing = self.syncing.lock();
        let (unsynced, last) = {
            let mut state = self.state.lock();
            if state.doubtful {
                state.restart(self.files.as_ref())?;
            }
            (state.unsynced(), state.last)
        };
        let synced = unsynced.iter().try_for_each(|file| file.sync());
        let mut state = self.state.lock();
        match synced {
            Ok(()) => state.advance(last),
            Err(error) => {
                state.doubtful = true;
                return Err(BackendError::new("syncing the log", error));
            }
        }
        Ok(last)
    }

    /// Removes segments that hold no batch above `number`: those batches must be durable in
    /// tables. The newest segment stays; [`rotate`](Self::rotate) begins another.
    pub(super) fn remove_through(&self, number: BatchNumber) -> Result<(), BackendError> {
        self.state
            .lock()
            .remove_through(self.files.as_ref(), number)
    }

    /// The number of the last batch.
    #[cfg(test)]
    pub(super) fn last(&self) -> BatchNumber {
        self.state.lock().last
    }

    /// The number of the last batch that is durable.
    pub(super) fn synced(&self) -> BatchNumber {
        self.state.lock().synced
    }

    /// The bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().segments.iter().map(Segment::end).sum()
    }
}

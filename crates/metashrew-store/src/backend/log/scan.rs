//! What the files of a log hold when it is opened, and whether that is all they must.
//!
//! A batch that is missing is harmless if nobody was told that it is durable: a process
//! was killed while it wrote it, or a power cut took what had not been synced, in whatever
//! order. It is damage, if anything says that the batch had been synced: the record of
//! durable batches, tables that hold a later one, or the header of a later frame or
//! segment, each of which names the last batch that was durable when it was written.

use std::io;
use std::ops::RangeInclusive;

use super::BatchNumber;
use super::files::Files;
use super::frame::{self, BadFrame};
use super::segment::{self, SEGMENT_HEADER_LEN, Segment};
use crate::backend::damage::corrupt;
use crate::backend::disk::io as failed;
use crate::error::OpenError;

/// What is known of a database's batches without its log.
#[derive(Debug, Clone)]
pub(in crate::backend) struct Known {
    /// Up to which batch each tree holds all there is: the least and the most of them.
    pub(in crate::backend) trees: RangeInclusive<BatchNumber>,
    /// The last batch of which is recorded that it was made durable.
    pub(in crate::backend) durable: BatchNumber,
    /// Whether the database may be opened without its last durable batches.
    pub(in crate::backend) accept_lost: bool,
}

/// What a log was found to hold.
#[derive(Debug)]
pub(super) struct Scan {
    /// Oldest first; each with the frames that count.
    pub(super) segments: Vec<Segment>,
    /// Segments that hold nothing that is needed, by their sequence numbers.
    pub(super) void: Vec<u64>,
    pub(super) next_sequence: u64,
    pub(super) last: BatchNumber,
    /// The last batch that is known to be durable.
    pub(super) synced: BatchNumber,
    /// Whether nothing may be appended to the newest segment.
    pub(super) doubtful: bool,
}

/// Where the first batch is that is not there.
#[derive(Debug)]
struct Missing {
    segment: usize,
    reason: BadFrame,
    number: BatchNumber,
}

/// Looks through the log, and changes nothing.
pub(super) fn scan(files: &dyn Files, known: &Known) -> Result<Scan, OpenError> {
    let mut scan = find_segments(files, *known.trees.start())?;
    scan.synced = scan
        .segments
        .iter()
        .map(|segment| segment.header.synced)
        .chain([known.durable, *known.trees.end()])
        .max()
        .unwrap_or(0);
    let missing = scan.walk().map_err(failed("reading the log"))?;
    let after = scan
        .look_behind(&missing)
        .map_err(failed("reading the log"))?;
    scan.judge(files, known, &missing, after)?;
    Ok(scan)
}

/// Opens the segments that hold anything beyond batch `persisted`, which all trees hold.
fn find_segments(files: &dyn Files, persisted: BatchNumber) -> Result<Scan, OpenError> {
    let names = match files.names() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.map_err(failed("looking for the log"))?,
    };
    let mut sequences: Vec<_> = names
        .iter()
        .filter_map(|name| segment::sequence(name))
        .collect();
    sequences.sort_unstable();
    let Some(newest) = sequences.last().copied() else {
        return Err(corrupt("the log is gone"));
    };
    let mut segments = Vec::<Segment>::new();
    let mut void = Vec::new();
    for sequence in sequences.into_iter().rev() {
        let bound = segments.last().map(|newer| newer.header.first);
        if bound.is_some_and(|bound| bound - 1 <= persisted) {
            void.push(sequence);
            continue;
        }
        let name = segment::name(sequence);
        let segment = Segment::open(files, sequence, false)
            .map_err(failed("opening a file of the log"))?
            .ok_or_else(|| {
                corrupt(format!(
                    "`{}`, byte 0: the header of the file is not what was written",
                    files.path(&name).display()
                ))
            })?;
        if bound.is_some_and(|bound| segment.header.first >= bound) {
            void.push(sequence);
        } else {
            segments.push(segment);
        }
    }
    segments.reverse();
    let oldest = segments.first().map(|oldest| oldest.header);
    if let Some(oldest) = oldest.filter(|oldest| oldest.first - 1 > persisted) {
        return Err(corrupt(format!(
            "`{}` begins at batch {}, but the tables hold the batches up to {persisted} only: a file of the log is gone",
            files.path(&segment::name(oldest.sequence)).display(),
            oldest.first
        )));
    }
    Ok(Scan {
        segments,
        void,
        next_sequence: newest + 1,
        last: 0,
        synced: 0,
        doubtful: false,
    })
}

impl Scan {
    /// Goes from frame to frame, up to the first that is not there.
    fn walk(&mut self) -> io::Result<Missing> {
        let bounds: Vec<_> = self
            .segments
            .iter()
            .skip(1)
            .map(|next| Some(next.header.first))
            .chain([None])
            .collect();
        for (index, (segment, bound)) in self.segments.iter_mut().zip(bounds).enumerate() {
            let (salt, file_len) = (segment.header.salt, segment.file.len()?);
            loop {
                let number = segment.last() + 1;
                if Some(number) == bound {
                    break;
                }
                let offset = segment.end();
                let file = segment.file.as_ref();
                let reason = match frame::read_header(file, file_len, offset, number, salt)? {
                    Err(reason) => reason,
                    Ok(header)
                        if !frame::check_entries(file, offset, &header, salt, |_, _| Ok(()))? =>
                    {
                        BadFrame::Entries
                    }
                    Ok(header) => {
                        self.synced = self.synced.max(header.synced);
                        segment.ends.push(offset + header.frame_len());
                        continue;
                    }
                };
                return Ok(Missing {
                    segment: index,
                    reason,
                    number,
                });
            }
        }
        unreachable!("the newest segment has no bound")
    }

    /// Looks for batches behind the one that is missing, and for what they know of it.
    /// Returns how many there are.
    fn look_behind(&mut self, missing: &Missing) -> io::Result<u64> {
        let mut count = 0;
        let newest = self.segments.len() - 1;
        for (index, segment) in self.segments.iter().enumerate().skip(missing.segment) {
            let start = if index == missing.segment {
                // Whatever a newer segment follows on knows less than that one.
                if index != newest {
                    continue;
                }
                segment.end()
            } else {
                count += 1;
                SEGMENT_HEADER_LEN as u64
            };
            let len = segment.file.len()?;
            let salt = segment.header.salt;
            let file = segment.file.as_ref();
            let (synced, found) = frame::find_headers(file, len, start, missing.number, salt)?;
            self.synced = self.synced.max(synced);
            count += found;
        }
        Ok(count)
    }

    /// Decides whether what is missing may be missing, and forgets what is behind it.
    fn judge(
        &mut self,
        files: &dyn Files,
        known: &Known,
        missing: &Missing,
        after: u64,
    ) -> Result<(), OpenError> {
        let Some(segment) = self.segments.get(missing.segment) else {
            return Err(corrupt("the log is gone"));
        };
        let whole = missing.number - 1;
        self.last = whole.max(*known.trees.start());
        let complaint = |why: &str| {
            corrupt(format!(
                "`{}`, byte {}: there is no batch {} ({}), {why}",
                files.path(&segment.name()).display(),
                segment.end(),
                missing.number,
                missing.reason
            ))
        };
        if after > 0 && missing.number <= self.synced {
            return Err(complaint(
                "which had been durable before later ones were written: commits in the middle are lost",
            ));
        }
        if *known.trees.end() > self.last {
            return Err(complaint(
                "but some of the tables hold what later ones wrote, others do not",
            ));
        }
        match self.synced.checked_sub(self.last) {
            None | Some(0) => {}
            Some(lost) if known.accept_lost => {
                tracing::warn!(lost, "opening a database that lost durable commits");
                self.synced = self.last;
            }
            Some(lost) => return Err(OpenError::LostCommits { lost }),
        }
        let tail = segment.file.len().map_err(failed("reading the log"))? > segment.end();
        if after > 0 {
            tracing::warn!(batch = missing.number, file = %segment.name(), after, "the log has a gap among commits that were not synced; it is cut there");
        }
        self.doubtful = tail
            || self.last > self.synced
            || self.last > whole
            || missing.segment + 1 < self.segments.len();
        let dropped = self.segments.drain(missing.segment + 1..);
        self.void
            .extend(dropped.map(|segment| segment.header.sequence));
        Ok(())
    }
}

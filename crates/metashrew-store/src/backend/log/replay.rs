//! Reading the batches of a log in order, one at a time.

use std::io;
use std::sync::Arc;

use super::files::LogFile;
use super::frame;
use super::{BatchNumber, Scan};
use crate::backend::Batch;
use crate::backend::damage::corrupt;
use crate::backend::disk::io as failed;
use crate::error::OpenError;

/// The batches of a log, from the first that is asked for. One of them is in memory at a
/// time; its keys and values are slices of one allocation.
#[derive(Debug)]
pub(in crate::backend) struct Replay {
    frames: std::vec::IntoIter<Frame>,
}

#[derive(Debug)]
struct Frame {
    number: BatchNumber,
    name: Arc<str>,
    file: Arc<dyn LogFile>,
    salt: u64,
    offset: u64,
}

impl Replay {
    pub(super) fn new(scan: &Scan, after: BatchNumber) -> Self {
        let mut frames = Vec::new();
        for (index, segment) in scan.segments.iter().enumerate() {
            let next = scan.segments.get(index + 1);
            let last = next.map_or(segment.last(), |next| next.header.first - 1);
            let name = Arc::<str>::from(segment.name());
            for number in segment.header.first.max(after.saturating_add(1))..=last {
                frames.push(Frame {
                    number,
                    name: Arc::clone(&name),
                    file: Arc::clone(&segment.file),
                    salt: segment.header.salt,
                    offset: segment.start_of(number),
                });
            }
        }
        Self {
            frames: frames.into_iter(),
        }
    }
}

impl Iterator for Replay {
    type Item = Result<(BatchNumber, Batch), OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.frames.next()?;
        let read = || -> io::Result<_> {
            let file = frame.file.as_ref();
            frame::read_batch(file, file.len()?, frame.offset, frame.number, frame.salt)
        };
        Some(match read() {
            Ok(Ok(batch)) => Ok((frame.number, batch)),
            Ok(Err(bad)) => Err(corrupt(format!(
                "`{}`, byte {}: batch {} cannot be read: {bad}",
                frame.name, frame.offset, frame.number
            ))),
            Err(error) => Err(failed("reading the log")(error)),
        })
    }
}

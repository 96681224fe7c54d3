//! A walk over a state in key order, or back: stored keys and those of uncommitted blocks,
//! merged as they are asked for.

use std::ops::Bound;

use bytes::Bytes;

use crate::backend::{Direction, Scan, Space, wait};
use crate::block::Height;
use crate::error::ReadError;
use crate::keys::decode_version;
use crate::layer_scan::LayerScan;
use crate::older_walk::OlderWalk;
use crate::overlay::Layer;
use crate::snapshot::Snapshot;
use crate::write_set::Version;

/// What one step of a [`StateScan`] comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next key, and its newest version in the state, which may have zero length.
    Entry(Bytes, Version),
    /// A stored key was passed over: it was first written above the state's height.
    Passed,
    /// There is no other key.
    End,
}

/// The keys of [`State::scan`](crate::State::scan): an iterator that waits, or steps to be
/// awaited one by one.
///
/// What it holds in memory does not depend on how many keys there are: one key and value, and
/// what the engine reads at a time. It goes through the newest versions of the keys stored in
/// the range, and, for those that are newer than the state, beside it through the superseded
/// versions: a few steps a key, or one seek where a key has many. A key that was not there yet
/// is passed over. A state far below the tip may have a caller step for long without an entry,
/// who therefore gets control back at each step.
pub struct StateScan {
    snapshot: Snapshot,
    base: Height,
    scan: Option<Scan>,
    direction: Direction,
    older: OlderWalk,
    /// The stored entry that is next, where it is known.
    stored: Option<(Bytes, Version)>,
    layered: LayerScan,
}

impl std::fmt::Debug for StateScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StateScan")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl StateScan {
    /// The keys of `layers` on top of `snapshot` at `base`.
    pub(crate) fn new(
        snapshot: Snapshot,
        base: Option<Height>,
        layers: &[Layer],
        (start, end): (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Self {
        let scan = base.map(|_| {
            let view = snapshot.view();
            match direction {
                Direction::Forward => view.scan(Space::KeyToNewest, start, end),
                Direction::Back => view.scan_back(Space::KeyToNewest, start, end),
            }
        });
        Self {
            snapshot,
            base: base.unwrap_or_default(),
            scan,
            direction,
            older: OlderWalk::new((start, end), direction),
            stored: None,
            layered: LayerScan::new(layers, (start, end), direction),
        }
    }

    /// The next step. After the end, or an error, there is nothing more.
    pub async fn step(&mut self) -> Result<Step, ReadError> {
        if self.stored.is_none() {
            match self.next_stored().await {
                Ok(true) => {}
                Ok(false) => return Ok(Step::Passed),
                Err(error) => {
                    self.scan = None;
                    self.layered.end();
                    return Err(error);
                }
            }
        }
        if let Some((stored, _)) = &self.stored
            && let Some(layered) = self.layered.peek()
        {
            let (stored, is_layered) = (&stored[..], layered);
            let comes_first = match self.direction {
                Direction::Forward => stored < is_layered,
                Direction::Back => stored > is_layered,
            };
            if !comes_first {
                if stored == is_layered {
                    self.stored = None;
                }
                return Ok(self.next_layered());
            }
        }
        Ok(match self.stored.take() {
            Some((key, version)) => Step::Entry(key, version),
            None => self.next_layered(),
        })
    }

    fn next_layered(&mut self) -> Step {
        let next = self.layered.next();
        next.map_or(Step::End, |(key, version)| Step::Entry(key, version))
    }

    /// Looks for the next stored entry; false if a key was passed over instead.
    async fn next_stored(&mut self) -> Result<bool, ReadError> {
        let Some(scan) = &mut self.scan else {
            return Ok(true);
        };
        let Some((key, record)) = scan.next_entry().await? else {
            self.scan = None;
            return Ok(true);
        };
        let newest = decode_version(&record)?;
        let version = if newest.height <= self.base {
            Some(newest)
        } else {
            let view = self.snapshot.view();
            self.older.version(view, &key, self.base).await?
        };
        self.stored = version.map(|version| (key, version));
        Ok(self.stored.is_some())
    }
}

impl Iterator for StateScan {
    type Item = Result<(Bytes, Version), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match wait(self.step()) {
                Ok(Step::Entry(key, version)) => return Some(Ok((key, version))),
                Ok(Step::Passed) => {}
                Ok(Step::End) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

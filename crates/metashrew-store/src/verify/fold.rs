//! Folding the versions of each block into its history root, one part after the other.

use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::blocks::{BlockRow, ListHasher};
use super::chain::Chain;
use super::parts::{Entries, Entry, Part, Parter, Plan};
use super::temporary::{Temporary, TemporaryFile};
use super::{Meter, Sizes};
use crate::block::{Height, HistoryRoot};
use crate::error::VerifyError;
use crate::root::RootHasher;

/// Why the roots could not be confirmed.
pub(super) enum Failure {
    /// A block does not agree with its versions.
    Mismatch { height: Height, what: String },
    /// They could not be read.
    Error(VerifyError),
}

impl Failure {
    pub(super) fn into_error(self) -> VerifyError {
        match self {
            Self::Mismatch { what, .. } => VerifyError::Corrupt { what },
            Self::Error(error) => error,
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::Error(error)
    }
}

/// What folding needs to know.
pub(super) struct Fold<'a> {
    pub(super) chain: &'a Chain,
    pub(super) sizes: &'a Sizes,
    pub(super) temporary: &'a Temporary,
    pub(super) meter: &'a Meter<'a>,
}

impl Fold<'_> {
    /// Folds all parts, several at a time: a root is checked on top of what the record
    /// below says, so no part waits for another.
    pub(super) fn all(&self, parts: &[Part], file: &TemporaryFile) -> Result<(), Failure> {
        parts
            .par_iter()
            .with_max_len(1)
            .try_for_each(|part| self.part(part, file))
    }

    fn part(&self, part: &Part, file: &TemporaryFile) -> Result<(), Failure> {
        let order_bytes = part.entries.saturating_mul(size_of::<usize>() as u64);
        if part.heights.start() == part.heights.end() {
            self.single(part, file)
        } else if part.bytes.saturating_add(order_bytes) <= self.sizes.load {
            self.loaded(part, file)
        } else {
            self.split(part, file)
        }
    }

    /// One block, whose versions lie in the order of their keys.
    fn single(&self, part: &Part, file: &TemporaryFile) -> Result<(), Failure> {
        let blocks = self.blocks(&part.heights)?;
        for (below, height, row) in blocks.each() {
            let mut check = BlockCheck::new(below, height, row);
            part.stream(file, |entry| {
                check.push(entry);
                Ok::<_, Failure>(())
            })?;
            check.finish()?;
        }
        self.meter.add(part.entries);
        Ok(())
    }

    /// Several blocks: their versions are sorted by height, and keep the order of their keys.
    fn loaded(&self, part: &Part, file: &TemporaryFile) -> Result<(), Failure> {
        let blocks = self.blocks(&part.heights)?;
        let bytes = part.load(file)?;
        let first = *part.heights.start();
        let mut ends = vec![0usize; blocks.rows.len() + 1];
        for (_, entry) in Entries::new(&bytes) {
            if let Some(count) = ends.get_mut((entry.height - first) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        // Each becomes the end of its block's share while the share is filled.
        let mut order = vec![0usize; sum];
        for (offset, entry) in Entries::new(&bytes) {
            if let Some(next) = ends.get_mut((entry.height - first) as usize)
                && let Some(place) = order.get_mut(*next)
            {
                *place = offset;
                *next += 1;
            }
        }
        let mut start = 0;
        for ((below, height, row), end) in blocks.each().zip(ends) {
            let mut check = BlockCheck::new(below, height, row);
            for offset in order.get(start..end).unwrap_or_default() {
                if let Some(entry) = bytes.get(*offset..).and_then(Entry::decode) {
                    check.push(&entry);
                }
            }
            check.finish()?;
            start = end;
        }
        self.meter.add(part.entries);
        Ok(())
    }

    /// More blocks than fit in memory: parted again, into a temporary file of their own.
    fn split(&self, part: &Part, file: &TemporaryFile) -> Result<(), Failure> {
        let wanted = part
            .bytes
            .div_ceil(self.sizes.load)
            .saturating_mul(2)
            .max(2);
        let plan = Plan::finer(
            &part.heights,
            self.chain.keys_of(&part.heights),
            part.entries.div_ceil(wanted),
        );
        let own = self.temporary.file()?;
        let mut parter = Parter::new(&plan, &own, self.sizes.part_buffers);
        part.stream(file, |entry| parter.push(entry).map(|_| ()))?;
        for part in parter.finish()? {
            self.part(&part, &own)?;
        }
        Ok(())
    }

    fn blocks(&self, heights: &RangeInclusive<Height>) -> Result<Blocks, VerifyError> {
        let rows = self.chain.table.read(heights)?;
        let first = *heights.start();
        let below = match first.checked_sub(1) {
            Some(below) if first > self.chain.first => self
                .chain
                .table
                .read(&(below..=below))?
                .first()
                .map(|row| row.history_root),
            _ => None,
        };
        Ok(Blocks {
            below: below.unwrap_or(self.chain.base.history_root),
            first,
            rows,
        })
    }
}

/// The rows of a range of heights.
struct Blocks {
    /// The root below the first.
    below: HistoryRoot,
    first: Height,
    rows: Vec<BlockRow>,
}

impl Blocks {
    /// Each block, with the root below it.
    fn each(&self) -> impl Iterator<Item = (&HistoryRoot, Height, &BlockRow)> {
        let roots = self.rows.iter().map(|row| &row.history_root);
        std::iter::once(&self.below)
            .chain(roots)
            .zip(self.first..=Height::MAX)
            .zip(&self.rows)
            .map(|((below, height), row)| (below, height, row))
    }
}

/// One block while its versions come in the order of their keys.
struct BlockCheck<'a> {
    height: Height,
    row: &'a BlockRow,
    root: RootHasher,
    list: ListHasher,
}

impl<'a> BlockCheck<'a> {
    fn new(below: &HistoryRoot, height: Height, row: &'a BlockRow) -> Self {
        Self {
            height,
            row,
            root: RootHasher::new(below, height, &row.hash, row.keys),
            list: ListHasher::default(),
        }
    }

    fn push(&mut self, entry: &Entry<'_>) {
        self.root.write(entry.key, entry.value);
        self.list.push(entry.key, entry.distance);
    }

    fn finish(self) -> Result<(), Failure> {
        let Self {
            height,
            row,
            root,
            list,
        } = self;
        let stored = list.keys;
        let what = if stored != u64::from(row.keys) {
            format!(
                "block {height} wrote {} keys, but {stored} versions of it are stored",
                row.keys
            )
        } else if list.finish() != row.list {
            format!("the list of keys of block {height} is not of the versions that are stored")
        } else {
            let computed = root.finish();
            if computed == row.history_root {
                return Ok(());
            }
            format!(
                "block {height} has history root {}, but what is stored gives {computed}",
                row.history_root
            )
        };
        Err(Failure::Mismatch { height, what })
    }
}

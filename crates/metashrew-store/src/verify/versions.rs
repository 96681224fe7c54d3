//! Reading the versions in the order of their keys: the newest ones and the older ones
//! side by side.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rayon::prelude::*;

use super::Meter;
use super::parts::{Entry, Part, Parter, Plan, concatenate};
use super::temporary::TemporaryFile;
use crate::backend::{BackendError, Scan, Space, View};
use crate::block::Height;
use crate::error::{ReadError, VerifyError};
use crate::keys::{corrupt, decode_version, height_of_history_key, history_prefix};
use crate::write_set::Version;

/// All versions, in parts.
pub(super) struct Read {
    pub(super) parts: Vec<Part>,
    /// How many different keys there are.
    pub(super) keys: u64,
}

/// Reads all versions and parts them as planned. The key space is shared out among the
/// threads at `splits`, which are in order.
pub(super) fn read(
    view: &dyn View,
    splits: &[Bytes],
    plan: &Plan,
    file: &TemporaryFile,
    buffers: usize,
    meter: &Meter<'_>,
) -> Result<Read, VerifyError> {
    let keys = AtomicU64::new(0);
    let starts = std::iter::once(None).chain(splits.iter().map(Some));
    let ends = splits.iter().map(Some).chain(std::iter::once(None));
    let ranges: Vec<_> = starts.zip(ends).collect();
    let lists = ranges
        .into_par_iter()
        .with_max_len(1)
        .map(|(start, end)| {
            let mut merge = Merge {
                parter: Parter::new(plan, file, buffers),
                meter,
                unmetered: 0,
            };
            let newest = scan(view, Space::KeyToNewest, start, end);
            let prefix = |key: &Bytes| history_prefix(key).freeze();
            let (start, end) = (start.map(prefix), end.map(prefix));
            let older = scan(view, Space::KeyHeightToOlder, start.as_ref(), end.as_ref());
            keys.fetch_add(merge.run(newest, older)?, Ordering::Relaxed);
            merge.parter.finish()
        })
        .collect::<Result<Vec<_>, VerifyError>>()?;
    Ok(Read {
        parts: concatenate(lists),
        keys: keys.into_inner(),
    })
}

fn scan(view: &dyn View, space: Space, start: Option<&Bytes>, end: Option<&Bytes>) -> Scan {
    view.scan(
        space,
        start.map_or(Bound::Unbounded, |start| Bound::Included(&start[..])),
        end.map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..])),
    )
}

/// The versions of a range of keys.
struct Merge<'a> {
    parter: Parter<'a>,
    meter: &'a Meter<'a>,
    unmetered: u64,
}

impl Merge<'_> {
    /// Goes through the newest versions and, for each, through the older ones of its key.
    fn run(&mut self, newest: Scan, older: Scan) -> Result<u64, VerifyError> {
        let mut older = Older::new(older)?;
        let mut keys = 0;
        for entry in newest {
            let (key, record) = entry?;
            keys += 1;
            let mut version = decode_version(&record)?;
            if older.next.is_some() {
                let prefix = history_prefix(&key);
                while let Some(before) = older.take(&prefix)? {
                    if before.height >= version.height {
                        return Err(out_of_order(&key, &version, &before).into());
                    }
                    self.push(&key, &version, version.height - before.height)?;
                    version = before;
                }
            }
            self.push(&key, &version, 0)?;
        }
        older.check_end()?;
        self.meter.add(self.unmetered);
        self.unmetered = 0;
        Ok(keys)
    }

    fn push(&mut self, key: &[u8], version: &Version, distance: Height) -> Result<(), VerifyError> {
        let pushed = self.parter.push(&Entry {
            height: version.height,
            distance,
            key,
            value: &version.value,
        })?;
        if pushed.is_none() {
            return Err(corrupt(format!(
                "a version of block {} is stored that no block wrote, at key 0x{}",
                version.height,
                hex::display(key)
            ))
            .into());
        }
        self.unmetered += 1;
        if self.unmetered == Meter::STEP {
            self.meter.add(self.unmetered);
            self.unmetered = 0;
        }
        Ok(())
    }
}

/// The superseded versions that were not taken yet.
pub(crate) struct Older {
    scan: Scan,
    next: Option<(Bytes, Bytes)>,
}

impl Older {
    pub(crate) fn new(mut scan: Scan) -> Result<Self, BackendError> {
        let next = scan.next().transpose()?;
        Ok(Self { scan, next })
    }

    /// The next one, if it is of the key with this history prefix. One of a key before it
    /// has no newest version.
    pub(crate) fn take(&mut self, prefix: &[u8]) -> Result<Option<Version>, ReadError> {
        let Some((history_key, _)) = &self.next else {
            return Ok(None);
        };
        let of_this_key = history_key
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == size_of::<Height>());
        if !of_this_key {
            if history_key.as_ref() < prefix {
                self.check_end()?;
            }
            return Ok(None);
        }
        let height = height_of_history_key(history_key)?;
        let next = self.scan.next().transpose()?;
        let taken = std::mem::replace(&mut self.next, next);
        Ok(taken.map(|(_, value)| Version { height, value }))
    }

    /// Makes sure that none is left whose key has no newest version.
    pub(crate) fn check_end(&self) -> Result<(), ReadError> {
        match &self.next {
            None => Ok(()),
            Some((history_key, _)) => Err(corrupt(format!(
                "an older version is stored of a key without a newest one, at history key 0x{}",
                hex::display(history_key)
            ))),
        }
    }
}

fn out_of_order(key: &[u8], version: &Version, before: &Version) -> ReadError {
    corrupt(format!(
        "the version of block {} is stored as older than that of block {}, at key 0x{}",
        before.height,
        version.height,
        hex::display(key)
    ))
}

//! Recomputing history roots from the stored versions.

use std::ops::Bound;

use crate::backend::{Space, View};
use crate::base::Base;
use crate::block::{BlockRecord, Height, Hex};
use crate::chain;
use crate::error::{ReadError, VerifyError};
use crate::history;
use crate::keys::{StoredBlock, corrupt};
use crate::root::RootHasher;
use crate::store::Store;
use crate::touched::{Touched, read_keys};

/// What a verification went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyReport {
    /// The last block of the chain.
    pub tip: Option<BlockRecord>,
    /// How many blocks were verified.
    pub blocks: u64,
    /// How many different keys they wrote.
    pub keys: u64,
    /// How many versions of those keys are stored.
    pub versions: u64,
}

impl Store {
    /// Recomputes every history root from the stored versions, and makes sure
    /// that nothing else is stored.
    ///
    /// Reads the whole database once, from a snapshot: commits go on meanwhile.
    /// `progress` is called after each block with its height and the tip's.
    pub fn verify(
        &self,
        mut progress: impl FnMut(Height, Height),
    ) -> Result<VerifyReport, VerifyError> {
        let published = self.published();
        let view = published.view.as_ref();
        let mut report = VerifyReport {
            tip: published.tip.map(|tip| tip.record),
            blocks: 0,
            keys: 0,
            versions: 0,
        };
        if let (Some(tip), Some(base)) = (published.tip, published.base) {
            let mut below = base;
            let mut last = None;
            for height in base.first().unwrap_or(Height::MAX)..=tip.record.height {
                let block = verify_block(view, height, &below)?;
                report.blocks += 1;
                report.versions += u64::from(block.keys);
                below = Base::from(&block);
                last = Some(block);
                progress(height, tip.record.height);
            }
            if last != Some(tip) {
                return Err(corrupt(tip_disagrees(&tip)).into());
            }
        }
        report.keys = count(view, Space::KeyToNewest)?;
        let superseded = count(view, Space::KeyHeightToOlder)?;
        let blocks = count(view, Space::HeightToBlock)?;
        let hashes = count(view, Space::HashToHeight)?;
        // Every listed version was found, and no two are the same: equal counts
        // leave no room for an entry that no block wrote.
        if report.keys + superseded != report.versions {
            return Err(corrupt(format!(
                "{} versions are stored, but the blocks wrote {}",
                report.keys + superseded,
                report.versions
            ))
            .into());
        }
        if blocks != report.blocks || hashes != report.blocks {
            return Err(corrupt(format!(
                "the chain has {} blocks, but {blocks} records and {hashes} hashes are stored",
                report.blocks
            ))
            .into());
        }
        Ok(report)
    }
}

fn count(view: &dyn View, space: Space) -> Result<u64, ReadError> {
    let mut entries = 0;
    for entry in view.scan(space, Bound::Unbounded, Bound::Unbounded) {
        entry?;
        entries += 1;
    }
    Ok(entries)
}

pub(crate) fn tip_disagrees(tip: &StoredBlock) -> String {
    format!(
        "the tip record and the record of block {} differ",
        tip.record.height
    )
}

/// Recomputes the history root of one block, on top of what is below it.
pub(crate) fn verify_block(
    view: &dyn View,
    height: Height,
    below: &Base,
) -> Result<StoredBlock, ReadError> {
    let block = chain::held_block(view, height)?;
    if chain::height_of(view, &block.record.hash)? != Some(height) {
        return Err(corrupt(format!(
            "the hash {} of block {height} does not lead back to it",
            block.record.hash
        )));
    }
    if below.hash != block.record.parent {
        return Err(corrupt(format!(
            "block {height} builds on {}, but what is below it is {}",
            block.record.parent, below.hash
        )));
    }
    let keys = read_keys(view, height, |_| ())?;
    if keys.len() as u64 != u64::from(block.keys) {
        return Err(corrupt(format!(
            "block {height} wrote {} keys, but {} are listed",
            block.keys,
            keys.len()
        )));
    }
    let mut hasher = RootHasher::new(&below.history_root, height, &block.record.hash, block.keys);
    for Touched { key, previous } in keys {
        let (version, before) = history::exactly_at(view, &key, height)?.ok_or_else(|| {
            corrupt(format!(
                "a value that block {height} wrote is missing, at key 0x{}",
                Hex(&key)
            ))
        })?;
        if before != previous {
            return Err(corrupt(format!(
                "block {height} lists another version before its own than is stored, at key 0x{}",
                Hex(&key)
            )));
        }
        hasher.write(&key, &version.value);
    }
    let computed = hasher.finish();
    if computed != block.record.history_root {
        return Err(corrupt(format!(
            "block {height} has history root {}, but what is stored gives {computed}",
            block.record.history_root
        )));
    }
    Ok(block)
}

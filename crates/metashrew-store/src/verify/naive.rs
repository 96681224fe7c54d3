//! The model that the verification is tested against: each block by itself, each of its
//! keys by point reads, and then the numbers of all entries.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::last_blocks::verify_block;
use crate::backend::{Space, View};
use crate::base::Base;
use crate::block::Height;
use crate::chain;
use crate::error::ReadError;
use crate::keys::{corrupt, decode_version, height_of_history_key, history_prefix, leading_height};

/// The number of versions.
pub(super) fn verify(view: &dyn View) -> Result<u64, ReadError> {
    let (mut blocks, mut versions) = (0, 0);
    let (tip, base) = (chain::tip(view)?, chain::base(view)?);
    let mut held = BTreeSet::new();
    if let (Some(tip), Some(base)) = (tip, base) {
        let mut below = base;
        let mut last = None;
        for height in base.first().unwrap_or(Height::MAX)..=tip.record.height {
            let block = verify_block(view, height, &below, u64::MAX)?;
            held.insert(height);
            blocks += 1;
            versions += u64::from(block.keys);
            below = Base::from(&block);
            last = Some(block);
        }
        if last != Some(tip) {
            return Err(corrupt("the tip differs"));
        }
    }
    let newest = count(view, Space::KeyToNewest)?;
    let superseded = count(view, Space::KeyHeightToOlder)?;
    if newest + superseded != versions {
        return Err(corrupt("the number of versions differs"));
    }
    for space in [Space::HeightToBlock, Space::HashToHeight] {
        if count(view, space)? != blocks {
            return Err(corrupt(format!("the number in {space:?} differs")));
        }
    }
    check_lists(view, &held)?;
    check_newest(view)?;
    Ok(versions)
}

fn entries(view: &dyn View, space: Space) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, ReadError> {
    let entries = view.scan(space, Bound::Unbounded, Bound::Unbounded);
    Ok(entries.collect::<Result<_, _>>()?)
}

fn count(view: &dyn View, space: Space) -> Result<u64, ReadError> {
    Ok(entries(view, space)?.len() as u64)
}

/// Every list is one of a block held, and nothing else lies there.
fn check_lists(view: &dyn View, held: &BTreeSet<Height>) -> Result<(), ReadError> {
    for (key, _) in entries(view, Space::HeightToKeys)? {
        if key.len() != 8 || !held.contains(&leading_height(&key)?) {
            return Err(corrupt("a list is of no block"));
        }
    }
    Ok(())
}

/// Every older version is older than the newest one of its key.
fn check_newest(view: &dyn View) -> Result<(), ReadError> {
    let newest = entries(view, Space::KeyToNewest)?;
    for (history_key, _) in entries(view, Space::KeyHeightToOlder)? {
        let height = height_of_history_key(&history_key)?;
        let is_older = newest.iter().any(|(key, record)| {
            let prefix = history_prefix(key);
            history_key.len() == prefix.len() + 4
                && history_key.starts_with(&prefix)
                && decode_version(record).is_ok_and(|newest| newest.height > height)
        });
        if !is_older {
            return Err(corrupt("an older version is the newest one"));
        }
    }
    Ok(())
}

//! Verifying one block by looking at each of its keys: what opening does with the last
//! few, and what tells exactly what is wrong with one.

use crate::backend::View;
use crate::base::Base;
use crate::block::Height;
use crate::chain;
use crate::error::ReadError;
use crate::history;
use crate::keys::{StoredBlock, corrupt};
use crate::root::RootHasher;
use crate::touched::each_key;

pub(crate) fn tip_disagrees(tip: &StoredBlock) -> String {
    format!(
        "the tip record and the record of block {} differ",
        tip.record.height
    )
}

/// Makes sure that the block stands on `below`, and that its hash leads to it.
pub(super) fn check_links(
    view: &dyn View,
    block: &StoredBlock,
    below: &Base,
) -> Result<(), ReadError> {
    let record = &block.record;
    let height = record.height;
    if chain::height_of(view, &record.hash)? != Some(height) {
        return Err(corrupt(format!(
            "the hash {} of block {height} does not lead back to it",
            record.hash
        )));
    }
    if below.hash != record.parent {
        return Err(corrupt(format!(
            "block {height} builds on {}, but what is below it is {}",
            record.parent, below.hash
        )));
    }
    Ok(())
}

/// Recomputes the history root of one block, on top of what is below it. If it wrote
/// more than `max_keys`, only that many of its keys are looked at, and no root comes out.
pub(crate) fn verify_block(
    view: &dyn View,
    height: Height,
    below: &Base,
    max_keys: u64,
) -> Result<StoredBlock, ReadError> {
    let block = chain::held_block(view, height)?;
    check_links(view, &block, below)?;
    let mut hasher = RootHasher::new(&below.history_root, height, &block.record.hash, block.keys);
    let mut listed = 0;
    let mut wrong = None;
    let whole = each_key(view, height, |key, previous| {
        listed += 1;
        if listed > max_keys {
            return Ok(false);
        }
        match history::exactly_at(view, key, height)? {
            None => wrong = wrong.take().or_else(|| Some(missing(height, key))),
            Some((_, before)) if before != previous => {
                wrong = wrong.take().or_else(|| Some(another_before(height, key)));
            }
            Some((version, _)) => hasher.write(key, &version.value),
        }
        Ok(true)
    })?;
    if whole && listed != u64::from(block.keys) {
        return Err(wrong_count(height, block.keys, listed));
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    if whole {
        let computed = hasher.finish();
        if computed != block.record.history_root {
            return Err(corrupt(format!(
                "block {height} has history root {}, but what is stored gives {computed}",
                block.record.history_root
            )));
        }
    }
    Ok(block)
}

pub(crate) fn missing(height: Height, key: &[u8]) -> ReadError {
    corrupt(format!(
        "a value that block {height} wrote is missing, at key 0x{}",
        hex::display(key)
    ))
}

fn another_before(height: Height, key: &[u8]) -> ReadError {
    corrupt(format!(
        "block {height} lists another version before its own than is stored, at key 0x{}",
        hex::display(key)
    ))
}

pub(super) fn wrong_count(height: Height, keys: u32, listed: u64) -> ReadError {
    corrupt(format!(
        "block {height} wrote {keys} keys, but {listed} are listed"
    ))
}

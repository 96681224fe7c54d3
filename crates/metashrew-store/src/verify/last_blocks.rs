//! Verifying one block by looking at each of its keys: what opening does with the last
//! few, and what tells exactly what is wrong with one.

use bytes::Bytes;

use crate::backend::View;
use crate::base::Base;
use crate::block::{Height, HistoryRoot};
use crate::chain;
use crate::error::ReadError;
use crate::history;
use crate::keys::{StoredBlock, corrupt};
use crate::readers;
use crate::root::RootHasher;
use crate::touched::{Touched, each_key};

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
    let hasher = RootHasher::new(&below.history_root, height, &block.record.hash, block.keys);
    let mut versions = Versions::new(view, height, hasher);
    let mut listed = 0;
    let whole = each_key(view, height, |key, previous| {
        listed += 1;
        if listed > max_keys {
            return Ok(false);
        }
        versions.check(key, previous)?;
        Ok(true)
    })?;
    let computed = versions.finish();
    if whole && listed != u64::from(block.keys) {
        return Err(wrong_count(height, block.keys, listed));
    }
    let computed = computed?;
    if whole && computed != block.record.history_root {
        return Err(corrupt(format!(
            "block {height} has history root {}, but what is stored gives {computed}",
            block.record.history_root
        )));
    }
    Ok(block)
}

/// So many keys are looked up together, shared out among threads. Their values are in memory
/// at once, as those of the whole block were when it was committed.
const TOGETHER: usize = 2_000;

/// The versions that a block wrote: they are made sure of in key order, and hashed.
struct Versions<'a> {
    view: &'a dyn View,
    height: Height,
    hasher: RootHasher,
    waiting: Vec<Touched>,
    /// What was found wrong first.
    wrong: Option<ReadError>,
}

impl<'a> Versions<'a> {
    fn new(view: &'a dyn View, height: Height, hasher: RootHasher) -> Self {
        Self {
            view,
            height,
            hasher,
            waiting: Vec::new(),
            wrong: None,
        }
    }

    fn check(&mut self, key: &[u8], previous: Option<Height>) -> Result<(), ReadError> {
        let key = Bytes::copy_from_slice(key);
        self.waiting.push(Touched { key, previous });
        if self.waiting.len() < TOGETHER {
            return Ok(());
        }
        self.check_waiting()
    }

    fn check_waiting(&mut self) -> Result<(), ReadError> {
        let (view, height) = (self.view, self.height);
        let keys: Vec<_> = self.waiting.iter().map(|it| it.key.as_ref()).collect();
        let found = readers::read_all(&keys, readers::count(), |keys| {
            let found = keys
                .iter()
                .map(|key| history::exactly_at(view, key, height));
            found.collect()
        })?;
        for (Touched { key, previous }, found) in self.waiting.drain(..).zip(found) {
            match found {
                None => self.wrong.get_or_insert_with(|| missing(height, &key)),
                Some((_, before)) if before != previous => self
                    .wrong
                    .get_or_insert_with(|| another_before(height, &key)),
                Some((version, _)) => {
                    self.hasher.write(&key, &version.value);
                    continue;
                }
            };
        }
        Ok(())
    }

    /// The root of all, or what was wrong first.
    fn finish(mut self) -> Result<HistoryRoot, ReadError> {
        self.check_waiting()?;
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.hasher.finish()),
        }
    }
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

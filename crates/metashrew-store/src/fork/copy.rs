//! The blocks up to a height, written anew into an empty engine: for a fork that keeps so
//! little that this is less than to drop the rest.

use std::ops::{Bound, RangeInclusive};

use bytes::Bytes;

use super::ForkError;
use crate::backend::{Backend, Batch, Scan, Space, View};
use crate::block::Height;
use crate::chain;
use crate::error::ReadError;
use crate::keys::{
    BASE_KEY, FORMAT_KEY, StoredBlock, TIP_KEY, corrupt, decode_version, encode_version,
    history_key, history_prefix, leading_height,
};
use crate::touched::scan_chunks;
use crate::undone::{self, Undoing, UndoneLimits};
use crate::verify::Older;

/// A batch is written once it is so long, in bytes: it bounds the memory.
const BATCH_BYTES: usize = 4 << 20;
/// What an entry counts beside its key and value.
const ENTRY_BYTES: usize = 64;

/// Writes all that `view` holds of the blocks up to `tip` into `target`. Returns the number of
/// versions.
pub(super) fn copy(
    view: &dyn View,
    tip: &StoredBlock,
    target: &dyn Backend,
) -> Result<u64, ForkError> {
    let mut copy = Copy {
        at: tip.record.height,
        target,
        batch: Batch::default(),
        bytes: 0,
    };
    copy.blocks(view)?;
    let versions = copy.versions(view)?;
    for key in [FORMAT_KEY, BASE_KEY] {
        let value = view.get(Space::Meta, key).wait().map_err(ReadError::from)?;
        let missing = || corrupt(format!("`{}` is missing", String::from_utf8_lossy(key)));
        copy.put(
            Space::Meta,
            Bytes::from_static(key),
            value.ok_or_else(missing)?,
        )?;
    }
    copy.put(Space::Meta, Bytes::from_static(TIP_KEY), tip.encode())?;
    for entry in undone::scan(view, undone::TOTALS_KEY) {
        let (key, value) = entry?;
        copy.put(Space::Meta, key, value)?;
    }
    copy.write()?;
    Ok(versions)
}

/// Records the blocks at `heights`, which `view` holds and `target` does not, as a rollback
/// would have.
pub(super) fn record_undone(
    view: &dyn View,
    heights: RangeInclusive<Height>,
    target: &dyn Backend,
    limits: UndoneLimits,
) -> Result<(), ForkError> {
    let (first, last) = (*heights.start(), highest_recorded(view, heights, limits)?);
    for height in (first..=last).rev() {
        let block = chain::held_block(view, height)?;
        let chunks = scan_chunks(view, height).map(|entry| Ok(entry?.1));
        let keys = chunks.collect::<Result<_, ReadError>>()?;
        let mut batch = Batch::default();
        let undone = vec![Undoing::new(&block, keys)];
        undone::record(target.view().as_ref(), &mut batch, undone, limits)?;
        target.write(batch)?;
    }
    Ok(())
}

/// Up to which of the blocks at `heights` they are to be recorded: those above would go again as
/// lower ones are. The last one may be too much, too: it has all that are older go, as those
/// above would.
fn highest_recorded(
    view: &dyn View,
    heights: RangeInclusive<Height>,
    limits: UndoneLimits,
) -> Result<Height, ReadError> {
    let highest = *heights.end();
    let (mut blocks, mut bytes) = (0_u64, 0_u64);
    for height in heights {
        blocks += 1;
        bytes = bytes.saturating_add(undone::RECORD_BYTES);
        for entry in scan_chunks(view, height) {
            bytes = bytes.saturating_add(entry?.1.len() as u64);
        }
        if blocks > limits.blocks || bytes > limits.bytes {
            return Ok(height);
        }
    }
    Ok(highest)
}

struct Copy<'a> {
    at: Height,
    target: &'a dyn Backend,
    batch: Batch,
    bytes: usize,
}

impl Copy<'_> {
    /// The records and what they name.
    fn blocks(&mut self, view: &dyn View) -> Result<(), ForkError> {
        for entry in view.scan(Space::HeightToBlock, Bound::Unbounded, Bound::Unbounded) {
            let (key, record) = entry?;
            if leading_height(&key)? > self.at {
                break;
            }
            let hash = StoredBlock::decode(&record)?.record.hash;
            let hash = Bytes::copy_from_slice(hash.as_bytes());
            self.put(Space::HashToHeight, hash, key.clone())?;
            self.put(Space::HeightToBlock, key, record)?;
        }
        for entry in view.scan(Space::HeightToKeys, Bound::Unbounded, Bound::Unbounded) {
            let (key, list) = entry?;
            if leading_height(&key)? > self.at {
                break;
            }
            self.put(Space::HeightToKeys, key, list)?;
        }
        Ok(())
    }

    /// The versions, newest and older side by side: of each key the first one that is kept
    /// becomes the newest.
    fn versions(&mut self, view: &dyn View) -> Result<u64, ForkError> {
        let all = |space| -> Scan { view.scan(space, Bound::Unbounded, Bound::Unbounded) };
        let mut older = Older::new(all(Space::KeyHeightToOlder))?;
        let mut count = 0;
        for entry in all(Space::KeyToNewest) {
            let (key, record) = entry?;
            let prefix = history_prefix(&key);
            let mut version = Some(decode_version(&record)?);
            let mut is_newest = true;
            while let Some(kept) = version {
                if kept.height <= self.at {
                    count += 1;
                    if is_newest {
                        let record = encode_version(kept.height, &kept.value);
                        self.put(Space::KeyToNewest, key.clone(), record)?;
                    } else {
                        let key = history_key(&prefix, kept.height);
                        self.put(Space::KeyHeightToOlder, key, kept.value)?;
                    }
                    is_newest = false;
                }
                version = older.take(&prefix)?;
            }
        }
        older.check_end()?;
        Ok(count)
    }

    fn put(&mut self, space: Space, key: Bytes, value: Bytes) -> Result<(), ForkError> {
        self.bytes += key.len() + value.len() + ENTRY_BYTES;
        self.batch.put(space, key, value);
        if self.bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), ForkError> {
        self.bytes = 0;
        self.target.write(std::mem::take(&mut self.batch))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockHash, BlockRef};
    use crate::store::Store;
    use crate::write_set::WriteSet;

    /// What a block of 100 keys counts, of 200 bytes each that share nothing.
    const BLOCK: u64 = 100 * 204 + undone::RECORD_BYTES;

    #[test]
    fn blocks_are_recorded_up_to_the_first_that_is_too_much() {
        let store = Store::in_memory();
        let hash = |height: u8| BlockHash::from_bytes([height; 32]);
        for height in 1..10 {
            let mut writes = WriteSet::default();
            for key in 0..100 {
                writes.insert([[key, height]; 100].concat(), "").unwrap();
            }
            let block = BlockRef::new(height.into(), hash(height), hash(height - 1));
            store.commit(&block, &writes).unwrap();
        }
        let published = store.published();
        let view = published.view.as_ref();
        let check = |blocks, bytes, expect| {
            let limits = UndoneLimits { blocks, bytes };
            let highest = highest_recorded(view, 2..=9, limits).unwrap();
            assert_eq!(highest, expect, "{limits:?}");
        };
        check(1_000, u64::MAX, 9);
        check(8, 8 * BLOCK, 9);
        check(7, u64::MAX, 9);
        check(3, u64::MAX, 5);
        check(0, u64::MAX, 2);
        check(1_000, 3 * BLOCK, 5);
        check(1_000, 3 * BLOCK - 1, 4);
        check(1_000, BLOCK - 1, 2);
    }
}

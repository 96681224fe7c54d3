//! Reading the records of the committed blocks.

use crate::backend::{Space, View, wait};
use crate::base::Base;
use crate::block::{BlockHash, Height};
use crate::error::ReadError;
use crate::keys::{BASE_KEY, StoredBlock, TIP_KEY, corrupt, leading_height};

/// The last committed block, as the tip record names it.
pub(crate) fn tip(view: &dyn View) -> Result<Option<StoredBlock>, ReadError> {
    view.get(Space::Meta, TIP_KEY)
        .wait()?
        .map(|bytes| StoredBlock::decode(&bytes))
        .transpose()
}

/// The block at `height`.
pub(crate) fn block(view: &dyn View, height: Height) -> Result<Option<StoredBlock>, ReadError> {
    wait(block_at(view, height))
}

/// The block at `height`, which must be there.
pub(crate) fn held_block(view: &dyn View, height: Height) -> Result<StoredBlock, ReadError> {
    wait(held_block_at(view, height))
}

/// As [`block`], to be awaited.
pub(crate) async fn block_at(
    view: &dyn View,
    height: Height,
) -> Result<Option<StoredBlock>, ReadError> {
    let key = height.to_be_bytes();
    let Some(bytes) = view.get(Space::HeightToBlock, &key).await? else {
        return Ok(None);
    };
    let stored = StoredBlock::decode(&bytes)?;
    if stored.record.height != height {
        return Err(corrupt(format!(
            "the record of block {height} says it is block {}",
            stored.record.height
        )));
    }
    Ok(Some(stored))
}

/// As [`held_block`], to be awaited.
pub(crate) async fn held_block_at(
    view: &dyn View,
    height: Height,
) -> Result<StoredBlock, ReadError> {
    let block = block_at(view, height).await?;
    block.ok_or_else(|| corrupt(format!("the record of block {height} is missing")))
}

/// What is below the first block held; none as long as there is no tip.
pub(crate) fn base(view: &dyn View) -> Result<Option<Base>, ReadError> {
    view.get(Space::Meta, BASE_KEY)
        .wait()?
        .map(|bytes| Base::decode(&bytes))
        .transpose()
}

/// What the block at `height` stands on: the block below it, or the base.
pub(crate) fn below(view: &dyn View, base: &Base, height: Height) -> Result<Base, ReadError> {
    match height.checked_sub(1) {
        Some(below) if Some(below) != base.height => Ok(Base::from(&held_block(view, below)?)),
        _ => Ok(*base),
    }
}

/// The height of the block with this hash.
pub(crate) fn height_of(view: &dyn View, hash: &BlockHash) -> Result<Option<Height>, ReadError> {
    wait(height_of_hash(view, hash))
}

/// As [`height_of`], to be awaited.
pub(crate) async fn height_of_hash(
    view: &dyn View,
    hash: &BlockHash,
) -> Result<Option<Height>, ReadError> {
    view.get(Space::HashToHeight, hash.as_bytes())
        .await?
        .map(|bytes| leading_height(&bytes))
        .transpose()
}

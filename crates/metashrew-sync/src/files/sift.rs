//! Leaves out what a scan found and no chain can hold, so that it does not stand in
//! the way of what one can.

use std::collections::{HashMap, HashSet};

use metashrew_store::BlockHash;

use super::FilesError;
use super::block_file::BlockFile;
use super::frames::{self, Found, State};
use crate::network::Network;
use crate::work;

/// So many blocks at most are read because they name another height than their place
/// in the chain says.
const MAX_ODD: usize = 64;

/// Leaves out headers without work, which damage or chance made, on the networks where
/// a block's hash is its proof; and incomplete blocks that nothing is known to stand
/// on, or that stand alone.
pub(super) fn sift(found: Vec<Found>, magic: [u8; 4], files: &[BlockFile]) -> Vec<Found> {
    let network = Network::of_magic(magic);
    let has_work = |block: &Found| work::check(&block.header, Some(network)).is_ok();
    let (mut found, without_work): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|block| !network.is_named() || has_work(block));
    if let Some(first) = without_work.first()
        && let Some(file) = files.get(first.place.file)
    {
        tracing::warn!(
            headers = without_work.len(),
            "{} and elsewhere: headers whose hash is no proof of work; they are left out",
            file.name(&first.place)
        );
    }
    let hashes: HashSet<BlockHash> = found.iter().map(|block| block.header.hash).collect();
    let parents: HashSet<BlockHash> = found.iter().map(|block| block.header.parent).collect();
    found.retain(|block| {
        let has_child = parents.contains(&block.header.hash);
        match block.state {
            State::Framed | State::Whole => true,
            State::Cut => has_child,
            State::Bad => has_child || hashes.contains(&block.header.parent),
        }
    });
    found
}

/// The files in which blocks lie whose parents are nowhere, if there is more than one
/// such block: something may be missing between them.
pub(super) fn files_of_gaps(found: &[Found]) -> Vec<usize> {
    let hashes: HashSet<BlockHash> = found.iter().map(|block| block.header.hash).collect();
    let roots: Vec<_> = found
        .iter()
        .filter(|block| !hashes.contains(&block.header.parent))
        .collect();
    let different: HashSet<BlockHash> = roots.iter().map(|block| block.header.hash).collect();
    if different.len() < 2 {
        return Vec::new();
    }
    let mut files: Vec<_> = roots.iter().map(|block| block.place.file).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Gives all copies of a block the height that a whole one names. Those that disagree
/// about it are read.
pub(super) fn settle_heights(found: &mut [Found], files: &[BlockFile]) -> Result<(), FilesError> {
    let mut first = HashMap::new();
    let mut disputed = HashSet::new();
    for block in &*found {
        let named = *first.entry(block.header.hash).or_insert(block.named_height);
        if named != block.named_height {
            disputed.insert(block.header.hash);
        }
    }
    let mut settled = HashMap::new();
    for block in &*found {
        let hash = block.header.hash;
        if disputed.contains(&hash) && !settled.contains_key(&hash) && is_whole(block, files)? {
            settled.insert(hash, block.named_height);
        }
    }
    for block in found {
        if let Some(height) = settled.get(&block.header.hash) {
            block.named_height = *height;
        }
    }
    Ok(())
}

/// The chain without the heights that damaged blocks name, as long as those are few:
/// they get the heights of their places.
pub(super) fn mend_heights(chain: &mut [Found], files: &[BlockFile]) -> Result<(), FilesError> {
    let Some(first) = chain.first().and_then(|block| block.named_height) else {
        return Ok(());
    };
    let mut odd: Vec<_> = (first..)
        .zip(chain)
        .filter(|(height, block)| block.named_height != Some(*height))
        .collect();
    if odd.len() > MAX_ODD {
        return Ok(());
    }
    for (height, block) in &mut odd {
        if !is_whole(block, files)? {
            block.named_height = Some(*height);
        }
    }
    Ok(())
}

fn is_whole(block: &Found, files: &[BlockFile]) -> Result<bool, FilesError> {
    let Some(file) = files.get(block.place.file) else {
        return Ok(false);
    };
    Ok(frames::whole_length(&file.read(block.place)?).is_ok())
}

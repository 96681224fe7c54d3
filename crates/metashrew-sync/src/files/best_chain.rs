//! Picks the chain with the most work out of blocks in any order, and finds out
//! at which height it begins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bitcoin::{CompactTarget, Target, Work};
use metashrew_store::{BlockHash, Height};

use super::frames::Found;
use crate::network::Network;

/// The chain with the most work, lowest block first; of several, the one whose
/// last block was found first.
pub(super) fn select(found: &[Found]) -> Vec<&Found> {
    let mut by_hash: HashMap<BlockHash, usize> = HashMap::with_capacity(found.len());
    for (index, block) in found.iter().enumerate() {
        if let Entry::Vacant(entry) = by_hash.entry(block.header.hash) {
            entry.insert(index);
        }
    }
    let parent = |block: &Found| by_hash.get(&block.header.parent).copied();
    let works = works(found, parent);
    let mut best: Option<(usize, Work)> = None;
    for (index, work) in works.into_iter().enumerate() {
        if best.is_none_or(|(_, most)| work > most) {
            best = Some((index, work));
        }
    }
    let mut chain = Vec::new();
    let mut next = best.map(|(index, _)| index);
    while let Some(block) = next.and_then(|index| found.get(index)) {
        chain.push(block);
        next = parent(block);
    }
    chain.reverse();
    chain
}

/// The work of each block and all below it. A block below another may have been
/// found after it.
fn works(found: &[Found], parent: impl Fn(&Found) -> Option<usize>) -> Vec<Work> {
    let mut works: Vec<Option<Work>> = vec![None; found.len()];
    let mut path = Vec::new();
    for index in 0..found.len() {
        let mut next = Some(index);
        let mut sum = none();
        while let Some(index) = next {
            if let Some(known) = works.get(index).copied().flatten() {
                sum = known;
                break;
            }
            path.push(index);
            next = found.get(index).and_then(&parent);
        }
        while let Some(index) = path.pop() {
            sum = sum + found.get(index).map_or_else(none, work);
            if let Some(work) = works.get_mut(index) {
                *work = Some(sum);
            }
        }
    }
    works
        .into_iter()
        .map(|work| work.unwrap_or_else(none))
        .collect()
}

fn none() -> Work {
    Work::from_be_bytes([0; 32])
}

/// Work beyond 2^128 is no chain's, and damaged headers may claim it: it counts
/// for nothing, and sums cannot overflow.
fn work(block: &Found) -> Work {
    let target = Target::from_compact(CompactTarget::from_consensus(block.header.bits));
    let work = target.to_work();
    let fits = work.to_be_bytes().iter().take(16).all(|byte| *byte == 0);
    if fits { work } else { none() }
}

/// The height of a chain's first block, if the chain tells.
pub(super) fn first_height(chain: &[&Found]) -> Option<Height> {
    let first = chain.first()?;
    for genesis in Network::NAMED.into_iter().filter_map(Network::genesis) {
        if first.header.hash == genesis {
            return Some(0);
        }
        if first.header.parent == genesis {
            return Some(1);
        }
    }
    let height = first.named_height?;
    let agree = (height..)
        .zip(chain)
        .all(|(height, block)| block.named_height == Some(height));
    agree.then_some(height)
}

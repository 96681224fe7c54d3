//! Picks the chain with the most work out of blocks in any order, and finds out
//! at which height it begins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use metashrew_store::{BlockHash, Chainwork, Height};

use super::frames::Found;
use crate::network::Network;
use crate::work;

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
    let mut best: Option<(usize, Chainwork)> = None;
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
fn works(found: &[Found], parent: impl Fn(&Found) -> Option<usize>) -> Vec<Chainwork> {
    let mut works: Vec<Option<Chainwork>> = vec![None; found.len()];
    let mut path = Vec::new();
    for index in 0..found.len() {
        let mut next = Some(index);
        let mut sum = Chainwork::ZERO;
        while let Some(index) = next {
            if let Some(known) = works.get(index).copied().flatten() {
                sum = known;
                break;
            }
            path.push(index);
            next = found.get(index).and_then(&parent);
        }
        while let Some(index) = path.pop() {
            if let Some(block) = found.get(index) {
                sum = sum.saturating_add(work::work(block.header.bits));
            }
            if let Some(work) = works.get_mut(index) {
                *work = Some(sum);
            }
        }
    }
    works.into_iter().map(Option::unwrap_or_default).collect()
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

//! Which target each header must name: what the networks' rules for retargeting make
//! of the times and targets of the blocks before it, as far as those are known.

use std::collections::VecDeque;

use bitcoin::CompactTarget;
use bitcoin::consensus::Params;
use metashrew_store::{BlockRecord, Height, ReadError, Snapshot};

use crate::block::{BlockFault, RequiredTarget};
use crate::network::Network;

/// Blocks between two retargets.
const INTERVAL: Height = 2_016;

/// What the rules look at in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    time: u32,
    bits: u32,
}

/// The last blocks of a chain, at most as many as the rules look back to.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    network: Option<Network>,
    /// The height of the next block.
    next: Height,
    /// Lowest first; the last one is right below the next.
    seen: VecDeque<Seen>,
}

impl Targets {
    /// Below a block of which nothing before is known.
    pub(crate) fn unknown(network: Option<Network>, next: Height) -> Self {
        Self {
            network,
            next,
            seen: VecDeque::new(),
        }
    }

    /// Below a block, from what was indexed before it.
    pub(crate) fn indexed(
        network: Option<Network>,
        next: Height,
        snapshot: &Snapshot,
    ) -> Result<Self, ReadError> {
        let mut targets = Self::unknown(network, next);
        let Some(first) = snapshot.first().filter(|_| targets.look_back()) else {
            return Ok(targets);
        };
        for height in next.saturating_sub(INTERVAL).max(first)..next {
            match snapshot.block(height)? {
                Some(BlockRecord { time, bits, .. }) => {
                    targets.seen.push_back(Seen { time, bits });
                }
                // What does not reach up to the next block says nothing of it.
                None => targets.seen.clear(),
            }
        }
        Ok(targets)
    }

    /// Checks that the next block names the target it must, and takes it in.
    pub(crate) fn push(&mut self, time: u32, bits: u32) -> Result<(), BlockFault> {
        if let Some((network, required)) = self.network.zip(self.required(time))
            && required != bits
        {
            return Err(BlockFault::OtherTarget {
                found: bits,
                required: RequiredTarget::Exactly(required),
                network,
            });
        }
        if self.look_back() {
            if self.seen.len() == INTERVAL as usize {
                self.seen.pop_front();
            }
            self.seen.push_back(Seen { time, bits });
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    fn params(&self) -> Option<&'static Params> {
        self.network?.params()
    }

    /// Whether the rules look at the blocks before.
    fn look_back(&self) -> bool {
        self.params()
            .is_some_and(|params| !params.no_pow_retargeting)
    }

    /// The target that the next block must name if it was made at that time; none if
    /// nothing tells.
    fn required(&self, time: u32) -> Option<u32> {
        let params = self.params()?;
        let limit = params.max_attainable_target.to_compact_lossy();
        let limit = limit.to_consensus();
        if params.no_pow_retargeting {
            return Some(limit);
        }
        let last = self.seen.back()?;
        if self.next.is_multiple_of(INTERVAL) {
            return self.retargeted(params);
        }
        if !params.allow_min_difficulty_blocks {
            return Some(last.bits);
        }
        // A block may be easy if it comes late; the next ones are as hard as before.
        let late = u64::from(last.time) + 2 * params.pow_target_spacing;
        if u64::from(time) > late {
            return Some(limit);
        }
        let heights = (0..self.next).rev();
        for (height, seen) in heights.zip(self.seen.iter().rev()) {
            if height.is_multiple_of(INTERVAL) || seen.bits != limit {
                return Some(seen.bits);
            }
        }
        None
    }

    /// The target of the next 2,016 blocks.
    fn retargeted(&self, params: &Params) -> Option<u32> {
        if self.seen.len() < INTERVAL as usize {
            return None;
        }
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        // The time of the last block may lie before that of the first.
        let timespan = last.time.saturating_sub(first.time);
        // Since BIP94 an easy block at the end changes nothing.
        let base = if self.network == Some(Network::Testnet4) {
            first.bits
        } else {
            last.bits
        };
        let base = CompactTarget::from_consensus(base);
        let next = CompactTarget::from_next_work_required(base, timespan.into(), params);
        Some(next.to_consensus())
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;

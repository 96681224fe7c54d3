//! Proof of work: targets, what meeting them takes, and whether a block meets its own.

use bitcoin::{CompactTarget, Target};
use metashrew_store::Chainwork;

use crate::block::{BlockFault, Header, RequiredTarget};
use crate::network::Network;

/// Checks that a header's hash meets the target that it names; on a named network
/// also that the target is not above the network's limit.
pub(crate) fn check(header: &Header, network: Option<Network>) -> Result<(), BlockFault> {
    let bits = header.bits;
    let no_work = BlockFault::NoWork { bits };
    let Some(target) = target(bits) else {
        return Err(no_work);
    };
    if let Some((network, params)) = network.and_then(|network| Some((network, network.params()?)))
        && target > params.max_attainable_target
    {
        let limit = params.max_attainable_target.to_compact_lossy();
        return Err(BlockFault::OtherTarget {
            found: bits,
            required: RequiredTarget::AtMost(limit.to_consensus()),
            network,
        });
    }
    let hash = Target::from_le_bytes(*header.hash.as_bytes());
    if hash <= target { Ok(()) } else { Err(no_work) }
}

/// The work that meeting a target takes, in hashes; none for what is no target, and for
/// more than 2^128, which no chain has: damaged headers may claim it.
pub(crate) fn work(bits: u32) -> Chainwork {
    let work = target(bits).map(|target| target.to_work().to_be_bytes());
    match work {
        Some(work) if work.iter().take(16).all(|byte| *byte == 0) => Chainwork::from_be_bytes(work),
        _ => Chainwork::ZERO,
    }
}

/// Whether that is a target in compact form.
pub(crate) fn is_target(bits: u32) -> bool {
    target(bits).is_some()
}

/// The target of that compact form; none if that is zero, negative, or more than 256
/// bits hold.
fn target(bits: u32) -> Option<Target> {
    let (size, mantissa) = (bits >> 24, bits & 0x00ff_ffff);
    let is_negative = mantissa & 0x0080_0000 != 0;
    let overflows = size > 34 || (size > 33 && mantissa > 0xff) || (size > 32 && mantissa > 0xffff);
    if is_negative || overflows {
        return None;
    }
    let target = Target::from_compact(CompactTarget::from_consensus(bits));
    (target != Target::ZERO).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_target_has_no_work() {
        for bits in [
            0,
            0x0080_0000,
            0x1d80_ffff,
            0x0100_0000,
            0x0200_0001,
            0xff7f_ffff,
            0x2300_0001,
            0x2200_0100,
            0x2101_0000,
        ] {
            assert_eq!(target(bits), None, "{bits:08x}");
            assert_eq!(work(bits), Chainwork::ZERO, "{bits:08x}");
        }
        for bits in [
            0x1d00_ffff,
            0x207f_ffff,
            0x2200_00ff,
            0x2100_ffff,
            0x0101_0000,
        ] {
            assert!(target(bits).is_some(), "{bits:08x}");
        }
    }

    #[test]
    fn work_is_counted_as_core_counts_it() {
        let number = |bits| u128::from_be_bytes(*work(bits).as_be_bytes().last_chunk().unwrap());
        assert_eq!(number(0x1d00_ffff), 0x1_0001_0001);
        assert_eq!(number(0x207f_ffff), 2);
        // Far above what a chain has.
        assert_eq!(work(0x0400_0001), Chainwork::ZERO);
    }
}

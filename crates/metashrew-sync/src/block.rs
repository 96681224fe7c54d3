//! Raw blocks: the check that a block is whole, is what was asked for, and carries
//! its work. Works on the bytes in place and allocates next to nothing.
//!
//! What passes is, byte for byte, what the chain committed to: its header hashes to
//! the block's hash, its transactions to the header's merkle root, its witnesses to
//! the coinbase's commitment, and each length is written in the one way that the
//! chain writes it. Only the proof of a merged-mined block is covered by nothing.

mod header;
mod transactions;

use metashrew_store::{BlockHash, Height};

use crate::auxpow;
use crate::bip34;
use crate::network::Network;
use crate::wire::Wire;
use crate::work;

pub(crate) use header::{HEADER_LEN, Header};
pub(crate) use transactions::{Transaction, is_coinbase_output};

use transactions::Transactions;

/// Bytes of a block at most; as in Core, far above what consensus allows.
pub(crate) const MAX_LEN: u32 = 0x0200_0000;

/// Why bytes are not the block they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// The header hashes to something else.
    #[error("block {asked} was asked for, block {found} came")]
    OtherBlock {
        /// The hash asked for.
        asked: BlockHash,
        /// The hash of what came.
        found: BlockHash,
    },
    /// The hash is above the target that the header names, or the header names none.
    #[error("the hash of the block does not meet its target ({bits:08x}): no work was done for it")]
    NoWork {
        /// The target in compact form.
        bits: u32,
    },
    /// The header names a target that the network's rules do not allow there.
    #[error(
        "the target of the block is {found:08x}, on {network} it must be {required}; if the network is another one with {network}'s genesis block, name it by its magic (`--magic`)"
    )]
    OtherTarget {
        /// The target in compact form.
        found: u32,
        /// What the rules demand, in compact form.
        required: RequiredTarget,
        /// The network.
        network: Network,
    },
    /// The bytes end before the block does, or hold what no block holds.
    #[error("the block is cut short or malformed near byte {offset} of {length}")]
    Malformed {
        /// About how far it could be read.
        offset: usize,
        /// How many bytes there are.
        length: usize,
    },
    /// There are bytes after the block's end.
    #[error("{extra} bytes follow the block's end")]
    TooLong {
        /// How many.
        extra: usize,
    },
    /// The first transaction is no coinbase.
    #[error("the first transaction is no coinbase")]
    NoCoinbase,
    /// The transactions are not those the header commits to.
    #[error("the transactions are not those the header commits to")]
    MerkleRoot,
    /// The witnesses are not those the coinbase commits to.
    #[error("the witnesses are not those the coinbase commits to")]
    Witnesses,
    /// There are no witnesses, and the coinbase commits to some.
    #[error(
        "the witnesses are missing: a node of Bitcoin Core before 28 leaves them out if it was started with `rpcserialversion=0`; start it without"
    )]
    Stripped,
}

/// What a header's target must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredTarget {
    /// This one.
    Exactly(u32),
    /// This one or a lower one.
    AtMost(u32),
}

impl std::fmt::Display for RequiredTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(bits) => write!(f, "{bits:08x}"),
            Self::AtMost(bits) => write!(f, "{bits:08x} or lower"),
        }
    }
}

/// What a block must keep to besides being whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Those of a network with a name, at a height, if it is known.
    Of(Network, Option<Height>),
    /// Nothing tells the network: the hash must meet the block's own target, unless
    /// it is merged-mined.
    Unknown,
    /// Another network, with a proof of work of its own.
    Other,
}

/// Whether segregated witness (BIP141) is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segwit {
    Active,
    Inactive,
    Unknown,
}

impl Rules {
    /// Those of a block of a source; only named networks have rules that are known.
    pub(crate) fn at(network: Option<Network>, height: Height) -> Self {
        Self::of(network, Some(height))
    }

    /// Those of a block of which nothing is known but what it says itself.
    pub(crate) fn alone(network: Option<Network>, block: &[u8]) -> Self {
        let header = Header::read(block);
        let height = header.and_then(|header| bip34::height(header.version, block));
        Self::of(network, height)
    }

    fn of(network: Option<Network>, height: Option<Height>) -> Self {
        match network {
            Some(network) if network.is_named() => Self::Of(network, height),
            _ => Self::Other,
        }
    }

    fn segwit(self) -> Segwit {
        let Self::Of(network, height) = self else {
            return Segwit::Unknown;
        };
        match (network.segwit_height(), height) {
            (Some(first), Some(height)) if height >= first => Segwit::Active,
            (Some(_), Some(_)) => Segwit::Inactive,
            _ => Segwit::Unknown,
        }
    }
}

/// Checks that the bytes are the whole block of that hash, every transaction and
/// witness as committed to, and that it keeps to the rules; answers its header.
///
/// A version that marks a merged-mined block may be a plain block's: miners of
/// Bitcoin roll the same bit (BIP320). Only one of the two readings fits the
/// merkle root, and none of the named networks is merged-mined.
pub(crate) fn check(block: &[u8], asked: &BlockHash, rules: Rules) -> Result<Header, BlockFault> {
    let header = Header::read(block).ok_or(BlockFault::Malformed {
        offset: block.len(),
        length: block.len(),
    })?;
    if header.hash != *asked {
        return Err(BlockFault::OtherBlock {
            asked: *asked,
            found: header.hash,
        });
    }
    if let Rules::Of(network, _) = rules {
        work::check(&header, Some(network))?;
    }
    let mut wire = Wire::new(block.get(HEADER_LEN..).unwrap_or_default());
    let segwit = rules.segwit();
    let plain = check_transactions(wire, &header, block.len(), segwit);
    if plain.is_err()
        && !matches!(rules, Rules::Of(..))
        && auxpow::is_marked(header.version)
        && auxpow::skip(&mut wire).is_some()
    {
        let merged = check_transactions(wire, &header, block.len(), segwit);
        if !matches!(merged, Err(BlockFault::Malformed { .. })) {
            return merged.map(|()| header);
        }
    }
    plain?;
    if rules == Rules::Unknown {
        work::check(&header, None)?;
    }
    Ok(header)
}

/// Checks that these are all the transactions a header commits to, and nothing
/// else; `length` is that of the whole block.
fn check_transactions(
    mut wire: Wire<'_>,
    header: &Header,
    length: usize,
    segwit: Segwit,
) -> Result<(), BlockFault> {
    let transactions = Transactions::read(&mut wire).ok_or_else(|| BlockFault::Malformed {
        offset: length - wire.left(),
        length,
    })?;
    if wire.left() > 0 {
        return Err(BlockFault::TooLong { extra: wire.left() });
    }
    transactions.check(&header.merkle_root, segwit)
}

#[cfg(test)]
#[path = "block/tests.rs"]
mod tests;

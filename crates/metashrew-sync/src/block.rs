//! Raw blocks: the header's facts, and the check that a block is whole and is
//! what was asked for. Works on the bytes in place and allocates next to nothing.

use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{CompactTarget, Target};
use metashrew_store::{BlockHash, Chainwork};

use crate::auxpow;
use crate::wire::Wire;

/// Bytes of a block header.
pub(crate) const HEADER_LEN: usize = 80;

/// Bytes of a block at most; as in Core, far above what consensus allows.
pub(crate) const MAX_LEN: u32 = 0x0200_0000;

/// Marks the coinbase output that commits to the witnesses (BIP141).
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: i32,
    pub(crate) parent: BlockHash,
    pub(crate) merkle_root: [u8; 32],
    /// When it was made, as its miner says, in seconds since 1970.
    pub(crate) time: u32,
    /// The target, in compact form.
    pub(crate) bits: u32,
    pub(crate) hash: BlockHash,
}

impl Header {
    /// Reads the header a block begins with, if the bytes reach that far.
    pub(crate) fn read(block: &[u8]) -> Option<Self> {
        let mut wire = Wire::new(block);
        let version = wire.array().map(i32::from_le_bytes)?;
        let parent = BlockHash::from_bytes(wire.array()?);
        let merkle_root = wire.array()?;
        let time = wire.array().map(u32::from_le_bytes)?;
        let bits = wire.array().map(u32::from_le_bytes)?;
        let _nonce: [u8; 4] = wire.array()?;
        let hash = sha256d::Hash::hash(block.get(..HEADER_LEN)?);
        Some(Self {
            version,
            parent,
            merkle_root,
            time,
            bits,
            hash: BlockHash::from_bytes(hash.to_byte_array()),
        })
    }
}

/// The work that meeting the target `bits` takes.
pub(crate) fn work(bits: u32) -> Chainwork {
    let target = Target::from_compact(CompactTarget::from_consensus(bits));
    Chainwork::from_be_bytes(target.to_work().to_be_bytes())
}

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
    /// The transactions are not those the header commits to.
    #[error("the transactions are not those the header commits to")]
    MerkleRoot,
    /// The witnesses are not those the coinbase commits to.
    #[error("the witnesses are not those the coinbase commits to")]
    Witnesses,
}

/// Checks that the bytes are the whole block of that hash, every transaction
/// and witness as committed to, and answers its header.
///
/// A version that marks a merged-mined block may be a plain block's: miners of
/// Bitcoin roll the same bit (BIP320). Only one of the two readings fits the
/// merkle root.
pub(crate) fn check(block: &[u8], asked: &BlockHash) -> Result<Header, BlockFault> {
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
    let mut wire = Wire::new(block.get(HEADER_LEN..).unwrap_or_default());
    let plain = check_transactions(wire, &header, block.len());
    if plain.is_err() && auxpow::is_marked(header.version) && auxpow::skip(&mut wire).is_some() {
        let merged = check_transactions(wire, &header, block.len());
        if !matches!(merged, Err(BlockFault::Malformed { .. })) {
            return merged.map(|()| header);
        }
    }
    plain.map(|()| header)
}

/// Checks that these are all the transactions a header commits to, and nothing
/// else; `length` is that of the whole block.
fn check_transactions(
    mut wire: Wire<'_>,
    header: &Header,
    length: usize,
) -> Result<(), BlockFault> {
    let transactions = Transactions::read(&mut wire).ok_or_else(|| BlockFault::Malformed {
        offset: length - wire.left(),
        length,
    })?;
    if wire.left() > 0 {
        return Err(BlockFault::TooLong { extra: wire.left() });
    }
    if merkle_root(transactions.txids) != Some(header.merkle_root) {
        return Err(BlockFault::MerkleRoot);
    }
    match transactions.commitment {
        Some((commitment, reserved)) => {
            let root = merkle_root(transactions.wtxids).unwrap_or_default();
            if hash_of(&[&root, &reserved]) != commitment {
                return Err(BlockFault::Witnesses);
            }
        }
        None if transactions.any_witness => return Err(BlockFault::Witnesses),
        None => {}
    }
    Ok(())
}

/// The hashes of a block's transactions.
#[derive(Default)]
struct Transactions {
    txids: Vec<[u8; 32]>,
    /// The coinbase's is zero.
    wtxids: Vec<[u8; 32]>,
    any_witness: bool,
    /// The coinbase's witness commitment, and its reserved value.
    commitment: Option<([u8; 32], [u8; 32])>,
}

impl Transactions {
    fn read(wire: &mut Wire<'_>) -> Option<Self> {
        let count = wire.compact()?;
        let mut transactions = Self::default();
        for index in 0..count {
            let transaction = Transaction::read(wire)?;
            let txid = hash_of(&[transaction.version, transaction.body, transaction.lock_time]);
            transactions.txids.push(txid);
            transactions.any_witness |= transaction.has_witness;
            let wtxid = match (index, transaction.has_witness) {
                (0, _) => {
                    transactions.commitment = transaction.commitment.zip(transaction.reserved);
                    [0; 32]
                }
                (_, true) => hash_of(&[transaction.whole]),
                (_, false) => txid,
            };
            transactions.wtxids.push(wtxid);
        }
        Some(transactions)
    }
}

/// One transaction's parts, in place.
pub(crate) struct Transaction<'a> {
    whole: &'a [u8],
    version: &'a [u8],
    /// Inputs and outputs.
    body: &'a [u8],
    lock_time: &'a [u8],
    has_witness: bool,
    /// The last commitment to witnesses among the outputs.
    commitment: Option<[u8; 32]>,
    /// The first witness element of the first input, if it has 32 bytes.
    reserved: Option<[u8; 32]>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn read(wire: &mut Wire<'a>) -> Option<Self> {
        let start = *wire;
        let version = wire.take(4)?;
        // A marker of 0 where the number of inputs would be, and a flag of 1,
        // say that witnesses follow (BIP144).
        let has_witness = wire.peek(2) == Some(&[0, 1]);
        if has_witness {
            wire.take(2)?;
        }
        let body_start = *wire;
        let inputs = wire.compact()?;
        for _ in 0..inputs {
            wire.take(36)?;
            wire.sized()?;
            wire.take(4)?;
        }
        let mut commitment = None;
        for _ in 0..wire.compact()? {
            wire.take(8)?;
            let script = wire.sized()?;
            if let Some(rest) = script.strip_prefix(&COMMITMENT) {
                commitment = rest.first_chunk().copied().or(commitment);
            }
        }
        let body = body_start.until(wire);
        let mut reserved = None;
        if has_witness {
            for input in 0..inputs {
                for element in 0..wire.compact()? {
                    let bytes = wire.sized()?;
                    if (input, element) == (0, 0) {
                        reserved = bytes.try_into().ok();
                    }
                }
            }
        }
        let lock_time = wire.take(4)?;
        Some(Self {
            whole: start.until(wire),
            version,
            body,
            lock_time,
            has_witness,
            commitment,
            reserved,
        })
    }
}

/// The double SHA-256 of the parts, one after the other.
fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut engine = sha256d::Hash::engine();
    for part in parts {
        engine.input(part);
    }
    sha256d::Hash::from_engine(engine).to_byte_array()
}

/// The root over hashes; none if there are no hashes, or two equal ones side by
/// side, which would let another list of transactions have the same root
/// (CVE-2012-2459).
fn merkle_root(mut hashes: Vec<[u8; 32]>) -> Option<[u8; 32]> {
    while hashes.len() > 1 {
        let mut next = Vec::with_capacity(hashes.len().div_ceil(2));
        for pair in hashes.chunks(2) {
            match pair {
                [left, right] if left == right => return None,
                [left, right] => next.push(hash_of(&[left, right])),
                [last] => next.push(hash_of(&[last, last])),
                _ => {}
            }
        }
        hashes = next;
    }
    hashes.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_another_list_shares_is_no_root() {
        let [first, second, third] = [1, 2, 3].map(|byte| [byte; 32]);
        let pair = |left: &[u8; 32], right: &[u8; 32]| hash_of(&[left, right]);
        let root = pair(&pair(&first, &second), &pair(&third, &third));
        assert_eq!(merkle_root(vec![first, second, third]), Some(root));
        assert_eq!(merkle_root(vec![first, second, third, third]), None);
        assert_eq!(merkle_root(vec![first]), Some(first));
        assert_eq!(merkle_root(Vec::new()), None);
    }

    #[test]
    fn lengths_beyond_the_bytes_are_malformed() {
        let mut block = vec![0; HEADER_LEN];
        block.extend([0xff; 9]);
        let hash = Header::read(&block).unwrap().hash;
        let fault = check(&block, &hash).unwrap_err();
        assert_eq!(
            fault,
            BlockFault::Malformed {
                offset: 89,
                length: 89
            }
        );
        assert_eq!(
            check(&block[..79], &hash).unwrap_err(),
            BlockFault::Malformed {
                offset: 79,
                length: 79
            }
        );
    }
}

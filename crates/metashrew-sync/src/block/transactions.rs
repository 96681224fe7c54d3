//! The transactions of a block, read in place, and whether they are those that its
//! header and its coinbase commit to.

use bitcoin::hashes::{Hash, HashEngine, sha256d};

use super::{BlockFault, Segwit};
use crate::wire::Wire;

/// Marks the coinbase output that commits to the witnesses (BIP141).
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Bytes of an input's reference to the output that it spends.
const OUTPOINT_LEN: usize = 36;

/// Whether an input refers to the output that only a coinbase seems to spend.
pub(crate) fn is_coinbase_output(outpoint: &[u8]) -> bool {
    outpoint.len() == OUTPOINT_LEN
        && outpoint
            .split_at_checked(32)
            .is_some_and(|(txid, index)| txid == [0; 32] && index == [0xff; 4])
}

/// The hashes of a block's transactions.
#[derive(Default)]
pub(super) struct Transactions {
    txids: Vec<[u8; 32]>,
    /// The coinbase's is zero.
    wtxids: Vec<[u8; 32]>,
    any_witness: bool,
    coinbase: Coinbase,
}

/// What the first transaction says of the block's witnesses.
#[derive(Default)]
struct Coinbase {
    /// Whether it is a coinbase at all.
    is_one: bool,
    /// Whether it has a witness itself.
    has_witness: bool,
    /// Its commitment to the witnesses.
    commitment: Option<[u8; 32]>,
    /// What its own witness adds to the commitment.
    reserved: Option<[u8; 32]>,
}

impl Transactions {
    /// None if that is not how the chain writes any transactions.
    pub(super) fn read(wire: &mut Wire<'_>) -> Option<Self> {
        let count = wire.compact()?;
        let mut transactions = Self::default();
        for index in 0..count {
            let transaction = Transaction::read(wire)?;
            let txid = hash_of(&[transaction.version, transaction.body, transaction.lock_time]);
            transactions.txids.push(txid);
            transactions.any_witness |= transaction.has_witness;
            let wtxid = match (index, transaction.has_witness) {
                (0, has_witness) => {
                    transactions.coinbase = Coinbase {
                        is_one: transaction.is_coinbase,
                        has_witness,
                        commitment: transaction.commitment,
                        reserved: transaction.reserved,
                    };
                    [0; 32]
                }
                (_, true) => hash_of(&[transaction.whole]),
                (_, false) => txid,
            };
            transactions.wtxids.push(wtxid);
        }
        Some(transactions)
    }

    /// Checks what the header's merkle root and the coinbase commit to.
    ///
    /// A first transaction that is no coinbase may be an inner node of the merkle
    /// tree, passed off as one (64 bytes are enough); a coinbase cannot.
    pub(super) fn check(self, root: &[u8; 32], segwit: Segwit) -> Result<(), BlockFault> {
        if merkle_root(self.txids) != Some(*root) {
            return Err(BlockFault::MerkleRoot);
        }
        if !self.coinbase.is_one {
            return Err(BlockFault::NoCoinbase);
        }
        // Before activation an output that looks like a commitment means nothing.
        let commitment = self.coinbase.commitment;
        let Some(commitment) = commitment.filter(|_| segwit != Segwit::Inactive) else {
            return if self.any_witness {
                Err(BlockFault::Witnesses)
            } else {
                Ok(())
            };
        };
        let mismatch = if self.any_witness {
            BlockFault::Witnesses
        } else {
            BlockFault::Stripped
        };
        let reserved = match (self.coinbase.has_witness, self.coinbase.reserved) {
            (true, Some(reserved)) => reserved,
            // Where it may be that there are no witnesses yet, none of them can be
            // missing if the commitment fits.
            (false, _) if segwit == Segwit::Unknown => [0; 32],
            _ => return Err(mismatch),
        };
        let root = merkle_root(self.wtxids).unwrap_or_default();
        if hash_of(&[&root, &reserved]) == commitment {
            Ok(())
        } else {
            Err(mismatch)
        }
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
    is_coinbase: bool,
    /// The last commitment to witnesses among the outputs.
    commitment: Option<[u8; 32]>,
    /// The only witness element of the first input, if it has 32 bytes.
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
        let inputs = wire.compact().filter(|inputs| *inputs > 0)?;
        let mut is_coinbase = false;
        for _ in 0..inputs {
            let outpoint = wire.take(OUTPOINT_LEN)?;
            is_coinbase = inputs == 1 && is_coinbase_output(outpoint);
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
            read_witnesses(wire, inputs, &mut reserved)?;
        }
        let lock_time = wire.take(4)?;
        Some(Self {
            whole: start.until(wire),
            version,
            body,
            lock_time,
            has_witness,
            is_coinbase,
            commitment,
            reserved,
        })
    }
}

/// Passes over the witnesses of so many inputs, and takes the only element of the
/// first one, if it has 32 bytes. None if all are empty: such a transaction is written
/// without them.
fn read_witnesses(wire: &mut Wire<'_>, inputs: u64, reserved: &mut Option<[u8; 32]>) -> Option<()> {
    let mut is_empty = true;
    for input in 0..inputs {
        let elements = wire.compact()?;
        is_empty &= elements == 0;
        for _ in 0..elements {
            let bytes = wire.sized()?;
            if (input, elements) == (0, 1) {
                *reserved = bytes.try_into().ok();
            }
        }
    }
    (!is_empty).then_some(())
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
}

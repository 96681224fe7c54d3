//! Blocks of chains that are mined along with another one (AuxPoW): between the
//! header and the transactions stands the proof that the other chain's block names
//! this one. It says nothing of the block's own contents, and is passed over.

use crate::block::{HEADER_LEN, Transaction};
use crate::wire::Wire;

/// The bit of a version that says that a proof follows the header.
const VERSION_AUXPOW: i32 = 0x100;

/// Whether a version says that a proof follows. Bitcoin's miners set the bit as well,
/// to no purpose but to have more headers to try.
pub(crate) fn is_marked(version: i32) -> bool {
    version & VERSION_AUXPOW != 0
}

/// Passes over a proof: the other block's coinbase and hash, the way from the coinbase
/// to its merkle root, the way from this block's hash to the root in the coinbase, and
/// the other block's header.
pub(crate) fn skip(wire: &mut Wire<'_>) -> Option<()> {
    Transaction::read(wire)?;
    wire.take(32)?;
    skip_branch(wire)?;
    skip_branch(wire)?;
    wire.take(HEADER_LEN)?;
    Some(())
}

/// Hashes with their number before them, and a bit for the side of each.
fn skip_branch(wire: &mut Wire<'_>) -> Option<()> {
    let count = usize::try_from(wire.compact()?).ok()?;
    wire.take(count.checked_mul(32)?)?;
    wire.take(4)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use bitcoin::block::Version;
    use bitcoin::consensus::encode::serialize;
    use bitcoin::constants::genesis_block;
    use bitcoin::hashes::Hash;
    use bitcoin::{Block, Network};
    use metashrew_store::BlockHash;

    use crate::block::{self, BlockFault, Header, Rules};

    fn check(block: &[u8], asked: &BlockHash) -> Result<Header, BlockFault> {
        block::check(block, asked, Rules::Other)
    }

    /// The versions of merged-mined blocks: Dogecoin's, Luckycoin's.
    const MARKED: [i32; 2] = [0x62_0104, 0x14_0104];

    fn hash_of(block: &Block) -> BlockHash {
        BlockHash::from_bytes(block.block_hash().to_byte_array())
    }

    /// A block of that version, and its bytes without and with a proof of `hashes`
    /// steps.
    fn blocks(version: i32, hashes: u8) -> (BlockHash, Vec<u8>, Vec<u8>) {
        let mut block = genesis_block(Network::Bitcoin);
        block.header.version = Version::from_consensus(version);
        let parent = genesis_block(Network::Testnet);
        let branch = |count: u8| {
            let hashes = vec![7; 32 * usize::from(count)];
            [&[count][..], &hashes, &1_i32.to_le_bytes()].concat()
        };
        let proof = [
            serialize(&parent.txdata[0]),
            serialize(&parent.block_hash()),
            branch(hashes),
            branch(hashes / 2),
            serialize(&parent.header),
        ]
        .concat();
        let (header, transactions) = (serialize(&block.header), serialize(&block.txdata));
        let merged = [&header[..], &proof, &transactions].concat();
        (hash_of(&block), serialize(&block), merged)
    }

    #[test]
    fn merged_mined_blocks_are_checked_like_others() {
        for (version, hashes) in MARKED.into_iter().zip([0, 12]) {
            let (hash, _, merged) = blocks(version, hashes);
            assert_eq!(check(&merged, &hash).unwrap().hash, hash);

            let mut other = merged.clone();
            let lock_time = other.len() - 1;
            other[lock_time] ^= 1;
            assert_eq!(check(&other, &hash), Err(BlockFault::MerkleRoot));

            let longer = [&merged[..], &[0]].concat();
            assert_eq!(check(&longer, &hash), Err(BlockFault::TooLong { extra: 1 }));
            for length in 80..merged.len() {
                assert!(check(&merged[..length], &hash).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn plain_blocks_with_the_same_bit_are_plain() {
        // As rolled by miners of Bitcoin, and as before there were such bits.
        for version in [0x2000_0100, 0x3fff_e104, 0x2062_0104, 0x104, 0x62_0104] {
            let (hash, plain, _) = blocks(version, 0);
            assert_eq!(check(&plain, &hash).unwrap().version, version);
            let longer = [&plain[..], &[0]].concat();
            assert_eq!(check(&longer, &hash), Err(BlockFault::TooLong { extra: 1 }));
        }
    }

    #[test]
    fn a_proof_without_the_bit_is_not_passed_over() {
        let (hash, _, merged) = blocks(0x2000_0000, 3);
        assert!(check(&merged, &hash).is_err());
    }
}

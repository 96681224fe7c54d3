//! Blocks of chains that are mined along with another one (AuxPoW): Dogecoin,
//! Luckycoin, Bells. A block whose version says so carries, between its header
//! and its transactions, the proof that the other chain's block names it.

use crate::utils::{consensus_decode, consume_sized_int, consume_varint};
use anyhow::Result;
use bitcoin::block::{Header, Version};
use bitcoin::{Block, BlockHash, CompactTarget, Transaction, TxMerkleNode};
use std::io::Cursor;

/// The bit of a version that says the proof of work is another chain's.
pub const VERSION_AUXPOW: u32 = 0x100;
/// The bit of a version that says the block is by proof of stake.
pub const VERSION_POS_START: u32 = 0x200;
/// The chain's id stands from this bit on.
pub const VERSION_CHAIN_START: u32 = 0x1_0000;
/// The chain id of the block files this was first written for.
pub const VERSION_CHAIN_ID: u32 = 20;

/// A block's version.
///
/// ```
/// use metashrew_support::block::AuxpowVersion;
///
/// let version = AuxpowVersion::new(0x0062_0104); // Dogecoin's
/// assert_eq!((version.chain_id(), version.base_version()), (0x62, 4));
/// assert!(version.is_auxpow());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuxpowVersion(u32);

impl AuxpowVersion {
    /// The version as the header has it.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert!(!AuxpowVersion::new(4).is_auxpow());
    /// ```
    pub fn new(v: u32) -> Self {
        Self(v)
    }

    /// The version as the header has it.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert_eq!(AuxpowVersion::new(0x0062_0104).unwrap(), 0x0062_0104);
    /// ```
    pub fn unwrap(&self) -> u32 {
        self.0
    }

    /// The version without flags and chain id.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert_eq!(AuxpowVersion::new(0x0062_0104).base_version(), 4);
    /// ```
    pub fn base_version(&self) -> u32 {
        self.0 % VERSION_AUXPOW
    }

    /// Which chain the block belongs to.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert_eq!(AuxpowVersion::new(0x0062_0104).chain_id(), 0x62);
    /// ```
    pub fn chain_id(&self) -> u32 {
        self.0 / VERSION_CHAIN_START
    }

    /// Whether another chain's proof of work follows the header.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert!(AuxpowVersion::new(VERSION_AUXPOW | 4).is_auxpow());
    /// ```
    pub fn is_auxpow(&self) -> bool {
        self.0 & VERSION_AUXPOW != 0
    }

    /// Whether the block is by proof of stake.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert!(AuxpowVersion::new(VERSION_POS_START | 4).is_proof_of_stake());
    /// ```
    pub fn is_proof_of_stake(&self) -> bool {
        self.0 & VERSION_POS_START != 0
    }

    /// Whether the version is from before such flags.
    ///
    /// ```
    /// # use metashrew_support::block::{AuxpowVersion, VERSION_AUXPOW, VERSION_POS_START};
    /// assert!(AuxpowVersion::new(2).is_legacy());
    /// assert!(!AuxpowVersion::new(VERSION_AUXPOW | 2).is_legacy());
    /// ```
    pub fn is_legacy(&self) -> bool {
        self.0 < VERSION_AUXPOW
    }
}

/// The same 32 bits, read as a signed number.
fn signed(bits: u32) -> i32 {
    i32::from_le_bytes(bits.to_le_bytes())
}

impl From<AuxpowVersion> for Version {
    fn from(version: AuxpowVersion) -> Self {
        Self::from_consensus(signed(version.0))
    }
}

/// The proof that another chain's block names this one.
///
/// ```
/// # use std::io::Cursor;
/// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
/// use metashrew_support::block::AuxpowBlock;
///
/// let block = AuxpowBlock::parse(&mut Cursor::new(bytes))?;
/// let proof = block.header.auxpow.unwrap();
/// assert!(proof.coinbase_txn.is_coinbase());
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auxpow {
    /// The other block's coinbase, which holds this block's hash.
    pub coinbase_txn: Transaction,
    /// The other block's hash, as this block's miner gives it.
    pub block_hash: BlockHash,
    /// The way from the coinbase to the other block's merkle root.
    pub coinbase_branch: AuxpowMerkleBranch,
    /// The way from this block's hash to the root in the coinbase.
    pub blockchain_branch: AuxpowMerkleBranch,
    /// The other block's header.
    pub parent_block: AuxpowHeader,
}

impl Auxpow {
    /// Reads a proof.
    ///
    /// ```
    /// # use std::io::Cursor;
    /// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
    /// use metashrew_support::block::Auxpow;
    ///
    /// let mut cursor = Cursor::new(bytes);
    /// cursor.set_position(80); // Behind the header.
    /// assert_eq!(Auxpow::parse(&mut cursor)?.parent_block.auxpow, None);
    /// # anyhow::Ok(())
    /// ```
    pub fn parse(cursor: &mut Cursor<Vec<u8>>) -> Result<Self> {
        Ok(Self {
            coinbase_txn: consensus_decode(cursor)?,
            block_hash: consensus_decode(cursor)?,
            coinbase_branch: AuxpowMerkleBranch::parse(cursor)?,
            blockchain_branch: AuxpowMerkleBranch::parse(cursor)?,
            parent_block: AuxpowHeader::parse_without_auxpow(cursor)?,
        })
    }
}

/// A header, with the other chain's proof if it has one.
///
/// ```
/// # use std::io::Cursor;
/// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
/// use metashrew_support::block::AuxpowHeader;
///
/// let header = AuxpowHeader::parse(&mut Cursor::new(bytes))?;
/// assert_eq!((header.version.chain_id(), header.time), (98, 1_231_006_505));
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuxpowHeader {
    /// The version, with its flags.
    pub version: AuxpowVersion,
    /// The block before.
    pub prev_blockhash: BlockHash,
    /// The root of the transactions.
    pub merkle_root: TxMerkleNode,
    /// Seconds since 1970.
    pub time: u32,
    /// The target.
    pub bits: CompactTarget,
    /// The nonce.
    pub nonce: u32,
    /// The other chain's proof.
    pub auxpow: Option<Box<Auxpow>>,
}

impl AuxpowHeader {
    /// Reads a header, and the proof behind it if the version says so.
    ///
    /// ```
    /// # use std::io::Cursor;
    /// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
    /// use metashrew_support::block::AuxpowHeader;
    ///
    /// let header = AuxpowHeader::parse(&mut Cursor::new(bytes))?;
    /// assert!(header.version.is_auxpow() && header.auxpow.is_some());
    /// # anyhow::Ok(())
    /// ```
    pub fn parse(cursor: &mut Cursor<Vec<u8>>) -> Result<Self> {
        let mut header = Self::parse_without_auxpow(cursor)?;
        if header.version.is_auxpow() {
            header.auxpow = Some(Box::new(Auxpow::parse(cursor)?));
        }
        Ok(header)
    }

    /// Reads the 80 bytes of a header.
    ///
    /// ```
    /// # use std::io::Cursor;
    /// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
    /// use metashrew_support::block::AuxpowHeader;
    ///
    /// let mut cursor = Cursor::new(bytes);
    /// let header = AuxpowHeader::parse_without_auxpow(&mut cursor)?;
    /// assert_eq!((header.auxpow, cursor.position()), (None, 80));
    /// # anyhow::Ok(())
    /// ```
    pub fn parse_without_auxpow(cursor: &mut Cursor<Vec<u8>>) -> Result<Self> {
        Ok(Self {
            version: AuxpowVersion(consume_sized_int(cursor)?),
            prev_blockhash: consensus_decode(cursor)?,
            merkle_root: consensus_decode(cursor)?,
            time: consume_sized_int(cursor)?,
            bits: CompactTarget::from_consensus(consume_sized_int(cursor)?),
            nonce: consume_sized_int(cursor)?,
            auxpow: None,
        })
    }
}

impl From<AuxpowHeader> for Header {
    fn from(header: AuxpowHeader) -> Self {
        Self {
            version: header.version.into(),
            prev_blockhash: header.prev_blockhash,
            merkle_root: header.merkle_root,
            time: header.time,
            bits: header.bits,
            nonce: header.nonce,
        }
    }
}

/// A block of such a chain.
///
/// ```
/// # use std::io::Cursor;
/// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
/// use metashrew_support::block::AuxpowBlock;
///
/// let block = AuxpowBlock::parse(&mut Cursor::new(bytes))?;
/// assert_eq!(block.txdata.len(), 1);
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuxpowBlock {
    /// The header and the proof.
    pub header: AuxpowHeader,
    /// The transactions.
    pub txdata: Vec<Transaction>,
}

impl AuxpowBlock {
    /// Reads a block.
    ///
    /// ```
    /// # use std::io::Cursor;
    /// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
    /// use metashrew_support::block::AuxpowBlock;
    ///
    /// assert!(AuxpowBlock::parse(&mut Cursor::new(bytes)).is_ok());
    /// assert!(AuxpowBlock::parse(&mut Cursor::new(Vec::new())).is_err());
    /// ```
    pub fn parse(cursor: &mut Cursor<Vec<u8>>) -> Result<Self> {
        let header = AuxpowHeader::parse(cursor)?;
        let count = consume_varint(cursor)?;
        let txdata = (0..count)
            .map(|_| consensus_decode(cursor))
            .collect::<Result<_>>()?;
        Ok(Self { header, txdata })
    }

    /// The block without the proof.
    ///
    /// ```
    /// # use std::io::Cursor;
    /// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
    /// use metashrew_support::block::AuxpowBlock;
    ///
    /// let block = AuxpowBlock::parse(&mut Cursor::new(bytes))?.to_consensus();
    /// assert!(block.check_merkle_root());
    /// # anyhow::Ok(())
    /// ```
    pub fn to_consensus(&self) -> Block {
        Block {
            header: self.header.clone().into(),
            txdata: self.txdata.clone(),
        }
    }
}

/// The way from a leaf to a merkle root.
///
/// ```
/// # use std::io::Cursor;
/// # let bytes = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/auxpow.rs"));
/// use metashrew_support::block::AuxpowHeader;
///
/// let proof = AuxpowHeader::parse(&mut Cursor::new(bytes))?.auxpow.unwrap();
/// assert_eq!(proof.coinbase_branch.branch_hash.len(), 1);
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuxpowMerkleBranch {
    /// How many hashes there are.
    pub branch_length: u64,
    /// The hashes beside the way, from the leaf up.
    pub branch_hash: Vec<BlockHash>,
    /// On which side each stands: a bit each.
    pub branch_side_mask: i32,
}

impl AuxpowMerkleBranch {
    /// Reads a branch.
    ///
    /// ```
    /// use metashrew_support::block::AuxpowMerkleBranch;
    ///
    /// let bytes = [&[1][..], &[7; 32], &[1, 0, 0, 0]].concat();
    /// let branch = AuxpowMerkleBranch::parse(&mut std::io::Cursor::new(bytes))?;
    /// assert_eq!((branch.branch_length, branch.branch_side_mask), (1, 1));
    /// # anyhow::Ok(())
    /// ```
    pub fn parse(cursor: &mut Cursor<Vec<u8>>) -> Result<Self> {
        let branch_length = consume_varint(cursor)?;
        let hashes = (0..branch_length).map(|_| consensus_decode(cursor));
        Ok(Self {
            branch_length,
            branch_hash: hashes.collect::<Result<_>>()?,
            branch_side_mask: signed(consume_sized_int::<u32>(cursor)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::Network;
    use bitcoin::consensus::serialize;
    use bitcoin::constants::genesis_block;
    use bitcoin::hashes::Hash;

    /// A block with a proof, put together by hand from two genesis blocks.
    fn auxpow_block() -> (Block, Block, Vec<u8>) {
        let mut block = genesis_block(Network::Bitcoin);
        block.header.version = Version::from_consensus((20 << 16) | 0x104);
        let parent = genesis_block(Network::Testnet);
        let transactions = serialize(&block.txdata);
        let branch = |hashes: &[[u8; 32]], side: i32| {
            let count = [u8::try_from(hashes.len()).unwrap()];
            [&count[..], &hashes.concat(), &side.to_le_bytes()].concat()
        };
        let bytes = [
            serialize(&block.header),
            serialize(&parent.txdata[0]),
            serialize(&parent.block_hash()),
            branch(&[[1; 32], [2; 32]], -1),
            branch(&[], 0),
            serialize(&parent.header),
            transactions,
        ]
        .concat();
        (block, parent, bytes)
    }

    #[test]
    fn a_block_with_a_proof_is_read_whole() {
        let (block, parent, bytes) = auxpow_block();
        let mut cursor = Cursor::new(bytes);
        let read = AuxpowBlock::parse(&mut cursor).unwrap();
        assert!(crate::utils::is_empty(&mut cursor));
        assert_eq!(read.to_consensus(), block);
        let proof = read.header.auxpow.as_ref().unwrap();
        assert_eq!(proof.coinbase_txn, parent.txdata[0]);
        assert_eq!(proof.block_hash, parent.block_hash());
        assert_eq!(Header::from(proof.parent_block.clone()), parent.header);
        let hashes = [1, 2].map(|byte| BlockHash::from_byte_array([byte; 32]));
        assert_eq!(proof.coinbase_branch.branch_hash, hashes);
        assert_eq!(proof.coinbase_branch.branch_side_mask, -1);
        assert_eq!(proof.blockchain_branch.branch_length, 0);
    }

    #[test]
    fn a_block_without_a_proof_is_read_as_bitcoins() {
        for network in [Network::Bitcoin, Network::Regtest] {
            let block = genesis_block(network);
            let read = AuxpowBlock::parse(&mut Cursor::new(serialize(&block))).unwrap();
            assert_eq!(read.to_consensus(), block);
            assert_eq!(read.header.auxpow, None);
        }
    }

    #[test]
    fn a_block_cut_anywhere_is_an_error() {
        let (_, _, bytes) = auxpow_block();
        for length in 0..bytes.len() {
            let cut = bytes[..length].to_vec();
            assert!(
                AuxpowBlock::parse(&mut Cursor::new(cut)).is_err(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn a_false_count_allocates_nothing_of_that_size() {
        let branch = [&[0xff; 9][..], &[0; 64]].concat();
        assert!(AuxpowMerkleBranch::parse(&mut Cursor::new(branch)).is_err());
    }

    #[test]
    fn a_version_is_flags_and_a_chain() {
        let version = AuxpowVersion::new((98 << 16) | VERSION_AUXPOW | 4);
        assert_eq!((version.base_version(), version.chain_id()), (4, 98));
        assert!(version.is_auxpow() && !version.is_proof_of_stake() && !version.is_legacy());
        assert!(AuxpowVersion::new(VERSION_POS_START).is_proof_of_stake());
        assert!(AuxpowVersion::new(2).is_legacy());
        let negative = AuxpowVersion::new(u32::MAX);
        assert_eq!(Version::from(negative).to_consensus(), -1);
        assert_eq!(negative.unwrap(), u32::MAX);
    }
}

//! Builds a block around transactions, so that a guest can index what nobody has
//! mined yet.
//!
//! The block holds to every rule that an indexer can check but one: there is no
//! proof of work.

use std::collections::BTreeSet;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{self, deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::opcodes::OP_0;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Witness, transaction,
};
use metashrew_store::{BlockHash, Height};

/// The signal-nothing version of blocks since BIP9.
const VERSION: i32 = 0x2000_0000;

/// The easiest target there is (regtest's), in compact form.
const BITS: u32 = 0x207f_ffff;

/// What stands before the witness commitment in the coinbase's output (BIP141).
const COMMITMENT: [u8; 4] = [0xaa, 0x21, 0xa9, 0xed];

/// The frame that [`assemble_block`] puts transactions in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockFrame {
    /// The hash of the block to build upon.
    pub parent: BlockHash,
    /// The height of the block to build, one above its parent's.
    pub height: Height,
    /// Seconds since 1970.
    pub time: u32,
    /// The header's version. Default: `0x20000000`.
    pub version: i32,
    /// The header's target in compact form. Default: `0x207fffff`, regtest's.
    pub bits: u32,
}

impl BlockFrame {
    /// A frame on top of the block `parent`, with the other members' defaults.
    pub fn new(parent: BlockHash, height: Height, time: u32) -> Self {
        Self {
            parent,
            height,
            time,
            version: VERSION,
            bits: BITS,
        }
    }
}

/// Transactions that make no block.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The bytes are not a transaction, or more than one.
    #[error("transaction {index} cannot be decoded")]
    Undecodable {
        /// Its place among those given, from 0.
        index: usize,
        /// Why.
        #[source]
        source: encode::Error,
    },
    /// It is a coinbase; the block has one already.
    #[error("transaction {index} is a coinbase")]
    Coinbase {
        /// Its place among those given, from 0.
        index: usize,
    },
    /// It was given before.
    #[error("transaction {index} is there twice")]
    Duplicate {
        /// The place of the second one among those given, from 0.
        index: usize,
    },
}

impl AssembleError {
    /// The place of the transaction at fault among those given, from 0.
    pub fn index(&self) -> usize {
        match self {
            Self::Undecodable { index, .. }
            | Self::Coinbase { index }
            | Self::Duplicate { index } => *index,
        }
    }
}

/// A block of a coinbase and `transactions`, consensus-encoded, in the order given:
/// one that spends another's output must come after it.
///
/// The coinbase has the block's height (BIP34), commits to the witnesses if there
/// are any (BIP141), and pays nobody: what the transactions pay for being mined is
/// not known here. Merkle root and parent are right; work is not done.
///
/// # Errors
/// If one of `transactions` is none, is a coinbase, or is there twice.
pub fn assemble_block<T: AsRef<[u8]>>(
    frame: &BlockFrame,
    transactions: &[T],
) -> Result<Vec<u8>, AssembleError> {
    let mut txdata = Vec::with_capacity(transactions.len() + 1);
    txdata.push(coinbase(frame.height));
    let mut seen = BTreeSet::new();
    for (index, raw) in transactions.iter().enumerate() {
        let transaction: Transaction = deserialize(raw.as_ref())
            .map_err(|source| AssembleError::Undecodable { index, source })?;
        if transaction.is_coinbase() {
            return Err(AssembleError::Coinbase { index });
        }
        if !seen.insert(transaction.compute_txid()) {
            return Err(AssembleError::Duplicate { index });
        }
        txdata.push(transaction);
    }
    let header = Header {
        version: Version::from_consensus(frame.version),
        prev_blockhash: bitcoin::BlockHash::from_byte_array(*frame.parent.as_bytes()),
        merkle_root: TxMerkleNode::all_zeros(),
        time: frame.time,
        bits: CompactTarget::from_consensus(frame.bits),
        nonce: 0,
    };
    let mut block = Block { header, txdata };
    commit_to_witnesses(&mut block);
    block.header.merkle_root = block
        .compute_merkle_root()
        .expect("a block has at least a coinbase");
    Ok(serialize(&block))
}

/// A coinbase that pays nobody and commits to nothing yet.
fn coinbase(height: Height) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            // The second push is there because a coinbase's script has at least two bytes.
            script_sig: Builder::new()
                .push_int(i64::from(height))
                .push_opcode(OP_0)
                .into_script(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::from_bytes(vec![OP_RETURN.to_u8()]),
        }],
    }
}

/// Has the coinbase commit to the witnesses of the others, if they have any.
fn commit_to_witnesses(block: &mut Block) {
    let has_witness = |transaction: &Transaction| {
        let mut inputs = transaction.input.iter();
        inputs.any(|input| !input.witness.is_empty())
    };
    if !block.txdata.iter().any(has_witness) {
        return;
    }
    let reserved = [0; 32];
    let root = block
        .witness_root()
        .expect("a block has at least a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &reserved);
    let mut committed = [0; 36];
    let (magic, hash) = committed.split_at_mut(COMMITMENT.len());
    magic.copy_from_slice(&COMMITMENT);
    hash.copy_from_slice(commitment.as_byte_array());
    let Some(coinbase) = block.txdata.first_mut() else {
        return;
    };
    for input in &mut coinbase.input {
        input.witness.push(reserved);
    }
    for output in &mut coinbase.output {
        output.script_pubkey = Builder::new()
            .push_opcode(OP_RETURN)
            .push_slice(committed)
            .into_script();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: BlockHash = BlockHash::from_bytes([7; 32]);

    /// A transaction that spends a made-up output.
    fn spending(vout: u32, witness: &[&[u8]]) -> Transaction {
        Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint::new(bitcoin::Txid::from_byte_array([9; 32]), vout),
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::from_slice(witness),
            }],
            output: vec![TxOut {
                value: Amount::from_sat(u64::from(vout) + 1),
                script_pubkey: ScriptBuf::new(),
            }],
        }
    }

    fn assemble(height: Height, transactions: &[Transaction]) -> Block {
        let raw: Vec<_> = transactions.iter().map(serialize).collect();
        let frame = BlockFrame::new(PARENT, height, 1_700_000_000);
        let block = assemble_block(&frame, &raw).unwrap();
        deserialize(&block).unwrap()
    }

    #[test]
    fn the_block_is_well_formed_at_every_height() {
        for height in [0, 1, 16, 17, 127, 128, 227_931, 840_000, u32::MAX] {
            let plain = [spending(0, &[]), spending(1, &[])];
            let mixed = [spending(0, &[]), spending(1, &[&[1; 64], b""])];
            for transactions in [&plain[..], &mixed, &[]] {
                let block = assemble(height, transactions);
                assert_eq!(&block.txdata[1..], transactions);
                assert!(block.check_merkle_root());
                assert!(block.check_witness_commitment());
                assert_eq!(block.header.prev_blockhash.as_byte_array(), &[7; 32]);
                assert_eq!(block.header.time, 1_700_000_000);
                let coinbase = &block.txdata[0];
                assert!(coinbase.is_coinbase());
                let script = coinbase.input[0].script_sig.as_bytes();
                assert!((2..=100).contains(&script.len()));
                let pushed = Builder::new().push_int(i64::from(height)).into_script();
                assert!(script.starts_with(pushed.as_bytes()));
                let paid: Amount = coinbase.output.iter().map(|output| output.value).sum();
                assert_eq!(paid, Amount::ZERO);
            }
        }
        assert_eq!(
            assemble(840_000, &[]).bip34_block_height().unwrap(),
            840_000
        );
    }

    #[test]
    fn only_witnesses_are_committed_to() {
        let commits = |transactions: &[Transaction]| {
            let block = assemble(5, transactions);
            let script = block.txdata[0].output[0].script_pubkey.clone();
            script
                .as_bytes()
                .starts_with(&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed])
        };
        assert!(!commits(&[spending(0, &[])]));
        assert!(commits(&[spending(0, &[]), spending(1, &[b"w"])]));
    }

    #[test]
    fn what_is_no_transaction_is_named() {
        let check = |transactions: &[&[u8]], index: usize, message: &str| {
            let frame = BlockFrame::new(PARENT, 1, 0);
            let error = assemble_block(&frame, transactions).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.index(), index);
        };
        let good = serialize(&spending(0, &[b"w"]));
        let long = [&good[..], &[0]].concat();
        let coinbase = serialize(&coinbase(1));
        check(&[b""], 0, "transaction 0 cannot be decoded");
        check(&[&good, &long], 1, "transaction 1 cannot be decoded");
        check(&[&good[..20]], 0, "transaction 0 cannot be decoded");
        check(&[&coinbase], 0, "transaction 0 is a coinbase");
        check(&[&good, &good], 1, "transaction 1 is there twice");
    }
}

//! Puts a block together: coinbase with BIP34 height and witness commitment,
//! merkle root, proof of work at regtest difficulty.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness, WitnessMerkleNode, Wtxid, merkle_tree, transaction,
};

/// The target of every regtest block, in compact form.
pub const REGTEST_BITS: u32 = 0x207f_ffff;

/// Seconds since 1970 of height 0; every block comes 600 seconds after its parent.
const FIRST_TIME: u32 = 1_300_000_000;

/// What a block is made of, besides its transactions.
pub(crate) struct Frame {
    pub(crate) height: u32,
    pub(crate) parent: BlockHash,
    /// Sets apart coinbases of the same height in different branches.
    pub(crate) extra_nonce: [u8; 8],
    /// What the coinbase pays, the witness commitment not included.
    pub(crate) coinbase_outputs: Vec<TxOut>,
    /// Whether its hash meets its target, or misses it.
    pub(crate) with_work: bool,
}

/// Assembles and mines the block.
pub(crate) fn assemble(frame: &Frame, transactions: Vec<(Txid, Transaction)>) -> Block {
    let wtxids = std::iter::once(Wtxid::all_zeros())
        .chain(transactions.iter().map(|(_, made)| made.compute_wtxid()));
    let witness_root = merkle_tree::calculate_root(wtxids.map(Wtxid::to_raw_hash))
        .map(WitnessMerkleNode::from_raw_hash);
    let coinbase = coinbase(
        frame,
        witness_root.expect("a block has at least a coinbase"),
    );
    let txids =
        std::iter::once(coinbase.compute_txid()).chain(transactions.iter().map(|(txid, _)| *txid));
    let merkle_root =
        merkle_tree::calculate_root(txids.map(Txid::to_raw_hash)).map(TxMerkleNode::from_raw_hash);
    let mut header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: frame.parent,
        merkle_root: merkle_root.expect("a block has at least a coinbase"),
        time: FIRST_TIME.saturating_add(frame.height.saturating_mul(600)),
        bits: CompactTarget::from_consensus(REGTEST_BITS),
        nonce: 0,
    };
    while header.target().is_met_by(header.block_hash()) != frame.with_work {
        header.nonce += 1;
    }
    let txdata = std::iter::once(coinbase)
        .chain(transactions.into_iter().map(|(_, made)| made))
        .collect();
    Block { header, txdata }
}

fn coinbase(frame: &Frame, witness_root: WitnessMerkleNode) -> Transaction {
    let reserved = [0; 32];
    let mut engine = sha256d::Hash::engine();
    engine.input(witness_root.as_byte_array());
    engine.input(&reserved);
    let commitment = sha256d::Hash::from_engine(engine);
    let mut committed = [0xaa, 0x21, 0xa9, 0xed].to_vec();
    committed.extend_from_slice(commitment.as_byte_array());
    let committed: [u8; 36] = committed.try_into().expect("4 bytes and 32");

    let mut output = frame.coinbase_outputs.clone();
    output.push(TxOut {
        value: Amount::ZERO,
        script_pubkey: Builder::new()
            .push_opcode(OP_RETURN)
            .push_slice(committed)
            .into_script(),
    });
    let mut witness = Witness::new();
    witness.push(reserved);
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: coinbase_script(frame.height, frame.extra_nonce),
            sequence: Sequence::MAX,
            witness,
        }],
        output,
    }
}

/// BIP34: the height first, as a minimal push.
fn coinbase_script(height: u32, extra_nonce: [u8; 8]) -> ScriptBuf {
    Builder::new()
        .push_int(i64::from(height))
        .push_slice(extra_nonce)
        .into_script()
}

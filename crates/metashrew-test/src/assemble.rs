//! Puts a block together: a coinbase with the height (BIP 34) and the commitment to
//! witnesses (BIP 141), the merkle root, and work at the least difficulty there is.

use crate::transaction::count;
use crate::{Lock, OutPoint, Tx, TxIn, TxOut};
use bitcoin_hashes::{Hash, HashEngine, sha256d};
use metashrew_support::raw::script::op;

/// The target of every regtest block, in compact form.
pub const REGTEST_BITS: u32 = 0x207f_ffff;

/// Seconds since 1970 of height 0; every block comes 600 seconds after its parent.
const FIRST_TIME: u32 = 1_300_000_000;

/// What a block is made of, besides its transactions.
///
/// ```
/// # use metashrew_test::assemble::{Frame, assemble};
/// # use metashrew_test::{Chain, TxOut};
/// let coinbase = vec![TxOut { value: 7, lock: Chain::purse() }];
/// let frame = Frame { height: 1, parent: [0; 32], extra_nonce: [0; 8], coinbase, with_work: true };
/// assert_eq!(assemble(&frame, &[]).coinbase.outputs[0].value, 7);
/// ```
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its height.
    pub height: u32,
    /// The block before, in the byte order of hashing.
    pub parent: [u8; 32],
    /// Sets apart coinbases of the same height in different branches.
    pub extra_nonce: [u8; 8],
    /// What the coinbase pays, the witness commitment not included.
    pub coinbase: Vec<TxOut>,
    /// Whether its hash meets its target, or misses it.
    pub with_work: bool,
}

/// A transaction ready for a block.
///
/// ```
/// use metashrew_test::assemble::Encoded;
/// use metashrew_test::{Lock, Tx};
///
/// let tx = Tx::new().pay(Lock::p2tr("alice"), 7);
/// assert_eq!(Encoded::from(&tx).bytes, tx.encode());
/// ```
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Its id.
    pub txid: [u8; 32],
    /// The hash of all its bytes.
    pub wtxid: [u8; 32],
    /// Its consensus encoding.
    pub bytes: Vec<u8>,
}

impl From<&Tx> for Encoded {
    fn from(tx: &Tx) -> Self {
        Self {
            txid: tx.txid(),
            wtxid: tx.wtxid(),
            bytes: tx.encode(),
        }
    }
}

/// A block and its coinbase.
///
/// ```
/// # use metashrew_test::assemble::{Frame, assemble};
/// # let frame = Frame { height: 1, parent: [0; 32], extra_nonce: [0; 8], coinbase: vec![], with_work: true };
/// let assembled = assemble(&frame, &[]);
/// let block = metashrew_support::raw::Block::parse(&assembled.bytes)?;
/// assert_eq!(assembled.hash, block.hash());
/// # Ok::<(), metashrew_support::raw::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Assembled {
    /// The block's hash, in the byte order of hashing.
    pub hash: [u8; 32],
    /// Its coinbase.
    pub coinbase: Tx,
    /// The block, consensus-encoded.
    pub bytes: Vec<u8>,
}

/// Assembles and mines a block.
///
/// ```
/// # use metashrew_test::assemble::{Encoded, Frame, REGTEST_BITS, assemble};
/// # use metashrew_test::{Lock, OutPoint, Tx};
/// # let frame = Frame { height: 1, parent: [0; 32], extra_nonce: [0; 8], coinbase: vec![], with_work: true };
/// let alice = Lock::p2tr("alice");
/// let tx = Tx::new().spend(OutPoint { txid: [7; 32], vout: 0 }, &alice).pay(&alice, 7);
/// let assembled = assemble(&frame, &[Encoded::from(&tx)]);
/// let block = metashrew_support::raw::Block::parse(&assembled.bytes)?;
/// assert_eq!((block.bits(), block.transactions().len()), (REGTEST_BITS, 2));
/// # Ok::<(), metashrew_support::raw::ParseError>(())
/// ```
pub fn assemble(frame: &Frame, transactions: &[Encoded]) -> Assembled {
    let wtxids = transactions.iter().map(|tx| tx.wtxid);
    let coinbase = coinbase(frame, merkle_root([0; 32], wtxids));
    let txids = transactions.iter().map(|tx| tx.txid);
    let merkle_root = merkle_root(coinbase.txid(), txids);
    let time = FIRST_TIME.saturating_add(frame.height.saturating_mul(600));
    let mut header = 0x2000_0000_u32.to_le_bytes().to_vec();
    header.extend(frame.parent);
    header.extend(merkle_root);
    header.extend(time.to_le_bytes());
    header.extend(REGTEST_BITS.to_le_bytes());
    let (header, hash) = mine(&header, frame.with_work);
    let mut bytes = header;
    count(&mut bytes, transactions.len() + 1);
    bytes.extend(coinbase.encode());
    for transaction in transactions {
        bytes.extend(&transaction.bytes);
    }
    Assembled {
        hash,
        coinbase,
        bytes,
    }
}

/// A header with the least nonce by which its hash meets the target, or misses it;
/// and that hash.
fn mine(header: &[u8], with_work: bool) -> (Vec<u8>, [u8; 32]) {
    for nonce in 0u32.. {
        let header = [header, &nonce.to_le_bytes()].concat();
        let hash = sha256d::Hash::hash(&header).to_byte_array();
        let [.., third, second, first] = hash;
        let meets = u32::from_be_bytes([0, first, second, third]) < REGTEST_BITS & 0x00ff_ffff;
        if meets == with_work {
            return (header, hash);
        }
    }
    unreachable!("every second nonce is good enough");
}

fn coinbase(frame: &Frame, witness_root: [u8; 32]) -> Tx {
    let reserved = [0; 32];
    let mut engine = sha256d::Hash::engine();
    engine.input(&witness_root);
    engine.input(&reserved);
    let commitment = sha256d::Hash::from_engine(engine).to_byte_array();
    let commitment = [&[0xaa, 0x21, 0xa9, 0xed][..], &commitment].concat();
    let mut outputs = frame.coinbase.clone();
    outputs.push(TxOut {
        value: 0,
        lock: Lock::op_return(commitment),
    });
    let input = TxIn {
        previous: OutPoint::NULL,
        script: [
            height_push(frame.height),
            crate::lock::push(&frame.extra_nonce),
        ]
        .concat(),
        sequence: u32::MAX,
        witness: vec![reserved.to_vec()],
    };
    Tx {
        inputs: vec![input],
        outputs,
        ..Tx::new()
    }
}

/// A number as a minimal push of a script.
fn height_push(height: u32) -> Vec<u8> {
    match u8::try_from(height) {
        Ok(0) => vec![op::FALSE],
        Ok(small @ ..=16) => vec![op::PUSHNUM_1 - 1 + small],
        _ => {
            let mut bytes = height.to_le_bytes().to_vec();
            while bytes.last() == Some(&0) {
                bytes.pop();
            }
            // The highest bit is the sign.
            if bytes.last().is_some_and(|last| last & 0x80 != 0) {
                bytes.push(0);
            }
            crate::lock::push(&bytes)
        }
    }
}

/// The root of the tree over ids, a level of which repeats its last where it is odd.
fn merkle_root(first: [u8; 32], others: impl Iterator<Item = [u8; 32]>) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = std::iter::once(first).chain(others).collect();
    while level.len() > 1 {
        let pair = |pair: &[[u8; 32]]| match *pair {
            [left, right] => [left, right].concat(),
            [only] => [only, only].concat(),
            _ => Vec::new(),
        };
        let above = level
            .chunks(2)
            .map(|it| sha256d::Hash::hash(&pair(it)).to_byte_array());
        level = above.collect();
    }
    level.first().copied().unwrap_or(first)
}

//! Blocks read in place: nothing is copied but hashes, nothing needs the
//! `bitcoin` crate.
//!
//! [`Block::parse`] walks a consensus-encoded block once and keeps, for every
//! transaction, where its parts are. Scripts, outpoints and witnesses are slices
//! of the block. It checks the encoding, as Bitcoin Core does when it reads a
//! block; it does not check the rules of consensus.
//!
//! [`script`] reads what scripts say, [`inscription`] what witnesses inscribe.
//!
//! ```
//! use metashrew_support::raw::{Block, ParseError, ScriptKind};
//!
//! /// What a block pays to Taproot outputs, in satoshi.
//! fn paid_to_taproot(block: &[u8]) -> Result<u64, ParseError> {
//!     let block = Block::parse(block)?;
//!     let outputs = block.transactions().flat_map(|tx| tx.outputs);
//!     let taproot = outputs.filter(|output| matches!(output.kind(), ScriptKind::P2tr { .. }));
//!     Ok(taproot.map(|output| output.value).sum())
//! }
//! # assert!(paid_to_taproot(b"no block").is_err());
//! ```

pub mod inscription;
mod reader;
pub mod script;
mod transaction;
mod witness;

pub use inscription::{Envelope, InscriptionId};
pub use script::{Instruction, ScriptKind};
pub use transaction::{Input, Output, Transaction};
pub use witness::Witness;

use bitcoin_hashes::{Hash, sha256d};
use reader::{Flaw, Reader};
use std::ops::Range;

/// Why bytes are not a block.
///
/// ```
/// use metashrew_support::raw::{Block, ParseError};
///
/// assert_eq!(Block::parse(b"short").unwrap_err(), ParseError::Short { length: 5 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end inside a value.
    #[error("the block ends after {length} bytes, inside a value")]
    Short {
        /// How many bytes there are.
        length: usize,
    },
    /// There are bytes after the last transaction.
    #[error("the block is followed by {bytes} bytes")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A transaction's witness marker is not followed by the flag 1.
    #[error("a transaction has witness flag {flag}; only 1 is known")]
    WitnessFlag {
        /// The flag.
        flag: u8,
    },
    /// A transaction is encoded with witnesses, and all of them are empty.
    #[error("a transaction is encoded with witnesses but has none")]
    NoWitness,
    /// A count or a length is written in more bytes than it needs.
    #[error("a count or a length is written in more bytes than it needs")]
    NonMinimal,
}

/// A block of 80 bytes of header and its transactions.
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// let created = block.transactions().map(|tx| tx.outputs.len());
/// assert_eq!(created.sum::<usize>(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct Block<'a> {
    bytes: &'a [u8],
    header: &'a [u8; 80],
    transactions: Vec<Spans<'a>>,
    inputs: Vec<Input<'a>>,
    outputs: Vec<Output<'a>>,
}

/// Where the parts of a transaction are.
#[derive(Debug, Clone)]
struct Spans<'a> {
    bytes: &'a [u8],
    /// Inputs and outputs as encoded, with their counts.
    body: &'a [u8],
    inputs: Range<usize>,
    outputs: Range<usize>,
}

impl<'a> Block<'a> {
    /// Reads a consensus-encoded block.
    ///
    /// ```
    /// use metashrew_support::raw::Block;
    ///
    /// # let whole = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let bytes = whole.bytes();
    /// assert!(Block::parse(bytes).is_ok());
    /// assert!(Block::parse(&bytes[1..]).is_err());
    /// ```
    ///
    /// # Errors
    /// If the bytes are not exactly one block.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::read(bytes).map_err(|flaw| match flaw {
            Flaw::Short => ParseError::Short {
                length: bytes.len(),
            },
            Flaw::Trailing { bytes } => ParseError::Trailing { bytes },
            Flaw::WitnessFlag { flag } => ParseError::WitnessFlag { flag },
            Flaw::NoWitness => ParseError::NoWitness,
            Flaw::NonMinimal => ParseError::NonMinimal,
        })
    }

    fn read(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut reader = Reader::new(bytes);
        let header = reader.array()?;
        let count = reader.length()?;
        // A transaction has at least ten bytes: a false count reserves no more.
        let likely = count.min(bytes.len() / 10);
        let mut block = Self {
            bytes,
            header,
            transactions: Vec::with_capacity(likely),
            inputs: Vec::with_capacity(likely),
            outputs: Vec::with_capacity(likely),
        };
        for _ in 0..count {
            block.read_transaction(&mut reader)?;
        }
        match reader.rest().len() {
            0 => Ok(block),
            bytes => Err(Flaw::Trailing { bytes }),
        }
    }

    fn read_transaction(&mut self, reader: &mut Reader<'a>) -> Result<(), Flaw> {
        let start = *reader;
        reader.take(4)?;
        let mut body_start = *reader;
        let mut inputs_here = reader.length()?;
        let segwit = inputs_here == 0;
        if segwit {
            let [flag] = *reader.array()?;
            if flag != 1 {
                return Err(Flaw::WitnessFlag { flag });
            }
            body_start = *reader;
            inputs_here = reader.length()?;
        }
        let inputs_start = self.inputs.len();
        for _ in 0..inputs_here {
            self.inputs.push(Input::read(reader)?);
        }
        let outputs_start = self.outputs.len();
        for _ in 0..reader.length()? {
            self.outputs.push(Output::read(reader)?);
        }
        let body = body_start.until(reader);
        if segwit {
            let mut empty = true;
            for input in self.inputs.iter_mut().skip(inputs_start) {
                input.witness = Witness::read(reader)?;
                empty &= input.witness.is_empty();
            }
            if empty && inputs_here > 0 {
                return Err(Flaw::NoWitness);
            }
        }
        reader.take(4)?;
        self.transactions.push(Spans {
            bytes: start.until(reader),
            body,
            inputs: inputs_start..self.inputs.len(),
            outputs: outputs_start..self.outputs.len(),
        });
        Ok(())
    }

    /// The block as it was given.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.bytes()[..80], *block.header());
    /// ```
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header: version, previous block, merkle root, time, bits, nonce.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.header()[4..36], block.previous());
    /// ```
    pub fn header(&self) -> &'a [u8; 80] {
        self.header
    }

    /// The block's hash, in the byte order of hashing.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.hash()[27..], [0; 5]); // What people read starts with these.
    /// ```
    pub fn hash(&self) -> [u8; 32] {
        sha256d::Hash::hash(self.header).to_byte_array()
    }

    /// Which rules the block was made for, and what its miner signals.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.version(), 1);
    /// ```
    pub fn version(&self) -> i32 {
        i32::from_le_bytes(self.header_part(0))
    }

    /// The hash of the block before, in the byte order of hashing.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.previous(), [0; 32]); // Nothing is before block 0.
    /// ```
    pub fn previous(&self) -> [u8; 32] {
        self.header_part(4)
    }

    /// The root of the tree over the transactions' ids, in the byte order of hashing.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let coinbase = block.transactions().next().unwrap();
    /// assert_eq!(block.merkle_root(), coinbase.txid()); // Of a block with no other.
    /// ```
    pub fn merkle_root(&self) -> [u8; 32] {
        self.header_part(36)
    }

    /// When it was mined, as its miner says: seconds since 1970.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.time(), 1_231_006_505); // 3 January 2009
    /// ```
    pub fn time(&self) -> u32 {
        u32::from_le_bytes(self.header_part(68))
    }

    /// The target that the hash had to meet, in compact form.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.bits(), 0x1d00_ffff);
    /// ```
    pub fn bits(&self) -> u32 {
        u32::from_le_bytes(self.header_part(72))
    }

    /// What the miner varied until the hash met the target.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert_eq!(block.nonce(), 2_083_236_893);
    /// ```
    pub fn nonce(&self) -> u32 {
        u32::from_le_bytes(self.header_part(76))
    }

    fn header_part<const N: usize>(&self, at: usize) -> [u8; N] {
        let part = self.header.get(at..).and_then(<[u8]>::first_chunk);
        *part.expect("the part is inside the header's 80 bytes")
    }

    /// Its transactions, in order; the first is the coinbase.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let mut transactions = block.transactions();
    /// assert_eq!(transactions.len(), 2);
    /// assert!(transactions.next().unwrap().is_coinbase());
    /// ```
    pub fn transactions(&self) -> impl ExactSizeIterator<Item = Transaction<'_>> + Clone {
        self.transactions.iter().map(|spans| Transaction {
            bytes: spans.bytes,
            body: spans.body,
            inputs: self.inputs.get(spans.inputs.clone()).unwrap_or_default(),
            outputs: self.outputs.get(spans.outputs.clone()).unwrap_or_default(),
        })
    }

    /// The block's weight (BIP 141).
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// assert!(block.weight() < 4 * block.bytes().len()); // Witnesses count less.
    /// ```
    pub fn weight(&self) -> usize {
        let witnesses: usize = self
            .transactions()
            .map(|tx| tx.size() - tx.base_size())
            .sum();
        4 * self.bytes.len() - 3 * witnesses
    }
}

#[cfg(test)]
#[path = "raw/tests.rs"]
mod tests;

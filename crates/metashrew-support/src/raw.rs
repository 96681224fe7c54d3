//! Blocks read in place: nothing is copied but hashes, nothing needs the
//! `bitcoin` crate.
//!
//! [`Block::parse`] walks a consensus-encoded block once and keeps, for every
//! transaction, where its parts are; scripts and outpoints are slices of the
//! block. It checks the encoding, not the rules of consensus.

mod reader;

use bitcoin_hashes::{Hash, sha256d};
use reader::Reader;
use std::ops::Range;

/// Why bytes are not a block.
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
}

/// A block of 80 bytes of header and its transactions.
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

/// A transaction of a [`Block`].
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    bytes: &'a [u8],
    body: &'a [u8],
    /// What it spends, in order.
    pub inputs: &'a [Input<'a>],
    /// What it creates, in order.
    pub outputs: &'a [Output<'a>],
}

/// What a transaction spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input<'a> {
    /// The transaction whose output is spent; zeros in a coinbase. In the byte
    /// order of hashing, which is the reverse of what people read.
    pub txid: &'a [u8; 32],
    /// Which of its outputs; `u32::MAX` in a coinbase.
    pub vout: u32,
    /// The unlocking script.
    pub script: &'a [u8],
}

/// What a transaction creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// In satoshi.
    pub value: u64,
    /// The locking script.
    pub script: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads a consensus-encoded block.
    ///
    /// # Errors
    /// If the bytes are not exactly one block.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes);
        let short = || ParseError::Short {
            length: bytes.len(),
        };
        let header = reader.array().ok_or_else(short)?;
        let count = reader.length().ok_or_else(short)?;
        let mut block = Self {
            bytes,
            header,
            // A transaction has at least ten bytes: a false count reserves no more.
            transactions: Vec::with_capacity(count.min(bytes.len() / 10)),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for _ in 0..count {
            let flag = block.read_transaction(&mut reader).ok_or_else(short)?;
            if flag != 1 {
                return Err(ParseError::WitnessFlag { flag });
            }
        }
        match reader.rest().len() {
            0 => Ok(block),
            bytes => Err(ParseError::Trailing { bytes }),
        }
    }

    /// Reads one transaction: its witness flag, 1 if it has none.
    fn read_transaction(&mut self, reader: &mut Reader<'a>) -> Option<u8> {
        let start = *reader;
        reader.take(4)?;
        let mut body_start = *reader;
        let mut inputs_here = reader.length()?;
        let segwit = inputs_here == 0;
        if segwit {
            let [flag] = *reader.array()?;
            if flag != 1 {
                return Some(flag);
            }
            body_start = *reader;
            inputs_here = reader.length()?;
        }
        let inputs_start = self.inputs.len();
        for _ in 0..inputs_here {
            self.inputs.push(read_input(reader)?);
        }
        let outputs_start = self.outputs.len();
        for _ in 0..reader.length()? {
            self.outputs.push(read_output(reader)?);
        }
        let body = body_start.until(reader);
        if segwit {
            for _ in 0..inputs_here {
                for _ in 0..reader.length()? {
                    let length = reader.length()?;
                    reader.take(length)?;
                }
            }
        }
        reader.take(4)?;
        self.transactions.push(Spans {
            bytes: start.until(reader),
            body,
            inputs: inputs_start..self.inputs.len(),
            outputs: outputs_start..self.outputs.len(),
        });
        Some(1)
    }

    /// The block as it was given.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header: version, previous block, merkle root, time, bits, nonce.
    pub fn header(&self) -> &'a [u8; 80] {
        self.header
    }

    /// The block's hash, in the byte order of hashing.
    pub fn hash(&self) -> [u8; 32] {
        sha256d::Hash::hash(self.header).to_byte_array()
    }

    /// The hash of the block before, in the byte order of hashing.
    pub fn previous(&self) -> [u8; 32] {
        self.header_part(4)
    }

    /// When it was mined, as its miner says: seconds since 1970.
    pub fn time(&self) -> u32 {
        u32::from_le_bytes(self.header_part(68))
    }

    fn header_part<const N: usize>(&self, at: usize) -> [u8; N] {
        let part = self.header.get(at..).and_then(<[u8]>::first_chunk);
        *part.expect("the part is inside the header's 80 bytes")
    }

    /// Its transactions, in order; the first is the coinbase.
    pub fn transactions(&self) -> impl ExactSizeIterator<Item = Transaction<'_>> + Clone {
        self.transactions.iter().map(|spans| Transaction {
            bytes: spans.bytes,
            body: spans.body,
            inputs: self.inputs.get(spans.inputs.clone()).unwrap_or_default(),
            outputs: self.outputs.get(spans.outputs.clone()).unwrap_or_default(),
        })
    }

    /// The block's weight (BIP 141).
    pub fn weight(&self) -> usize {
        let witnesses: usize = self
            .transactions()
            .map(|tx| tx.size() - tx.base_size())
            .sum();
        4 * self.bytes.len() - 3 * witnesses
    }
}

impl<'a> Transaction<'a> {
    /// The transaction as encoded, witnesses included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes it takes without witnesses.
    pub fn base_size(&self) -> usize {
        self.body.len() + 8
    }

    /// Its id, in the byte order of hashing.
    pub fn txid(&self) -> [u8; 32] {
        if self.base_size() == self.size() {
            return sha256d::Hash::hash(self.bytes).to_byte_array();
        }
        let mut engine = sha256d::Hash::engine();
        let ends = self
            .bytes
            .first_chunk::<4>()
            .zip(self.bytes.last_chunk::<4>());
        let (version, lock_time) = ends.expect("a transaction has a version and a lock time");
        for part in [version, self.body, lock_time] {
            bitcoin_hashes::HashEngine::input(&mut engine, part);
        }
        sha256d::Hash::from_engine(engine).to_byte_array()
    }
}

impl Input<'_> {
    /// Whether it spends nothing, because it is a coinbase's.
    pub fn is_coinbase(&self) -> bool {
        self.vout == u32::MAX && *self.txid == [0; 32]
    }
}

impl Output<'_> {
    /// Whether nobody can ever spend it: the script starts with `OP_RETURN` or
    /// has more than 10,000 bytes.
    pub fn is_unspendable(&self) -> bool {
        const OP_RETURN: u8 = 0x6a;
        const MAX_SCRIPT_BYTES: usize = 10_000;
        self.script.first() == Some(&OP_RETURN) || self.script.len() > MAX_SCRIPT_BYTES
    }
}

fn read_input<'a>(reader: &mut Reader<'a>) -> Option<Input<'a>> {
    let txid = reader.array()?;
    let vout = u32::from_le_bytes(*reader.array()?);
    let length = reader.length()?;
    let script = reader.take(length)?;
    reader.take(4)?;
    Some(Input { txid, vout, script })
}

fn read_output<'a>(reader: &mut Reader<'a>) -> Option<Output<'a>> {
    let value = u64::from_le_bytes(*reader.array()?);
    let length = reader.length()?;
    let script = reader.take(length)?;
    Some(Output { value, script })
}

#[cfg(test)]
#[path = "raw/tests.rs"]
mod tests;

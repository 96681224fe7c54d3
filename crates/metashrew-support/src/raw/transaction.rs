//! Transactions, what they spend and what they create.

use super::reader::{Flaw, Reader};
use super::script::{self, ScriptKind};
use super::{Envelope, Witness, inscription};
use bitcoin_hashes::{Hash, HashEngine, sha256d};

/// A transaction of a [`Block`](super::Block).
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    pub(super) bytes: &'a [u8],
    /// Inputs and outputs as encoded, with their counts.
    pub(super) body: &'a [u8],
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
    /// When the input may be mined (BIP 68), and whether the transaction may be
    /// replaced (BIP 125).
    pub sequence: u32,
    /// The unlocking witness.
    pub witness: Witness<'a>,
}

/// What a transaction creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// In satoshi.
    pub value: u64,
    /// The locking script.
    pub script: &'a [u8],
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

    /// Its weight (BIP 141).
    pub fn weight(&self) -> usize {
        3 * self.base_size() + self.size()
    }

    /// A quarter of its weight, rounded up.
    pub fn vsize(&self) -> usize {
        self.weight().div_ceil(4)
    }

    /// Whether it is encoded with witnesses (BIP 144).
    pub fn has_witness(&self) -> bool {
        self.base_size() != self.size()
    }

    /// Whether it is a coinbase: its only input spends nothing.
    pub fn is_coinbase(&self) -> bool {
        matches!(self.inputs, [input] if input.is_coinbase())
    }

    /// Its version.
    pub fn version(&self) -> i32 {
        i32::from_le_bytes(*self.ends().0)
    }

    /// The height (below 500,000,000) or the time before which it may not be mined.
    pub fn lock_time(&self) -> u32 {
        u32::from_le_bytes(*self.ends().1)
    }

    /// Its id, in the byte order of hashing.
    pub fn txid(&self) -> [u8; 32] {
        if !self.has_witness() {
            return sha256d::Hash::hash(self.bytes).to_byte_array();
        }
        let (version, lock_time) = self.ends();
        let mut engine = sha256d::Hash::engine();
        for part in [version, self.body, lock_time] {
            engine.input(part);
        }
        sha256d::Hash::from_engine(engine).to_byte_array()
    }

    /// The hash of all its bytes, witnesses included, in the byte order of hashing.
    ///
    /// The commitment to witnesses in a coinbase counts the coinbase's own as zeros,
    /// not as this.
    pub fn wtxid(&self) -> [u8; 32] {
        sha256d::Hash::hash(self.bytes).to_byte_array()
    }

    /// What it inscribes, in the order that inscriptions are numbered in.
    pub fn envelopes(&self) -> impl Iterator<Item = Envelope<'a>> + use<'a> {
        let inputs = self.inputs.iter().enumerate();
        inputs.flat_map(|(number, input)| inscription::envelopes(number, &input.witness))
    }

    /// The output that carries a runestone, and what is pushed after `OP_RETURN
    /// OP_13`, as a script: [`script::pushes`] reads it, and what is not a push makes
    /// the runestone malformed.
    pub fn runestone(&self) -> Option<(usize, &'a [u8])> {
        const MARK: [u8; 2] = [script::op::RETURN, script::op::PUSHNUM_13];
        let mut outputs = self.outputs.iter().enumerate();
        outputs.find_map(|(vout, output)| Some((vout, output.script.strip_prefix(&MARK)?)))
    }

    /// The version and the lock time, as encoded.
    fn ends(&self) -> (&'a [u8; 4], &'a [u8; 4]) {
        let ends = self.bytes.first_chunk().zip(self.bytes.last_chunk());
        ends.expect("a transaction has a version and a lock time")
    }
}

impl<'a> Input<'a> {
    /// Reads an input; its witness follows after all outputs.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        Ok(Self {
            txid: reader.array()?,
            vout: u32::from_le_bytes(*reader.array()?),
            script: reader.sized()?,
            sequence: u32::from_le_bytes(*reader.array()?),
            witness: Witness::default(),
        })
    }

    /// Whether it spends nothing, because it is a coinbase's.
    pub fn is_coinbase(&self) -> bool {
        self.vout == u32::MAX && *self.txid == [0; 32]
    }
}

impl<'a> Output<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        Ok(Self {
            value: u64::from_le_bytes(*reader.array()?),
            script: reader.sized()?,
        })
    }

    /// Which of the standard forms the script has.
    pub fn kind(&self) -> ScriptKind<'a> {
        ScriptKind::of(self.script)
    }

    /// Whether nobody can ever spend it: the script starts with `OP_RETURN` or
    /// has more than 10,000 bytes.
    pub fn is_unspendable(&self) -> bool {
        const MAX_SCRIPT_BYTES: usize = 10_000;
        self.script.first() == Some(&script::op::RETURN) || self.script.len() > MAX_SCRIPT_BYTES
    }
}

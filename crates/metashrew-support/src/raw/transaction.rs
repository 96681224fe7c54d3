//! Transactions, what they spend and what they create.

use super::reader::{Flaw, Reader};
use super::script::{self, ScriptKind};
use super::{Envelope, Witness, inscription};
use bitcoin_hashes::{Hash, HashEngine, sha256d};

/// A transaction of a [`Block`](super::Block).
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let tx = block.transactions().nth(1).unwrap();
/// assert_eq!((tx.inputs.len(), tx.outputs.len()), (2, 2));
/// ```
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
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let tx = block.transactions().nth(1).unwrap();
/// let [first, second] = tx.inputs else { panic!() };
/// assert_eq!((first.txid, first.vout), (&[0x11; 32], 0));
/// assert!(second.script.is_empty() && !second.witness.is_empty());
/// ```
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
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let tx = block.transactions().nth(1).unwrap();
/// let data = tx.outputs[1];
/// assert_eq!((data.value, data.script.first()), (0, Some(&0x6a)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// In satoshi.
    pub value: u64,
    /// The locking script.
    pub script: &'a [u8],
}

impl<'a> Transaction<'a> {
    /// The transaction as encoded, witnesses included.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert_eq!(tx.bytes()[..4], [2, 0, 0, 0]); // The version.
    /// ```
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes it takes.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert_eq!(tx.size(), tx.bytes().len());
    /// ```
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes it takes without witnesses.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert!(tx.has_witness() && tx.base_size() < tx.size());
    /// ```
    pub fn base_size(&self) -> usize {
        self.body.len() + 8
    }

    /// Its weight (BIP 141).
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert_eq!(tx.weight(), 3 * tx.base_size() + tx.size());
    /// ```
    pub fn weight(&self) -> usize {
        3 * self.base_size() + self.size()
    }

    /// A quarter of its weight, rounded up.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert!(tx.base_size() < tx.vsize() && tx.vsize() < tx.size());
    /// ```
    pub fn vsize(&self) -> usize {
        self.weight().div_ceil(4)
    }

    /// Whether it is encoded with witnesses (BIP 144).
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert!(tx.has_witness());
    /// ```
    pub fn has_witness(&self) -> bool {
        self.base_size() != self.size()
    }

    /// Whether it is a coinbase: its only input spends nothing.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let coinbases = block.transactions().map(|tx| tx.is_coinbase());
    /// assert_eq!(coinbases.collect::<Vec<_>>(), [true, false]);
    /// ```
    pub fn is_coinbase(&self) -> bool {
        matches!(self.inputs, [input] if input.is_coinbase())
    }

    /// Its version.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert_eq!(tx.version(), 2);
    /// ```
    pub fn version(&self) -> i32 {
        i32::from_le_bytes(*self.ends().0)
    }

    /// The height (below 500,000,000) or the time before which it may not be mined.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// assert_eq!(tx.lock_time(), 840_000);
    /// ```
    pub fn lock_time(&self) -> u32 {
        u32::from_le_bytes(*self.ends().1)
    }

    /// Its id, in the byte order of hashing.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let mut txid = block.transactions().next().unwrap().txid();
    /// txid.reverse(); // As people read it.
    /// assert_eq!(txid[..4], [0x4a, 0x5e, 0x1e, 0x4b]);
    /// ```
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
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let same = block.transactions().map(|tx| tx.txid() == tx.wtxid());
    /// assert_eq!(same.collect::<Vec<_>>(), [true, false]); // The second has witnesses.
    /// ```
    pub fn wtxid(&self) -> [u8; 32] {
        sha256d::Hash::hash(self.bytes).to_byte_array()
    }

    /// What it inscribes, in the order that inscriptions are numbered in.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// let types: Vec<_> = tx.envelopes().map(|it| it.content_type()).collect();
    /// assert_eq!(types, [Some(&b"text/plain"[..])]);
    /// ```
    pub fn envelopes(&self) -> impl Iterator<Item = Envelope<'a>> + use<'a> {
        let inputs = self.inputs.iter().enumerate();
        inputs.flat_map(|(number, input)| inscription::envelopes(number, &input.witness))
    }

    /// The output that carries a runestone, and what is pushed after `OP_RETURN
    /// OP_13`, as a script: [`script::pushes`] reads it, and what is not a push makes
    /// the runestone malformed.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// use metashrew_support::raw::script::pushes;
    ///
    /// let (vout, payload) = tx.runestone().unwrap();
    /// assert_eq!(vout, 1);
    /// assert!(pushes(payload).eq([Some(&[20, 1][..])]));
    /// ```
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
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// let coinbase = block.transactions().next().unwrap();
    /// assert!(coinbase.inputs[0].is_coinbase());
    /// ```
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
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// use metashrew_support::raw::ScriptKind;
    ///
    /// assert_eq!(tx.outputs[0].kind(), ScriptKind::P2tr { key: &[7; 32] });
    /// ```
    pub fn kind(&self) -> ScriptKind<'a> {
        ScriptKind::of(self.script)
    }

    /// Whether nobody can ever spend it: the script starts with `OP_RETURN` or
    /// has more than 10,000 bytes.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let tx = block.transactions().nth(1).unwrap();
    /// let [paid, data] = tx.outputs else { panic!() };
    /// assert!(!paid.is_unspendable() && data.is_unspendable());
    /// ```
    pub fn is_unspendable(&self) -> bool {
        const MAX_SCRIPT_BYTES: usize = 10_000;
        self.script.first() == Some(&script::op::RETURN) || self.script.len() > MAX_SCRIPT_BYTES
    }
}

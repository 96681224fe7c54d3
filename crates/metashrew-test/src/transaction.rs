//! Transactions made to order.

use crate::{Inscription, Lock};
use bitcoin_hashes::{Hash, sha256d};

/// Names an output.
///
/// ```
/// # use metashrew_test::*;
/// # let alice = Lock::p2wpkh("alice");
/// # let coin = OutPoint { txid: [7; 32], vout: 0 };
/// let tx = Tx::new().pay(&alice, 7);
/// assert_eq!(tx.output(0), OutPoint { txid: tx.txid(), vout: 0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutPoint {
    /// The transaction, in the byte order of hashing.
    pub txid: [u8; 32],
    /// Which of its outputs.
    pub vout: u32,
}

impl OutPoint {
    /// What a coinbase spends.
    pub const NULL: Self = Self {
        txid: [0; 32],
        vout: u32::MAX,
    };
}

/// What a transaction spends.
///
/// ```
/// # use metashrew_test::*;
/// # let alice = Lock::p2wpkh("alice");
/// # let coin = OutPoint { txid: [7; 32], vout: 0 };
/// let input = TxIn { sequence: 0, ..TxIn::new(coin, &alice) };
/// assert_eq!(Tx::new().input(input).inputs[0].sequence, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxIn {
    /// The output.
    pub previous: OutPoint,
    /// The unlocking script.
    pub script: Vec<u8>,
    /// The sequence number.
    pub sequence: u32,
    /// The unlocking witness.
    pub witness: Vec<Vec<u8>>,
}

impl TxIn {
    /// A spend that is final, with what unlocks the output.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// let input = TxIn::new(coin, &alice);
    /// assert_eq!((input.sequence, &*input.witness), (u32::MAX, alice.witness()));
    /// ```
    pub fn new(previous: OutPoint, lock: &Lock) -> Self {
        Self {
            previous,
            script: lock.unlocking().to_vec(),
            sequence: u32::MAX,
            witness: lock.witness().to_vec(),
        }
    }
}

/// What a transaction creates.
///
/// ```
/// # use metashrew_test::*;
/// # let alice = Lock::p2wpkh("alice");
/// # let coin = OutPoint { txid: [7; 32], vout: 0 };
/// let tx = Tx::new().pay(&alice, 7);
/// assert_eq!(tx.outputs, [TxOut { value: 7, lock: alice }]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOut {
    /// In satoshi.
    pub value: u64,
    /// To whom.
    pub lock: Lock,
}

/// A transaction, put together part by part.
///
/// ```
/// use metashrew_test::{Lock, OutPoint, Tx};
///
/// let alice = Lock::p2wpkh("alice");
/// let tx = Tx::new()
///     .spend(OutPoint { txid: [7; 32], vout: 0 }, &alice)
///     .pay(Lock::p2tr("bob"), 10_000)
///     .op_return(b"hello");
/// assert_eq!(tx.output(1).txid, tx.txid());
/// assert_ne!(tx.txid(), tx.wtxid());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx {
    /// The version: 2 unless changed.
    pub version: i32,
    /// What it spends.
    pub inputs: Vec<TxIn>,
    /// What it creates.
    pub outputs: Vec<TxOut>,
    /// The lock time: 0 unless changed.
    pub lock_time: u32,
}

impl Default for Tx {
    fn default() -> Self {
        Self::new()
    }
}

impl Tx {
    /// A transaction of version 2 that spends and creates nothing yet.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!((Tx::new().version, Tx::new().inputs.len()), (2, 0));
    /// ```
    pub fn new() -> Self {
        Self {
            version: 2,
            inputs: Vec::new(),
            outputs: Vec::new(),
            lock_time: 0,
        }
    }

    /// Spends an output that pays to `lock`.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().spend(coin, &alice).inputs[0].previous, coin);
    /// ```
    #[must_use]
    pub fn spend(self, output: OutPoint, lock: &Lock) -> Self {
        self.input(TxIn::new(output, lock))
    }

    /// Spends an output made for it by [`Inscription::lock`], which reveals the
    /// inscriptions.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// let tx = Tx::new().reveal(coin, &[Inscription::text("hello")]);
    /// assert_eq!(tx.inputs[0].witness.len(), 3); // Signature, script, control block.
    /// ```
    #[must_use]
    pub fn reveal(self, output: OutPoint, inscriptions: &[Inscription]) -> Self {
        self.spend(output, &Inscription::lock(inscriptions))
    }

    /// Adds an input of any form.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().input(TxIn::new(coin, &alice)), Tx::new().spend(coin, &alice));
    /// ```
    #[must_use]
    pub fn input(mut self, input: TxIn) -> Self {
        self.inputs.push(input);
        self
    }

    /// Pays so many satoshi.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().pay(&alice, 7).outputs[0].value, 7);
    /// ```
    #[must_use]
    pub fn pay(mut self, to: impl Into<Lock>, satoshi: u64) -> Self {
        self.outputs.push(TxOut {
            value: satoshi,
            lock: to.into(),
        });
        self
    }

    /// Carries data in an output of no value.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().op_return(b"data").outputs[0].lock, Lock::op_return(b"data"));
    /// ```
    #[must_use]
    pub fn op_return(self, data: impl AsRef<[u8]>) -> Self {
        self.pay(Lock::op_return(data), 0)
    }

    /// One of its outputs, by number.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().pay(&alice, 7).output(0).vout, 0);
    /// ```
    pub fn output(&self, vout: u32) -> OutPoint {
        let txid = self.txid();
        OutPoint { txid, vout }
    }

    /// Its id, in the byte order of hashing.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// let mut tx = Tx::new().spend(coin, &alice);
    /// let txid = tx.txid();
    /// tx.inputs[0].witness.clear();
    /// assert_eq!(tx.txid(), txid);
    /// ```
    pub fn txid(&self) -> [u8; 32] {
        sha256d::Hash::hash(&self.encoded(false)).to_byte_array()
    }

    /// The hash of all its bytes, witnesses included.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert_eq!(Tx::new().wtxid(), Tx::new().txid()); // It has no witness.
    /// ```
    pub fn wtxid(&self) -> [u8; 32] {
        sha256d::Hash::hash(&self.encode()).to_byte_array()
    }

    /// Its consensus encoding.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let coin = OutPoint { txid: [7; 32], vout: 0 };
    /// assert!(Tx::new().pay(&alice, 7).encode().starts_with(&[2, 0, 0, 0]));
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let has_witness = self.inputs.iter().any(|input| !input.witness.is_empty());
        self.encoded(has_witness)
    }

    fn encoded(&self, with_witness: bool) -> Vec<u8> {
        let mut bytes = self.version.to_le_bytes().to_vec();
        if with_witness {
            bytes.extend([0, 1]);
        }
        count(&mut bytes, self.inputs.len());
        for input in &self.inputs {
            bytes.extend(input.previous.txid);
            bytes.extend(input.previous.vout.to_le_bytes());
            sized(&mut bytes, &input.script);
            bytes.extend(input.sequence.to_le_bytes());
        }
        count(&mut bytes, self.outputs.len());
        for output in &self.outputs {
            bytes.extend(output.value.to_le_bytes());
            sized(&mut bytes, output.lock.script());
        }
        if with_witness {
            for input in &self.inputs {
                count(&mut bytes, input.witness.len());
                for item in &input.witness {
                    sized(&mut bytes, item);
                }
            }
        }
        bytes.extend(self.lock_time.to_le_bytes());
        bytes
    }
}

fn sized(bytes: &mut Vec<u8>, part: &[u8]) {
    count(bytes, part.len());
    bytes.extend(part);
}

/// Appends Bitcoin's integer of variable length.
pub(crate) fn count(bytes: &mut Vec<u8>, number: usize) {
    let number = number as u64;
    let [a, b, c, d, ..] = number.to_le_bytes();
    match number {
        ..0xfd => bytes.push(a),
        0xfd..=0xffff => bytes.extend([0xfd, a, b]),
        0x1_0000..=0xffff_ffff => bytes.extend([0xfe, a, b, c, d]),
        _ => {
            bytes.push(0xff);
            bytes.extend(number.to_le_bytes());
        }
    }
}

//! Locking scripts together with what unlocks them.

use bitcoin_hashes::{Hash, hash160, sha256};
use metashrew_support::raw::script::op;
use std::fmt;

/// A locking script, and the unlocking script and witness that fit it in form.
///
/// Keys come from names: the same name, the same key. They are hashes, and
/// signatures are bytes of the right length: an indexer sees no difference, and
/// nobody could spend anything.
///
/// ```
/// use metashrew_support::raw::ScriptKind;
/// use metashrew_test::Lock;
///
/// let alice = Lock::p2wpkh("alice");
/// assert!(matches!(ScriptKind::of(alice.script()), ScriptKind::P2wpkh { .. }));
/// assert_eq!(alice, Lock::p2wpkh("alice"));
/// assert_ne!(alice, Lock::p2wpkh("bob"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lock {
    script: Vec<u8>,
    unlocking: Vec<u8>,
    witness: Vec<Vec<u8>>,
}

impl Lock {
    /// Pays to a public key itself.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// assert!(matches!(ScriptKind::of(Lock::p2pk("alice").script()), ScriptKind::P2pk { .. }));
    /// ```
    pub fn p2pk(name: &str) -> Self {
        Self {
            script: [&push(&key(name))[..], &[op::CHECKSIG]].concat(),
            unlocking: push(&signature(name)),
            witness: Vec::new(),
        }
    }

    /// Pays to the hash of a public key.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// assert!(matches!(ScriptKind::of(Lock::p2pkh("alice").script()), ScriptKind::P2pkh { .. }));
    /// ```
    pub fn p2pkh(name: &str) -> Self {
        let hash = hash160::Hash::hash(&key(name)).to_byte_array();
        let script = [
            &[op::DUP, op::HASH160, 20][..],
            &hash,
            &[op::EQUALVERIFY, op::CHECKSIG],
        ];
        Self {
            script: script.concat(),
            unlocking: [push(&signature(name)), push(&key(name))].concat(),
            witness: Vec::new(),
        }
    }

    /// Pays to the hash of a script, which is that of [`p2wpkh`](Self::p2wpkh).
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// assert!(matches!(ScriptKind::of(Lock::p2sh("alice").script()), ScriptKind::P2sh { .. }));
    /// ```
    pub fn p2sh(name: &str) -> Self {
        let inner = Self::p2wpkh(name);
        let hash = hash160::Hash::hash(&inner.script).to_byte_array();
        Self {
            script: [&[op::HASH160, 20][..], &hash, &[op::EQUAL]].concat(),
            unlocking: push(&inner.script),
            witness: inner.witness,
        }
    }

    /// Pays to the hash of a public key, in segregated witness.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// assert!(matches!(ScriptKind::of(Lock::p2wpkh("alice").script()), ScriptKind::P2wpkh { .. }));
    /// ```
    pub fn p2wpkh(name: &str) -> Self {
        let hash = hash160::Hash::hash(&key(name)).to_byte_array();
        Self::segwit(op::FALSE, &hash, vec![signature(name), key(name)])
    }

    /// Pays to the hash of a script, in segregated witness: one key's signature.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// assert!(matches!(ScriptKind::of(Lock::p2wsh("alice").script()), ScriptKind::P2wsh { .. }));
    /// ```
    pub fn p2wsh(name: &str) -> Self {
        let inner = Self::p2pk(name).script;
        let hash = sha256::Hash::hash(&inner).to_byte_array();
        Self::segwit(op::FALSE, &hash, vec![signature(name), inner])
    }

    /// Pays to a Taproot key, spent by the key.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// let alice = Lock::p2tr("alice");
    /// assert!(matches!(ScriptKind::of(alice.script()), ScriptKind::P2tr { .. }));
    /// assert_eq!(alice.witness().len(), 1);
    /// ```
    pub fn p2tr(name: &str) -> Self {
        let signature = [key(name), key(name)].concat().split_off(2);
        Self::segwit(op::PUSHNUM_1, &x_only(name), vec![signature])
    }

    /// Pays to a Taproot key, spent by a script.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// let lock = Lock::tapscript(vec![0x51]);
    /// assert!(matches!(ScriptKind::of(lock.script()), ScriptKind::P2tr { .. }));
    /// assert_eq!(lock.witness()[1], [0x51]);
    /// ```
    pub fn tapscript(script: Vec<u8>) -> Self {
        let leaf = sha256::Hash::hash(&script).to_byte_array();
        let control = [&[0xc0][..], &x_only("internal")].concat();
        Self::segwit(op::PUSHNUM_1, &leaf, vec![vec![1; 64], script, control])
    }

    /// Carries data, and pays nobody.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # use metashrew_test::Lock;
    /// let data = Lock::op_return(b"hi");
    /// assert_eq!(ScriptKind::of(data.script()), ScriptKind::OpReturn { data: b"\x02hi" });
    /// ```
    ///
    /// # Panics
    /// If there are more than 65,535 bytes.
    pub fn op_return(data: impl AsRef<[u8]>) -> Self {
        Self::from([&[op::RETURN][..], &push(data.as_ref())].concat())
    }

    fn segwit(version: u8, program: &[u8], witness: Vec<Vec<u8>>) -> Self {
        Self {
            script: [&[version], &push(program)[..]].concat(),
            unlocking: Vec::new(),
            witness,
        }
    }

    /// The locking script.
    ///
    /// ```
    /// # use metashrew_test::Lock;
    /// assert_eq!(Lock::from(&[0x51]).script(), [0x51]);
    /// ```
    pub fn script(&self) -> &[u8] {
        &self.script
    }

    /// The unlocking script.
    ///
    /// ```
    /// # use metashrew_test::Lock;
    /// assert!(!Lock::p2pkh("alice").unlocking().is_empty());
    /// assert!(Lock::p2wpkh("alice").unlocking().is_empty());
    /// ```
    pub fn unlocking(&self) -> &[u8] {
        &self.unlocking
    }

    /// The unlocking witness.
    ///
    /// ```
    /// # use metashrew_test::Lock;
    /// assert_eq!(Lock::p2wpkh("alice").witness().len(), 2); // Signature and key.
    /// ```
    pub fn witness(&self) -> &[Vec<u8>] {
        &self.witness
    }

    /// Whether nobody can ever spend it.
    pub(crate) fn is_unspendable(&self) -> bool {
        self.script.first() == Some(&op::RETURN)
    }
}

/// The locking script, in hexadecimal.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.script
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A script that nothing unlocks: its spends have neither script nor witness.
impl From<Vec<u8>> for Lock {
    fn from(script: Vec<u8>) -> Self {
        Self {
            script,
            unlocking: Vec::new(),
            witness: Vec::new(),
        }
    }
}

impl From<&[u8]> for Lock {
    fn from(script: &[u8]) -> Self {
        script.to_vec().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Lock {
    fn from(script: &[u8; N]) -> Self {
        script.to_vec().into()
    }
}

impl From<&Lock> for Lock {
    fn from(lock: &Lock) -> Self {
        lock.clone()
    }
}

/// A push of bytes, by the shortest opcode that holds them.
///
/// ```
/// use metashrew_test::push;
///
/// assert_eq!(push(b"hi"), b"\x02hi");
/// assert_eq!(push(&[7; 80])[..2], [0x4c, 80]);
/// ```
///
/// # Panics
/// If there are more than 65,535.
pub fn push(bytes: &[u8]) -> Vec<u8> {
    let [low, high, ..] = bytes.len().to_le_bytes();
    let start = match bytes.len() {
        ..=0x4b => vec![low],
        0x4c..=0xff => vec![op::PUSHDATA1, low],
        0x100..=0xffff => vec![op::PUSHDATA2, low, high],
        more => panic!("a push of {more} bytes"),
    };
    [&start, bytes].concat()
}

/// A name's compressed public key, in form.
fn key(name: &str) -> Vec<u8> {
    [&[2][..], &x_only(name)].concat()
}

fn x_only(name: &str) -> [u8; 32] {
    sha256::Hash::hash(name.as_bytes()).to_byte_array()
}

/// A name's signature, in DER's form, with its kind behind.
fn signature(name: &str) -> Vec<u8> {
    let number = [&[0x02, 32][..], &x_only(name)].concat();
    [&[0x30, 68][..], &number, &number, &[1]].concat()
}

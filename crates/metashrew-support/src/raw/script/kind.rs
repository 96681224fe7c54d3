//! The standard forms of locking scripts, as Bitcoin Core tells them apart.

use super::{Instruction, Instructions, instructions, op};

/// Keys that a bare multisig may have at most.
const MAX_MULTISIG_KEYS: u8 = 20;

/// Which of the standard forms a locking script has.
///
/// ```
/// use metashrew_support::raw::ScriptKind;
///
/// let script = [&[0x51, 0x20][..], &[7; 32]].concat();
/// assert_eq!(ScriptKind::of(&script), ScriptKind::P2tr { key: &[7; 32] });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptKind<'a> {
    /// To a public key itself, of 33 or 65 bytes.
    P2pk {
        /// The key, which need not be a point of the curve.
        key: &'a [u8],
    },
    /// To the hash of a public key.
    P2pkh {
        /// The hash.
        hash: &'a [u8; 20],
    },
    /// To the hash of a script.
    P2sh {
        /// The hash.
        hash: &'a [u8; 20],
    },
    /// To the hash of a public key, in segregated witness.
    P2wpkh {
        /// The hash.
        hash: &'a [u8; 20],
    },
    /// To the hash of a script, in segregated witness.
    P2wsh {
        /// The hash.
        hash: &'a [u8; 32],
    },
    /// To a Taproot output key.
    P2tr {
        /// The key.
        key: &'a [u8; 32],
    },
    /// Another witness program; `OP_1` and two bytes are the anchor (P2A).
    Witness {
        /// Its version, 0 to 16.
        version: u8,
        /// The program, of 2 to 40 bytes.
        program: &'a [u8],
    },
    /// Nobody can spend it: `OP_RETURN` is first.
    OpReturn {
        /// The script after it, which need not be pushes only.
        data: &'a [u8],
    },
    /// To some of several public keys.
    Multisig {
        /// How many must sign.
        required: u8,
        /// The keys.
        keys: MultisigKeys<'a>,
    },
    /// None of these.
    Other,
}

impl<'a> ScriptKind<'a> {
    /// Which form a script has.
    ///
    /// ```
    /// use metashrew_support::raw::ScriptKind;
    ///
    /// let script = [&[0, 20][..], &[7; 20]].concat();
    /// assert_eq!(ScriptKind::of(&script), ScriptKind::P2wpkh { hash: &[7; 20] });
    /// assert_eq!(ScriptKind::of(b"?"), ScriptKind::Other);
    /// ```
    pub fn of(script: &'a [u8]) -> Self {
        match *script {
            [
                op::DUP,
                op::HASH160,
                20,
                ref hash @ ..,
                op::EQUALVERIFY,
                op::CHECKSIG,
            ] => hash
                .try_into()
                .map_or(Self::Other, |hash| Self::P2pkh { hash }),
            [op::HASH160, 20, ref hash @ .., op::EQUAL] => hash
                .try_into()
                .map_or(Self::Other, |hash| Self::P2sh { hash }),
            [op::RETURN, ref data @ ..] => Self::OpReturn { data },
            [length @ (33 | 65), ref key @ .., op::CHECKSIG]
                if key.len() == length.into() && is_key(key) =>
            {
                Self::P2pk { key }
            }
            _ => witness_program(script)
                .or_else(|| multisig(script))
                .unwrap_or(Self::Other),
        }
    }
}

/// Whether bytes have a public key's length, as their first byte says it.
fn is_key(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(2 | 3) => bytes.len() == 33,
        Some(4 | 6 | 7) => bytes.len() == 65,
        _ => false,
    }
}

fn witness_program(script: &[u8]) -> Option<ScriptKind<'_>> {
    let [op, length @ 2..=40, program @ ..] = script else {
        return None;
    };
    if program.len() != usize::from(*length) {
        return None;
    }
    let version = match *op {
        op::FALSE => 0,
        op => Instruction::Op(op).small_number()?,
    };
    Some(match (version, program.len()) {
        (0, 20) => ScriptKind::P2wpkh {
            hash: program.try_into().ok()?,
        },
        (0, 32) => ScriptKind::P2wsh {
            hash: program.try_into().ok()?,
        },
        (1, 32) => ScriptKind::P2tr {
            key: program.try_into().ok()?,
        },
        _ => ScriptKind::Witness { version, program },
    })
}

/// `m`, keys, how many, `OP_CHECKMULTISIG`.
fn multisig(script: &[u8]) -> Option<ScriptKind<'_>> {
    let script = script.strip_suffix(&[op::CHECKMULTISIG])?;
    let mut rest = instructions(script);
    let required = count(&mut rest)?;
    let start = rest.rest();
    let mut found = 0u8;
    loop {
        let mut behind = rest.clone();
        match behind.next()?.ok()? {
            Instruction::Push(key) if is_key(key) => found = found.checked_add(1)?,
            _ => break,
        }
        rest = behind;
    }
    let keys = start.get(..start.len() - rest.rest().len())?;
    let fits = count(&mut rest)? == found && required <= found && rest.rest().is_empty();
    fits.then_some(ScriptKind::Multisig {
        required,
        keys: MultisigKeys { pushes: keys },
    })
}

/// A number from 1 to 20, written in as few bytes as can be.
fn count(instructions: &mut Instructions<'_>) -> Option<u8> {
    let before = instructions.rest().len();
    match instructions.next()?.ok()? {
        Instruction::Push([number @ 17..=MAX_MULTISIG_KEYS])
            if before - instructions.rest().len() == 2 =>
        {
            Some(*number)
        }
        other => other.small_number(),
    }
}

/// The public keys of a bare multisig.
///
/// ```
/// use metashrew_support::raw::ScriptKind;
///
/// let key = [&[33, 2][..], &[7; 32]].concat();
/// let script = [&[0x51][..], &key, &key, &[0x52, 0xae]].concat();
/// let ScriptKind::Multisig { required, keys } = ScriptKind::of(&script) else { panic!() };
/// assert_eq!((required, keys.iter().count()), (1, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultisigKeys<'a> {
    pushes: &'a [u8],
}

impl<'a> MultisigKeys<'a> {
    /// The keys, in order, each of 33 or 65 bytes.
    ///
    /// ```
    /// # use metashrew_support::raw::ScriptKind;
    /// # let script = [&[0x51, 33, 2][..], &[7; 32], &[0x51, 0xae]].concat();
    /// # let ScriptKind::Multisig { keys, .. } = ScriptKind::of(&script) else { panic!() };
    /// assert!(keys.iter().all(|key| key.len() == 33));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        super::pushes(self.pushes).map_while(|push| push)
    }
}

//! What a block is made of: the counts that the generator's proportions are
//! taken from and held against.

use std::collections::HashSet;

use bitcoin::{Block, Script, TxIn, Weight};

/// The kinds of output the generator knows, by script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Pay to public key hash.
    P2pkh,
    /// Pay to script hash; spent as a nested P2WPKH.
    P2sh,
    /// Pay to witness public key hash.
    P2wpkh,
    /// Pay to witness script hash.
    P2wsh,
    /// Pay to Taproot.
    P2tr,
    /// Data carrier, never spendable.
    OpReturn,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order of the arrays in [`Census`].
    pub const ALL: [Kind; 7] = [
        Self::P2pkh,
        Self::P2sh,
        Self::P2wpkh,
        Self::P2wsh,
        Self::P2tr,
        Self::OpReturn,
        Self::Other,
    ];

    /// The kind of an output script.
    pub fn of(script: &Script) -> Self {
        if script.is_p2pkh() {
            Self::P2pkh
        } else if script.is_p2sh() {
            Self::P2sh
        } else if script.is_p2wpkh() {
            Self::P2wpkh
        } else if script.is_p2wsh() {
            Self::P2wsh
        } else if script.is_p2tr() {
            Self::P2tr
        } else if script.is_op_return() {
            Self::OpReturn
        } else {
            Self::Other
        }
    }

    /// The kind an input most likely spends, by the form of its proof.
    pub fn spent_by(input: &TxIn) -> Self {
        let witness = &input.witness;
        if witness.is_empty() {
            // A signature and a key; longer ones reveal a multisig script.
            return if input.script_sig.len() <= 140 {
                Self::P2pkh
            } else {
                Self::P2sh
            };
        }
        if !input.script_sig.is_empty() {
            return Self::P2sh;
        }
        let last = witness.last().unwrap_or_default();
        match (witness.len(), last.len()) {
            (1, 64 | 65) => Self::P2tr,
            (2, 33) if last.first().is_some_and(|byte| matches!(byte, 2 | 3)) => Self::P2wpkh,
            (count, length)
                if count >= 2
                    && length >= 33
                    && (length - 33) % 32 == 0
                    && last.first().is_some_and(|byte| byte & 0xfe == 0xc0) =>
            {
                Self::P2tr
            }
            _ => Self::P2wsh,
        }
    }
}

/// Counts over one block, its coinbase left out unless said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Transactions, the coinbase included.
    pub transactions: usize,
    /// Bytes of the encoded block.
    pub size: usize,
    /// Weight of the block, in weight units.
    pub weight: u64,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Inputs by the kind they spend, as in [`Kind::ALL`].
    pub spent: [usize; 7],
    /// Outputs by kind, as in [`Kind::ALL`].
    pub created: [usize; 7],
    /// Inputs that spend an output of the same block.
    pub same_block: usize,
    /// Transactions with one input, two, and more.
    pub inputs_each: [usize; 3],
    /// Transactions with one output, two, and more.
    pub outputs_each: [usize; 3],
    /// Inputs that spend P2TR by a script.
    pub tapscripts: usize,
    /// Spendable output scripts, each counted once.
    pub scripts: usize,
    /// Bytes of `OP_RETURN` scripts.
    pub op_return_bytes: usize,
    /// Inputs that reveal an inscription-like envelope (`OP_FALSE OP_IF "ord"`).
    pub inscriptions: usize,
    /// Bytes of the witness elements with those envelopes.
    pub inscription_bytes: usize,
    /// Bytes of the longest of them.
    pub longest_inscription: usize,
}

impl Census {
    /// Counts a block.
    pub fn of(block: &Block) -> Self {
        let mut census = Self {
            transactions: block.txdata.len(),
            size: block.total_size(),
            weight: Weight::to_wu(block.weight()),
            ..Self::default()
        };
        let txids: HashSet<_> = block
            .txdata
            .iter()
            .map(bitcoin::Transaction::compute_txid)
            .collect();
        let mut scripts = HashSet::new();
        for transaction in block.txdata.iter().skip(1) {
            bump(
                &mut census.inputs_each,
                transaction.input.len().saturating_sub(1),
            );
            bump(
                &mut census.outputs_each,
                transaction.output.len().saturating_sub(1),
            );
            for input in &transaction.input {
                census.input(input);
                census.same_block += usize::from(txids.contains(&input.previous_output.txid));
            }
            for output in &transaction.output {
                census.outputs += 1;
                let kind = Kind::of(&output.script_pubkey);
                bump(&mut census.created, kind as usize);
                if kind == Kind::OpReturn {
                    census.op_return_bytes += output.script_pubkey.len();
                } else {
                    scripts.insert(&output.script_pubkey);
                }
            }
        }
        census.scripts = scripts.len();
        census
    }

    /// Inputs that spend a kind.
    pub fn spent(&self, kind: Kind) -> usize {
        self.spent.get(kind as usize).copied().unwrap_or_default()
    }

    /// Outputs of a kind.
    pub fn created(&self, kind: Kind) -> usize {
        self.created.get(kind as usize).copied().unwrap_or_default()
    }

    fn input(&mut self, input: &TxIn) {
        self.inputs += 1;
        let kind = Kind::spent_by(input);
        bump(&mut self.spent, kind as usize);
        self.tapscripts += usize::from(kind == Kind::P2tr && input.witness.len() > 1);
        let envelope = input
            .witness
            .iter()
            .find(|element| element.windows(ENVELOPE.len()).any(|part| part == ENVELOPE));
        if let Some(element) = envelope {
            self.inscriptions += 1;
            self.inscription_bytes += element.len();
            self.longest_inscription = self.longest_inscription.max(element.len());
        }
    }
}

/// `OP_FALSE OP_IF` and the push of "ord": how an inscription begins.
pub(crate) const ENVELOPE: &[u8] = b"\x00\x63\x03ord";

/// Counts one in a slot; the last slot takes all that is beyond.
fn bump(slots: &mut [usize], slot: usize) {
    let last = slots.len().saturating_sub(1);
    if let Some(count) = slots.get_mut(slot.min(last)) {
        *count += 1;
    }
}

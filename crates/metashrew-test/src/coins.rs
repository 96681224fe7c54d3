//! The unspent outputs of a chain.

use crate::{Lock, OutPoint, Tx};
use std::collections::BTreeMap;

/// Unspent outputs, by the script they pay to, in the order they were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coins {
    by_script: BTreeMap<Vec<u8>, Vec<(OutPoint, u64)>>,
    script_of: BTreeMap<OutPoint, (Vec<u8>, u64)>,
}

impl Coins {
    /// Takes out what a transaction spends, and puts in what it creates: its id.
    pub(crate) fn apply(&mut self, transaction: &Tx) -> [u8; 32] {
        for input in &transaction.inputs {
            if let Some((script, _)) = self.script_of.remove(&input.previous) {
                let coins = self.by_script.entry(script).or_default();
                coins.retain(|(outpoint, _)| *outpoint != input.previous);
            }
        }
        let txid = transaction.txid();
        for (vout, output) in (0..).zip(&transaction.outputs) {
            if output.lock.is_unspendable() {
                continue;
            }
            let outpoint = OutPoint { txid, vout };
            let script = output.lock.script().to_vec();
            self.script_of
                .insert(outpoint, (script.clone(), output.value));
            let coins = self.by_script.entry(script).or_default();
            coins.push((outpoint, output.value));
        }
        txid
    }

    /// The satoshi of an output, if it can be spent.
    pub(crate) fn value(&self, outpoint: &OutPoint) -> Option<u64> {
        self.script_of.get(outpoint).map(|(_, satoshi)| *satoshi)
    }

    /// All that was paid to a lock, oldest first.
    pub(crate) fn of(&self, lock: &Lock) -> Vec<(OutPoint, u64)> {
        self.by_script
            .get(lock.script())
            .cloned()
            .unwrap_or_default()
    }

    /// The oldest outputs of a lock that have so many satoshi together, but for those
    /// that a transaction spends already; and how many they have.
    pub(crate) fn pick(&self, lock: &Lock, wanted: u64, but_for: &Tx) -> (Vec<OutPoint>, u64) {
        let (mut picked, mut found) = (Vec::new(), 0);
        for (outpoint, satoshi) in self.of(lock) {
            let is_spent = but_for
                .inputs
                .iter()
                .any(|input| input.previous == outpoint);
            if found < wanted && !is_spent {
                picked.push(outpoint);
                found += satoshi;
            }
        }
        (picked, found)
    }
}

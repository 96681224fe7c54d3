//! What the views should say, counted naively.

use bitcoin::{Block, OutPoint, Txid};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Script = Vec<u8>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Recount {
    unspent: BTreeMap<OutPoint, Output>,
    scripts: BTreeMap<Script, Counted>,
}

#[derive(Debug, Clone)]
struct Output {
    script: Script,
    value: u64,
    height: u32,
    coinbase: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    received: u64,
    spent: u64,
    utxos: u32,
    /// Transaction, height, position, change.
    history: Vec<(Txid, u32, usize, i64)>,
}

impl Recount {
    pub(crate) fn add(&mut self, height: u32, block: &Block) {
        for (position, transaction) in block.txdata.iter().enumerate() {
            let txid = transaction.compute_txid();
            let mut changes: BTreeMap<Script, i64> = BTreeMap::new();
            for input in &transaction.input {
                if let Some(output) = self.unspent.remove(&input.previous_output) {
                    self.spend(&output);
                    *changes.entry(output.script).or_default() -=
                        i64::try_from(output.value).unwrap();
                }
            }
            for (vout, output) in (0..).zip(&transaction.output) {
                let script = output.script_pubkey.to_bytes();
                if script.first() == Some(&0x6a) || script.len() > 10_000 {
                    continue;
                }
                let value = output.value.to_sat();
                *changes.entry(script.clone()).or_default() += i64::try_from(value).unwrap();
                let counted = self.scripts.entry(script.clone()).or_default();
                counted.received += value;
                counted.utxos += 1;
                let output = Output {
                    script,
                    value,
                    height,
                    coinbase: position == 0,
                };
                if let Some(lost) = self.unspent.insert(OutPoint { txid, vout }, output) {
                    self.spend(&lost);
                }
            }
            for (script, change) in changes {
                let counted = self.scripts.entry(script).or_default();
                counted.history.push((txid, height, position, change));
            }
        }
    }

    fn spend(&mut self, output: &Output) {
        let counted = self.scripts.get_mut(&output.script).unwrap();
        counted.spent += output.value;
        counted.utxos -= 1;
    }

    pub(crate) fn scripts(&self) -> impl Iterator<Item = (&Script, &Counted)> {
        self.scripts.iter()
    }

    pub(crate) fn utxos(&self, script: &Script) -> Vec<Value> {
        let mine = self
            .unspent
            .iter()
            .filter(|(_, output)| output.script == *script);
        let answer = mine.map(|(outpoint, output)| {
            json!({
                "txid": outpoint.txid.to_string(), "vout": outpoint.vout, "value": output.value,
                "height": output.height, "coinbase": output.coinbase,
            })
        });
        answer.collect()
    }
}

impl Counted {
    pub(crate) fn balance(&self, height: u32) -> Value {
        json!({
            "height": height, "balance": self.received - self.spent,
            "received": self.received, "spent": self.spent,
            "utxos": self.utxos, "txs": self.history.len(),
        })
    }

    pub(crate) fn history(&self) -> Vec<Value> {
        let answer = self.history.iter().map(|(txid, height, position, change)| {
            json!({ "txid": txid.to_string(), "height": height, "position": position, "change": change })
        });
        answer.collect()
    }
}

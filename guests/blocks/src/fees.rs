//! A block's fees: what its inputs are worth less what its outputs are worth,
//! the coinbase aside.

use crate::keys::{self, OUTPUTS_PER_CHUNK};
use guest_wire::compact::{Reader, Writer};
use guest_wire::prefix_map::{PrefixMap, PrefixSet};
use metashrew_core::host;
use metashrew_support::raw::{Block, Transaction};
use std::collections::BTreeSet;
use std::ops::Range;

/// Keys and values to write.
pub(crate) type Writes = Vec<(Vec<u8>, Vec<u8>)>;

/// What the outputs of a block, and of those before it, are worth.
#[derive(Default)]
pub(crate) struct Fees {
    /// What this block's outputs are worth, one transaction after the other.
    values: Vec<u64>,
    /// Which part of it is whose.
    values_of: PrefixMap<[u8; 32], Range<usize>>,
    /// Chunks of earlier blocks' outputs that this one spends from.
    earlier: PrefixMap<([u8; 32], u32), Vec<u64>>,
}

impl Fees {
    /// The fees of a block in satoshi, `None` if an input is unknown; and what
    /// to write for the blocks that spend from this one.
    pub(crate) fn of(block: &Block) -> (Option<u64>, Writes) {
        let txids: Vec<_> = block
            .transactions()
            .map(|transaction| transaction.txid())
            .collect();
        let mut fees = Self {
            earlier: read_ahead(block, &txids),
            ..Self::default()
        };
        let mut sum = Some(0);
        let mut writes = Vec::new();
        for (position, (transaction, txid)) in block.transactions().zip(txids).enumerate() {
            if position > 0 {
                let paid = sum.and_then(|_| fees.paid(&transaction));
                sum = sum.zip(paid).map(|(sum, paid)| sum + paid);
            }
            let start = fees.values.len();
            fees.values
                .extend(transaction.outputs.iter().map(|output| output.value));
            let range = start..fees.values.len();
            writes.extend(writes_of(
                &txid,
                fees.values.get(start..).unwrap_or_default(),
            ));
            fees.values_of.insert(txid, range);
        }
        (sum, writes)
    }

    /// What a transaction pays, if all its inputs are known.
    fn paid(&mut self, transaction: &Transaction) -> Option<u64> {
        let mut inputs = 0;
        for input in transaction.inputs {
            inputs += self.value(input.txid, input.vout)?;
        }
        let outputs: u64 = transaction.outputs.iter().map(|output| output.value).sum();
        inputs.checked_sub(outputs)
    }

    fn value(&mut self, txid: &[u8; 32], vout: u32) -> Option<u64> {
        if let Some(range) = self.values_of.get(txid) {
            return self.values.get(range.clone())?.get(vout as usize).copied();
        }
        let chunk = vout / OUTPUTS_PER_CHUNK;
        let values = self
            .earlier
            .entry((*txid, chunk))
            .or_insert_with(|| decode(&host::read(&keys::values(txid, chunk))));
        values.get((vout % OUTPUTS_PER_CHUNK) as usize).copied()
    }
}

/// What the outputs of earlier blocks that this one spends from are worth, read at once.
fn read_ahead(block: &Block, txids: &[[u8; 32]]) -> PrefixMap<([u8; 32], u32), Vec<u64>> {
    let own: PrefixSet<_> = txids.iter().collect();
    let inputs = block
        .transactions()
        .skip(1)
        .flat_map(|transaction| transaction.inputs);
    let chunks: BTreeSet<_> = inputs
        .filter(|input| !own.contains(input.txid))
        .map(|input| (*input.txid, input.vout / OUTPUTS_PER_CHUNK))
        .collect();
    let keys: Vec<_> = chunks
        .iter()
        .map(|(txid, chunk)| keys::values(txid, *chunk))
        .collect();
    let values = host::read_many(&keys);
    chunks.into_iter().zip(values.iter().map(decode)).collect()
}

/// The writes that record what a transaction's outputs are worth.
fn writes_of(txid: &[u8; 32], values: &[u64]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..)
        .zip(values.chunks(OUTPUTS_PER_CHUNK as usize))
        .map(|(number, chunk)| (keys::values(txid, number), encode(chunk)))
}

fn encode(values: &[u64]) -> Vec<u8> {
    let mut writer = Writer::default();
    for value in values {
        writer.number(*value);
    }
    writer.finish()
}

fn decode(value: &[u8]) -> Vec<u64> {
    let mut reader = Reader::new(value);
    let mut values = Vec::new();
    while !reader.is_empty() {
        values.push(reader.number());
    }
    values
}

//! What a block needs of the state, read ahead in three calls of the host: what its inputs
//! spend, the scripts that it touches, and the pages that hold what is spent.
//!
//! It is a matter of speed only: who does not find a record here reads it.

use crate::created::{self, Created};
use crate::keys::{self, OUTPUTS_PER_CHUNK, ScriptId};
use crate::owner::{self, Owner, PAGE, Unspent};
use guest_wire::prefix_map::{PrefixMap, PrefixSet};
use metashrew_core::host;
use metashrew_support::raw::{Block, Input};
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// A block's hashes, each computed once.
pub(crate) struct Names {
    /// By position.
    pub(crate) txids: Vec<[u8; 32]>,
    /// Of all outputs, one after the other; an output that nobody can spend has none.
    pub(crate) scripts: Vec<Option<ScriptId>>,
}

impl Names {
    pub(crate) fn of(block: &Block) -> Self {
        let transactions = block.transactions();
        let outputs = transactions
            .clone()
            .flat_map(|transaction| transaction.outputs);
        let scripts = outputs
            .map(|output| (!output.is_unspendable()).then(|| keys::script_id(output.script)));
        Self {
            txids: transactions.map(|transaction| transaction.txid()).collect(),
            scripts: scripts.collect(),
        }
    }
}

/// A transaction's id and the chunk of its outputs.
type OutputsKey = ([u8; 32], u32);
/// A script and the number of a full page of its outputs.
type PageKey = (ScriptId, u32);

/// Records by their keys.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Outputs of earlier blocks.
    pub(crate) outputs: PrefixMap<OutputsKey, Vec<Option<Created>>>,
    pub(crate) owners: PrefixMap<ScriptId, Owner>,
    pub(crate) unspent_pages: PrefixMap<PageKey, Vec<Unspent>>,
}

impl Ahead {
    pub(crate) fn read(block: &Block, names: &Names) -> Self {
        let own: PrefixSet<_> = names.txids.iter().collect();
        let inputs = block
            .transactions()
            .flat_map(|transaction| transaction.inputs);
        let inputs = inputs.filter(|input| !input.is_coinbase());
        let earlier = || inputs.clone().filter(|input| !own.contains(input.txid));

        // A coinbase may have the id of an earlier one, whose outputs are lost then.
        let coinbase = names.txids.first().into_iter().flat_map(|txid| {
            let outputs = block
                .transactions()
                .next()
                .map_or(0, |first| first.outputs.len());
            let chunks = outputs.div_ceil(OUTPUTS_PER_CHUNK as usize);
            (0..).take(chunks).map(|chunk| (*txid, chunk))
        });
        let outputs = read_all(
            coinbase.chain(earlier().map(outputs_key)),
            |(txid, chunk)| keys::outputs(txid, *chunk),
            |_, value| created::decode(value),
        );
        let spent: Vec<_> = earlier()
            .filter_map(|input| {
                let chunk = outputs.get(&outputs_key(input))?;
                *chunk.get((input.vout % OUTPUTS_PER_CHUNK) as usize)?
            })
            .collect();
        let touched = names.scripts.iter().flatten().copied();
        let owners = read_all(
            touched.chain(spent.iter().map(|spent| spent.owner)),
            keys::owner,
            |_, value| Owner::decode(value),
        );
        let pages = spent.iter().filter_map(|spent| {
            let page = spent.sequence / PAGE;
            let newest = owners.get(&spent.owner)?.newest_unspent_page();
            (page != newest).then_some((spent.owner, page))
        });
        let unspent_pages = read_all(
            pages,
            |(id, page)| keys::unspent_page(id, *page),
            |(_, page), value| owner::decode_unspent(value, *page),
        );
        Self {
            outputs,
            owners,
            unspent_pages,
        }
    }
}

/// Where what an input spends is.
fn outputs_key(input: &Input) -> OutputsKey {
    (*input.txid, input.vout / OUTPUTS_PER_CHUNK)
}

/// Reads the records of all that is `wanted`, each once.
fn read_all<K: Copy + Eq + Hash, V: Default>(
    wanted: impl Iterator<Item = K>,
    key: impl Fn(&K) -> Vec<u8>,
    decode: impl Fn(&K, &[u8]) -> V,
) -> PrefixMap<K, V> {
    let mut records = PrefixMap::default();
    let distinct = wanted.filter(|wanted| match records.entry(*wanted) {
        Entry::Occupied(_) => false,
        Entry::Vacant(new) => {
            new.insert(V::default());
            true
        }
    });
    let distinct: Vec<K> = distinct.collect();
    let keys: Vec<_> = distinct.iter().map(key).collect();
    for (wanted, value) in distinct.iter().zip(host::read_many(&keys).iter()) {
        records.insert(*wanted, decode(wanted, value));
    }
    records
}

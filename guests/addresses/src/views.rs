//! `balance`, `utxos` and `history`.

use crate::keys::{self, ScriptId, TXIDS_PER_CHUNK};
use crate::owner::{Owner, PAGE, Place, Touch, Unspent, decode_history, decode_unspent};
use crate::question::{Order, Question};
use guest_wire::{Hash, json};
use metashrew_core::host;
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Entries of a list in one answer: by default, and at most.
const UTXOS: (u32, u32) = (1_000, 10_000);
const HISTORY: (u32, u32) = (100, 1_000);

#[derive(Serialize)]
struct BalanceAnswer {
    height: u32,
    balance: u64,
    received: u64,
    spent: u64,
    utxos: u32,
    txs: u32,
}

#[derive(Serialize)]
struct UtxosAnswer {
    height: u32,
    utxos: Vec<Utxo>,
    next: Option<u32>,
}

#[derive(Serialize)]
struct Utxo {
    txid: Hash,
    vout: u32,
    value: u64,
    height: u32,
    coinbase: bool,
}

#[derive(Serialize)]
struct HistoryAnswer {
    height: u32,
    total: u32,
    history: Vec<HistoryEntry>,
    next: Option<u32>,
}

#[derive(Serialize)]
struct HistoryEntry {
    txid: Hash,
    height: u32,
    position: u32,
    change: i64,
}

/// What a script has and had, in satoshi.
pub(crate) fn balance(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let owner = read_owner(&question.script_id()?);
        Ok(BalanceAnswer {
            height,
            balance: owner.received - owner.spent,
            received: owner.received,
            spent: owner.spent,
            utxos: owner.utxos,
            txs: owner.txs,
        })
    })
}

/// A script's unspent outputs, oldest first; `next` is the cursor to go on from.
pub(crate) fn utxos(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let id = question.script_id()?;
        let limit = question.limit(UTXOS.0, UTXOS.1)? as usize;
        let owner = read_owner(&id);
        let mut unspent = Vec::new();
        let start = question.cursor.unwrap_or(0);
        for page in start / PAGE..=owner.newest_unspent_page() {
            let here = unspent_page(&id, &owner, page).into_iter();
            unspent.extend(here.filter(|output| output.sequence >= start));
            if unspent.len() > limit {
                break;
            }
        }
        let next = unspent.get(limit).map(|output| output.sequence);
        unspent.truncate(limit);
        let mut txids = Txids::default();
        let utxos = unspent.iter().map(|output| Utxo {
            txid: txids.at(output.place),
            vout: output.vout,
            value: output.value,
            height: output.place.height,
            coinbase: output.place.position == 0,
        });
        Ok(UtxosAnswer {
            height,
            utxos: utxos.collect(),
            next,
        })
    })
}

/// The transactions that touched a script, each once; `next` is the offset to go
/// on from.
pub(crate) fn history(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |question: Question| {
        let id = question.script_id()?;
        let limit = question.limit(HISTORY.0, HISTORY.1)?;
        let owner = read_owner(&id);
        let total = owner.txs;
        let start = question.offset.unwrap_or(0).min(total);
        let end = start.saturating_add(limit).min(total);
        let newest_first = question.order == Some(Order::Desc);
        // The places of the wanted entries in the list, which is oldest first.
        let wanted = if newest_first {
            total - end..total - start
        } else {
            start..end
        };
        let mut touches = touches(&id, &owner, wanted);
        if newest_first {
            touches.reverse();
        }
        let mut txids = Txids::default();
        let history = touches.iter().map(|touch| HistoryEntry {
            txid: txids.at(touch.place),
            height: touch.place.height,
            position: touch.place.position,
            change: touch.change,
        });
        let history = history.collect();
        let next = (end < total).then_some(end);
        Ok(HistoryAnswer {
            height,
            total,
            history,
            next,
        })
    })
}

fn read_owner(id: &ScriptId) -> Owner {
    Owner::decode(&host::read(&keys::owner(id)))
}

/// A page of a script's outputs, as far as they are unspent.
fn unspent_page(id: &ScriptId, owner: &Owner, page: u32) -> Vec<Unspent> {
    if page == owner.newest_unspent_page() {
        return owner.unspent.clone();
    }
    decode_unspent(&host::read(&keys::unspent_page(id, page)), page)
}

/// The entries of a script's history at the places `wanted`.
fn touches(id: &ScriptId, owner: &Owner, wanted: std::ops::Range<u32>) -> Vec<Touch> {
    let mut touches = Vec::new();
    for page in wanted.start / PAGE..wanted.end.div_ceil(PAGE) {
        let entries = if page == owner.newest_history_page() {
            owner.history.clone()
        } else {
            decode_history(&host::read(&keys::history_page(id, page)))
        };
        let places = (page * PAGE..).zip(entries);
        touches.extend(
            places
                .filter(|(place, _)| wanted.contains(place))
                .map(|(_, touch)| touch),
        );
    }
    touches
}

/// Transaction ids by place; each chunk of them is read once.
#[derive(Default)]
struct Txids {
    chunks: BTreeMap<(u32, u32), Vec<u8>>,
}

impl Txids {
    fn at(&mut self, place: Place) -> Hash {
        let Place { height, position } = place;
        let chunk = position / TXIDS_PER_CHUNK;
        let ids = self
            .chunks
            .entry((height, chunk))
            .or_insert_with(|| host::read(&keys::txids(height, chunk)));
        let id = ids
            .chunks_exact(32)
            .nth((position % TXIDS_PER_CHUNK) as usize)
            .and_then(|id| id.first_chunk());
        Hash(*id.expect("a transaction's id is written with its block"))
    }
}

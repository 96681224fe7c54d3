//! `balance`, `utxos` and `history`.

use crate::keys::{self, ScriptId, TXIDS_PER_CHUNK};
use crate::owner::{Owner, PAGE, Place, Touch, Unspent, decode_history, decode_unspent};
use crate::question::{Order, Question};
use guest_wire::{Hash, json};
use metashrew_core::host;
use metashrew_core::range::{Entry, Range};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
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
        let start = question.cursor.unwrap_or(0);
        let mut unspent = unspent_from(&id, &owner, start, limit + 1);
        let next = unspent.get(limit).map(|output| output.sequence);
        unspent.truncate(limit);
        let txids = Txids::of(unspent.iter().map(|output| output.place));
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
        let txids = Txids::of(touches.iter().map(|touch| touch.place));
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

/// A script's unspent outputs from number `start` on: `wanted` of them, and what else is in the
/// last page of those. Pages of which all is spent are not there, and so cost nothing.
fn unspent_from(id: &ScriptId, owner: &Owner, start: u32, wanted: usize) -> Vec<Unspent> {
    let newest = owner.newest_unspent_page();
    let pages = Range::between(
        keys::unspent_page(id, start / PAGE),
        keys::unspent_page(id, newest),
    );
    let full = numbered(&pages).map(|(page, value)| decode_unspent(&value, page));
    let mut unspent = Vec::new();
    for page in full.chain([owner.unspent.clone()]) {
        unspent.extend(page.into_iter().filter(|output| output.sequence >= start));
        if unspent.len() >= wanted {
            break;
        }
    }
    unspent
}

/// The entries of a script's history at the places `wanted`.
fn touches(id: &ScriptId, owner: &Owner, wanted: std::ops::Range<u32>) -> Vec<Touch> {
    let newest = owner.newest_history_page();
    let (first, end) = (wanted.start / PAGE, wanted.end.div_ceil(PAGE));
    let pages = Range::between(
        keys::history_page(id, first),
        keys::history_page(id, end.min(newest)),
    );
    let full = numbered(&pages).map(|(page, value)| (page, decode_history(&value)));
    let last = (end > newest).then(|| (newest, owner.history.clone()));
    let entries = full
        .chain(last)
        .flat_map(|(page, entries)| (page * PAGE..).zip(entries));
    let wanted = entries.filter(|(place, _)| wanted.contains(place));
    wanted.map(|(_, touch)| touch).collect()
}

/// The records of a range, by the numbers that end their keys.
fn numbered(range: &Range) -> impl Iterator<Item = (u32, Vec<u8>)> {
    range.iter().map(|entry| {
        let Entry { key, value } = entry.expect("a page is a small part of what may be read");
        let number = key.last_chunk().expect("the keys end with a number");
        (u32::from_be_bytes(*number), value)
    })
}

/// Transaction ids by place, read all at once.
struct Txids {
    chunks: BTreeMap<(u32, u32), Vec<u8>>,
}

impl Txids {
    fn of(places: impl Iterator<Item = Place>) -> Self {
        let chunk = |place: Place| (place.height, place.position / TXIDS_PER_CHUNK);
        let wanted: BTreeSet<_> = places.map(chunk).collect();
        let keys = wanted
            .iter()
            .map(|(height, chunk)| keys::txids(*height, *chunk));
        let ids = host::read_many(&keys.collect::<Vec<_>>());
        let ids = ids.iter().map(<[u8]>::to_vec);
        Self {
            chunks: wanted.into_iter().zip(ids).collect(),
        }
    }

    fn at(&self, place: Place) -> Hash {
        let Place { height, position } = place;
        let ids = self.chunks.get(&(height, position / TXIDS_PER_CHUNK));
        let mut ids = ids.map_or(&[][..], Vec::as_slice).chunks_exact(32);
        let id = ids.nth((position % TXIDS_PER_CHUNK) as usize);
        let id = id.and_then(|id| id.try_into().ok());
        Hash(id.expect("a transaction's id is written with its block"))
    }
}

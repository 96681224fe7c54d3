//! Indexes a block: every script it touches is read once and written once.

use crate::ahead::{Ahead, Names};
use crate::created::{self, Created};
use crate::keys::{self, OUTPUTS_PER_CHUNK, ScriptId, TXIDS_PER_CHUNK};
use crate::owner::{self, Owner, PAGE, Place, Touch, Unspent};
use guest_wire::prefix_map::PrefixMap;
use metashrew_core::host;
use metashrew_support::raw::{Block, Input, ParseError, Transaction};
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

/// Indexes a block and flushes what it writes.
pub(crate) fn index(height: u32, block: &[u8]) -> Result<(), ParseError> {
    let block = Block::parse(block)?;
    let names = Names::of(&block);
    let mut indexing = Indexing::new(height, Ahead::read(&block, &names));
    let mut scripts = names.scripts.into_iter();
    let transactions = block.transactions().zip(names.txids);
    for (position, (transaction, txid)) in (0..).zip(transactions) {
        indexing.add(position, &transaction, txid, &mut scripts);
    }
    let writes = indexing.writes();
    host::flush(writes.iter().map(|(key, value)| (key, value)));
    Ok(())
}

/// A block half indexed.
struct Indexing {
    height: u32,
    txids: Vec<[u8; 32]>,
    /// The scripts met so far, in the order they were met.
    owners: Vec<Known>,
    owner_at: PrefixMap<ScriptId, usize>,
    /// What this block's transactions created, one after the other.
    created: Vec<Option<Created>>,
    /// Which part of it is whose.
    created_by: PrefixMap<[u8; 32], Range<usize>>,
    /// Records of the state that are not in use yet; chunks of outputs stay.
    ahead: Ahead,
    /// Full pages of outputs that this block changed, by owner and page.
    unspent_pages: BTreeMap<(usize, u32), Vec<Unspent>>,
    /// Pages of history that this block filled.
    history_pages: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A script met in this block.
struct Known {
    id: ScriptId,
    owner: Owner,
    /// The last transaction of this block that touched it.
    touched_by: Option<u32>,
}

impl Indexing {
    fn new(height: u32, ahead: Ahead) -> Self {
        Self {
            height,
            txids: Vec::new(),
            owners: Vec::new(),
            owner_at: PrefixMap::default(),
            created: Vec::new(),
            created_by: PrefixMap::default(),
            ahead,
            unspent_pages: BTreeMap::new(),
            history_pages: Vec::new(),
        }
    }

    /// Adds a transaction; its outputs' scripts are the next ones of `scripts`.
    fn add(
        &mut self,
        position: u32,
        transaction: &Transaction,
        txid: [u8; 32],
        scripts: &mut impl Iterator<Item = Option<ScriptId>>,
    ) {
        if position == 0 {
            self.overwrite(&txid, transaction.outputs.len());
        }
        for input in transaction
            .inputs
            .iter()
            .filter(|input| !input.is_coinbase())
        {
            self.spend(position, input);
        }
        let start = self.created.len();
        for ((vout, output), id) in (0..).zip(transaction.outputs).zip(scripts) {
            let created = id.map(|id| self.create(position, vout, output.value, id));
            self.created.push(created);
        }
        self.created_by.insert(txid, start..self.created.len());
        self.txids.push(txid);
    }

    /// Spends the output that an input names, if it was ever seen.
    fn spend(&mut self, position: u32, input: &Input) {
        let Some(spent) = self.created(input.txid, input.vout) else {
            return;
        };
        let at = self.owner_at(spent.owner);
        if self.take(at, spent.sequence) {
            self.touch(at, position, -signed(spent.value));
        }
    }

    /// Gives an output to its script.
    fn create(&mut self, position: u32, vout: u32, value: u64, id: ScriptId) -> Created {
        let at = self.owner_at(id);
        self.touch(at, position, signed(value));
        let place = self.place(position);
        let owner = &mut self.owners.get_mut(at).expect("was just met").owner;
        let sequence = owner.funded;
        if sequence > 0 && sequence % PAGE == 0 {
            let full = std::mem::take(&mut owner.unspent);
            if !full.is_empty() {
                self.unspent_pages
                    .insert((at, owner.newest_unspent_page()), full);
            }
        }
        owner.funded += 1;
        owner.utxos += 1;
        owner.received += value;
        owner.unspent.push(Unspent {
            sequence,
            place,
            vout,
            value,
        });
        Created {
            owner: id,
            sequence,
            value,
        }
    }

    /// Two coinbases of 2010 have the ids of earlier ones, whose outputs they
    /// make unspendable: these count as spent, by no transaction.
    fn overwrite(&mut self, txid: &[u8; 32], outputs: usize) {
        for vout in (0..).take(outputs) {
            if let Some(lost) = self.created(txid, vout) {
                let at = self.owner_at(lost.owner);
                self.take(at, lost.sequence);
            }
        }
    }

    /// What an outpoint holds, if it was ever seen.
    fn created(&mut self, txid: &[u8; 32], vout: u32) -> Option<Created> {
        if let Some(range) = self.created_by.get(txid) {
            return *self.created.get(range.clone())?.get(vout as usize)?;
        }
        let chunk = vout / OUTPUTS_PER_CHUNK;
        let outputs = self
            .ahead
            .outputs
            .entry((*txid, chunk))
            .or_insert_with(|| created::decode(&host::read(&keys::outputs(txid, chunk))));
        *outputs.get((vout % OUTPUTS_PER_CHUNK) as usize)?
    }

    /// Where in `owners` a script is; it is read when it is first met.
    fn owner_at(&mut self, id: ScriptId) -> usize {
        match self.owner_at.entry(id) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let known = self.ahead.owners.remove(&id);
                let owner = known.unwrap_or_else(|| Owner::decode(&host::read(&keys::owner(&id))));
                self.owners.push(Known {
                    id,
                    owner,
                    touched_by: None,
                });
                *new.insert(self.owners.len() - 1)
            }
        }
    }

    /// Takes an output off a script's unspent ones; `false` if it is not there.
    fn take(&mut self, at: usize, sequence: u32) -> bool {
        let known = self.owners.get_mut(at).expect("was just met");
        let page = sequence / PAGE;
        let unspent = if page == known.owner.newest_unspent_page() {
            &mut known.owner.unspent
        } else {
            self.unspent_pages.entry((at, page)).or_insert_with(|| {
                let ahead = self.ahead.unspent_pages.remove(&(known.id, page));
                let read = || host::read(&keys::unspent_page(&known.id, page));
                ahead.unwrap_or_else(|| owner::decode_unspent(&read(), page))
            })
        };
        let Some(found) = unspent
            .iter()
            .position(|output| output.sequence == sequence)
        else {
            return false;
        };
        let spent = unspent.remove(found);
        known.owner.spent += spent.value;
        known.owner.utxos -= 1;
        true
    }

    /// Notes in a script's history that a transaction changed its balance; several
    /// changes by one transaction are one entry.
    fn touch(&mut self, at: usize, position: u32, change: i64) {
        let place = self.place(position);
        let known = self.owners.get_mut(at).expect("was just met");
        let owner = &mut known.owner;
        if known.touched_by.replace(position) == Some(position) {
            let last = owner.history.last_mut().expect("this transaction is in it");
            last.change += change;
            return;
        }
        if owner.txs > 0 && owner.txs % PAGE == 0 {
            let key = keys::history_page(&known.id, owner.newest_history_page());
            self.history_pages
                .push((key, owner::encode_history(&owner.history)));
            owner.history.clear();
        }
        owner.txs += 1;
        owner.history.push(Touch { place, change });
    }

    fn place(&self, position: u32) -> Place {
        Place {
            height: self.height,
            position,
        }
    }

    /// All that the block writes.
    fn writes(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut writes = self.history_pages;
        writes.reserve(self.owners.len() + self.txids.len() * 2);
        for ((at, page), unspent) in &self.unspent_pages {
            let known = self.owners.get(*at).expect("pages belong to known owners");
            let key = keys::unspent_page(&known.id, *page);
            writes.push((key, owner::encode_unspent(unspent)));
        }
        for known in &self.owners {
            writes.push((keys::owner(&known.id), known.owner.encode()));
        }
        for txid in &self.txids {
            let range = self.created_by.get(txid).cloned().unwrap_or_default();
            let outputs = self.created.get(range).unwrap_or_default();
            writes.extend(created::writes(txid, outputs));
        }
        for (chunk, txids) in (0..).zip(self.txids.chunks(TXIDS_PER_CHUNK as usize)) {
            writes.push((keys::txids(self.height, chunk), txids.concat()));
        }
        writes
    }
}

/// An amount as a change. No output holds more than 21 million bitcoin.
fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("an amount is far below 2^63 satoshi")
}

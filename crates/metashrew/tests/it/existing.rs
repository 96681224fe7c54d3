//! A guest in the shape of those in the wild leaves the state that they leave.
//!
//! The expectation is counted here, in maps of keys and bytes, without the SDK: where
//! the SDK writes other bytes than it did, this test says which key.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Block, OutPoint, Transaction};
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::Store;
use metashrew_sync::{BlockFiles, IndexEnd, IndexOptions, Indexer, Stop};

use crate::harness::{guest, project};
use crate::mainnet::unpack;

#[derive(Default)]
struct Expected {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Expected {
    fn set(&mut self, key: &[&[u8]], value: &[u8]) {
        self.state.insert(key.concat(), value.to_vec());
    }

    fn get(&self, key: &[&[u8]]) -> &[u8] {
        self.state.get(&key.concat()).map_or(&[], Vec::as_slice)
    }

    fn number(&self, key: &[&[u8]]) -> u128 {
        let mut bytes = [0; 16];
        let value = self.get(key);
        bytes[..value.len()].copy_from_slice(value);
        u128::from_le_bytes(bytes)
    }

    fn small(&self, key: &[&[u8]]) -> u32 {
        self.number(key).try_into().unwrap()
    }

    /// Adds an item to the list at a key: its index.
    fn append(&mut self, list: &[u8], value: &[u8]) -> u32 {
        let length = self.small(&[list, b"/length"]);
        self.set(&[list, b"/length"], &(length + 1).to_le_bytes());
        self.set(&[list, format!("/{length}").as_bytes()], value);
        length
    }

    fn append_linked(&mut self, list: &[u8], value: &[u8]) -> u32 {
        let index = self.append(list, value);
        if index > 0 {
            let before = (index - 1).to_le_bytes();
            self.set(&[list, b"/next", &before], &index.to_le_bytes());
        }
        index
    }

    /// As the guests' state has it: only what is next to the item is looked at.
    fn delete_linked(&mut self, list: &[u8], index: u32) {
        let next = self.small(&[list, b"/next", &index.to_le_bytes()]);
        if self.small(&[list, b"/head"]) == index {
            self.set(&[list, b"/head"], &next.to_le_bytes());
        } else {
            let before = (index - 1).to_le_bytes();
            self.set(&[list, b"/next", &before], &next.to_le_bytes());
        }
        self.set(&[list, format!("/{index}").as_bytes()], &[0]);
    }

    fn shorten(&mut self, list: &[u8]) {
        let length = self.small(&[list, b"/length"]);
        self.set(&[list, b"/length"], &(length - 1).to_le_bytes());
    }

    fn index(&mut self, height: u32, block: &Block) {
        let at = height.to_le_bytes();
        let hash = block.block_hash().to_byte_array();
        self.set(&[b"/blockhash/byheight/", &at], &hash);
        self.set(&[b"/height/byblockhash/", &hash], &at);
        let (mut spent, mut rolled_back) = (0, 0);
        for tx in &block.txdata {
            let txid = tx.compute_txid().to_byte_array();
            self.append(&[b"/txids/byheight".as_slice(), &at].concat(), &txid);
            spent += self.spend(tx);
            self.create(tx, height);
            if tx.output.len() % 2 == 0 {
                rolled_back += 1;
                continue;
            }
            let lock_time = tx.lock_time.to_consensus_u32();
            let bytes = lock_time.to_le_bytes();
            let mark: &[u8] = if lock_time == 0 { &[0] } else { &bytes };
            let marks = self.append(b"/marks", mark) + 1;
            self.set(&[b"/mark/bytxid/", &txid], &marks.to_le_bytes());
        }
        self.sizes(height, block.total_size() as u64);
        self.set(
            &[b"/summary/byheight/", &at],
            &message(&[block.txdata.len(), spent, rolled_back]),
        );
    }

    fn spend(&mut self, tx: &Transaction) -> usize {
        let mut known = 0;
        for input in &tx.input {
            let outpoint = serialize(&input.previous_output);
            let script = self.get(&[b"/script/byoutpoint/", &outpoint]).to_vec();
            if script.len() <= 1 {
                continue;
            }
            known += 1;
            let position = self.small(&[b"/position/byoutpoint/", &outpoint]);
            let list = [b"/outpoints/byscript/", script.as_slice()].concat();
            self.delete_linked(&list, position);
            let balance = self.number(&[b"/balance/byscript/", &script])
                - self.number(&[b"/value/byoutpoint/", &outpoint]);
            self.set(&[b"/balance/byscript/", &script], &balance.to_le_bytes());
            self.set(&[b"/script/byoutpoint/", &outpoint], &[0]);
        }
        known
    }

    fn create(&mut self, tx: &Transaction, height: u32) {
        for (vout, output) in (0..).zip(&tx.output) {
            let script = output.script_pubkey.to_bytes();
            if output.script_pubkey.is_op_return() || script.len() <= 1 {
                continue;
            }
            let outpoint = serialize(&OutPoint::new(tx.compute_txid(), vout));
            let list = [b"/outpoints/byscript/", script.as_slice()].concat();
            let position = self.append_linked(&list, &outpoint);
            let value = output.value.to_sat();
            self.set(
                &[b"/position/byoutpoint/", &outpoint],
                &position.to_le_bytes(),
            );
            self.set(&[b"/value/byoutpoint/", &outpoint], &value.to_le_bytes());
            let balance = self.number(&[b"/balance/byscript/", &script]) + u128::from(value);
            self.set(&[b"/balance/byscript/", &script], &balance.to_le_bytes());
            self.set(&[b"/script/byoutpoint/", &outpoint], &script);
            self.set(&[b"/first/seen/byscript/", &script], &height.to_le_bytes());
        }
    }

    fn sizes(&mut self, height: u32, size: u64) {
        self.append(b"/sizes", &size.to_le_bytes());
        if height.is_multiple_of(7) {
            self.shorten(b"/sizes");
            self.append(b"/sizes", &[7; 8]);
        }
        if height.is_multiple_of(11) {
            self.shorten(b"/sizes");
        }
        if height.is_multiple_of(13) {
            let middle = self.small(&[b"/sizes/length"]) / 2;
            self.set(&[b"/sizes/", middle.to_string().as_bytes()], &[0]);
        }
        let [low, high, ..] = height.to_le_bytes();
        self.set(&[b"/sizes/last"], &[low, high]);
    }
}

/// Three numbers in protobuf; zeros are left out.
fn message(numbers: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, field) in numbers.iter().zip(1_u8..) {
        let mut rest = *number;
        if rest == 0 {
            continue;
        }
        bytes.push(field << 3);
        while rest >= 0x80 {
            bytes.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
            rest /= 0x80;
        }
        bytes.push(u8::try_from(rest).unwrap());
    }
    bytes
}

/// The state after a file of blocks has the keys that it should have, and their values.
fn check(file: &str, first: u32, blocks: impl IntoIterator<Item = Vec<u8>>) {
    let mut expected = Expected::default();
    for (height, block) in (first..).zip(blocks) {
        expected.index(height, &deserialize(&block).unwrap());
    }
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::load(guest("existing"), store.clone()).unwrap();
    let blocks = BlockFiles::open(&project(&format!("examples/{file}")), None).unwrap();
    let indexer = Indexer::new(runtime, Arc::new(blocks), IndexOptions::default());
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    assert!(expected.state.len() > 3000, "{}", expected.state.len());
    for entry in store.snapshot().latest().scan_prefix(b"") {
        let (key, version) = entry.unwrap();
        let expect = expected.state.remove(&key[..]);
        let name = String::from_utf8_lossy(&key);
        assert_eq!(Some(version.value.to_vec()), expect, "{name}");
    }
    assert_eq!(
        expected.state,
        BTreeMap::new(),
        "what the guest did not write"
    );
}

#[test]
fn the_first_blocks_leave_the_state_that_a_recount_has() {
    let file = "mainnet-blocks-1-255.dat.bz2";
    let blocks = unpack(&project(&format!("examples/{file}")));
    check(file, 1, blocks);
}

#[test]
fn full_blocks_leave_the_state_that_a_recount_has() {
    for height in [772_904, 840_243] {
        let file = format!("block-{height}.bin");
        let block = std::fs::read(project(&format!("examples/{file}"))).unwrap();
        check(&file, height, [block]);
    }
}

//! The state as the guests keep it, against a plain map.

use metashrew_support::raw::{Block, Output};
use sha2::{Digest, Sha256};

use super::fields::part;
use super::{GUESTS, Indexed, State, first_blocks, full_block};

/// What `fields` has after a block, by a plain map.
fn recount(state: &mut State, height: u32, block: &[u8], has_lists: bool) {
    let block = Block::parse(block).unwrap();
    let key_of = |output: &Output<'_>| [b"o/", output.script].concat();
    let mut keys = Vec::new();
    for (number, tx) in block.transactions().enumerate() {
        for output in tx.outputs {
            let sum = state.get(&key_of(output)).map_or(0, |value| {
                u64::from_le_bytes(value.as_slice().try_into().unwrap())
            });
            let sum = sum.wrapping_add(output.value).to_le_bytes();
            state.insert(key_of(output), sum.to_vec());
            keys.push(key_of(output));
        }
        if let (2, Some(first)) = (number % 3, tx.outputs.first()) {
            state.remove(&key_of(first));
        }
    }
    let inside = || state.range(b"o/".to_vec()..b"o0".to_vec());
    let digest = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut out = Vec::new();
        parts.for_each(|bytes| part(&mut out, bytes));
        Sha256::digest(out).to_vec()
    };
    let none = Vec::new();
    let forward = digest(&mut inside().flat_map(|(key, value)| [&key[..], value]));
    let back = digest(&mut inside().rev().flat_map(|(key, value)| [&key[..], value]));
    let keys_only = digest(&mut inside().rev().flat_map(|(key, _)| [&key[..], &[]]));
    let many = digest(&mut keys.iter().map(|key| &state.get(key).unwrap_or(&none)[..]));
    for (space, digest) in [
        ("f/", forward),
        ("r/", back),
        ("k/", keys_only),
        ("m/", many),
    ] {
        let key = [space.as_bytes(), &height.to_be_bytes()].concat();
        state.insert(key, digest);
    }
    if has_lists {
        recount_lists(state, height);
    }
}

/// The list of heights that the guest in AssemblyScript keeps by a `Pointer`.
fn recount_lists(state: &mut State, height: u32) {
    let heights = 1..=height;
    let item = |key: String, value: u32| (key.into_bytes(), value.to_le_bytes().to_vec());
    let items = heights.clone().map(|n| item(format!("l/{}", n - 1), n));
    state.extend(items);
    // The item that was popped keeps its value.
    state.extend([
        item("l/length".to_owned(), height),
        item(format!("l/{height}"), height * 2),
    ]);
    let sum: u64 = heights.map(u64::from).sum();
    let key = [&b"sum/"[..], &height.to_le_bytes()].concat();
    state.insert(key, sum.to_le_bytes().to_vec());
}

#[test]
fn the_state_is_read_and_written_alike() {
    let mut blocks = first_blocks();
    blocks.push(full_block(772_904));
    for name in GUESTS {
        let guest = Indexed::new(name);
        let (mut state, mut expect) = (State::new(), State::new());
        for (height, block) in (1..).zip(&blocks) {
            guest.index(height, block, &mut state);
            recount(&mut expect, height, block, name == "fields_as");
            if let Some(key) = first_difference(&state, &expect) {
                panic!("{name}: block {height}: key {}", key.escape_ascii());
            }
        }
        assert!(state.range(b"o/".to_vec()..b"o0".to_vec()).count() > 1_000);
    }
}

fn first_difference<'a>(state: &'a State, expect: &'a State) -> Option<&'a [u8]> {
    let keys = state.keys().chain(expect.keys());
    let mut differing = keys.filter(|key| state.get(*key) != expect.get(*key));
    differing.next().map(Vec::as_slice)
}

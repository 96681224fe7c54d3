//! The example of `docs/writing-guests.md`: a guest with a table, tested over a chain with a reorg.

use metashrew_core::storage::{Map, StorageError};
use metashrew_support::raw::Block;
use metashrew_test::{Chain, Indexer, Lock, assert_snapshot};

metashrew_core::storage! {
    pub fn tables;
    /// What every output ever paid to a script is worth, together.
    const RECEIVED: Map<Vec<u8>, u64> = Map::new("received") => (script);
}

fn index(_height: u32, block: &[u8]) -> Result<(), String> {
    let block = Block::parse(block).map_err(|error| error.to_string())?;
    let outputs = block.transactions().flat_map(|tx| tx.outputs);
    // That leaves out scripts too long for a key.
    let outputs = outputs.filter(|output| !output.is_unspendable());
    let count = |output: &metashrew_support::raw::Output<'_>| {
        let script = output.script.to_vec();
        let received = RECEIVED.get(&script)?.unwrap_or(0) + output.value;
        RECEIVED.set(&script, &received)
    };
    let counted: Result<(), StorageError> = outputs.into_iter().try_for_each(count);
    counted.map_err(|error| error.to_string())
}

fn received(_height: u32, script: &[u8]) -> Result<Vec<u8>, StorageError> {
    let satoshi = RECEIVED.get(script)?.unwrap_or(0);
    Ok(satoshi.to_string().into_bytes())
}

#[test]
fn what_a_script_received_follows_the_chain() {
    let alice = Lock::p2wpkh("alice");
    let mut chain = Chain::new();
    chain.mine(); // Coinbases pay a purse, which pays from the next block on.
    chain.pay(&alice, 1_000);
    chain.mine();
    chain.pay(&alice, 500);
    chain.mine();

    let mut indexer = Indexer::new(index).tables(tables());
    indexer.follow(&chain);
    assert_eq!(indexer.view(3, alice.script(), received), b"1500");
    assert_eq!(
        indexer.at(2, || RECEIVED.get(alice.script())),
        Ok(Some(1_000))
    );

    chain.reorg(1);
    chain.mine();
    indexer.follow(&chain);
    assert_eq!(indexer.view(3, alice.script(), received), b"1000");

    // The same answers from a guest that remembers, and from one that does not.
    indexer.check((1..=3).map(|height| (height, alice.script())), received);
    // Compared with a file; UPDATE_SNAPSHOTS=1 writes it.
    assert_snapshot("tests/snapshots/received.txt", &indexer.snapshot(3));
}

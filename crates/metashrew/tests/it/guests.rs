//! The example guests' modules do what their sources do.
//!
//! `guests/behaviour.json` holds the history root that each guest leaves over each
//! file of real blocks. The modules kept in `guests/wasm` must leave these roots,
//! and so must those that CI builds from the sources (`METASHREW_GUESTS` names
//! their directory): then the kept ones behave like their source.

use std::collections::BTreeMap;
use std::sync::Arc;

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::Store;
use metashrew_sync::{BlockFiles, IndexEnd, IndexOptions, Indexer, Stop};

use crate::harness::{guest, project};

const GUESTS: [&str; 8] = [
    "addresses",
    "blocks",
    "existing",
    "ledger",
    "memo",
    "payments",
    "session",
    "tally",
];
const BLOCKS: [&str; 3] = [
    "mainnet-blocks-1-255.dat.bz2",
    "block-772904.bin",
    "block-840243.bin",
];

/// History roots by guest and block file.
type Roots = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn every_module_leaves_the_roots_of_its_source() {
    let kept = std::fs::read_to_string(project("guests/behaviour.json")).unwrap();
    let kept: Roots = serde_json::from_str(&kept).unwrap();
    let left: Roots = GUESTS
        .iter()
        .map(|name| {
            let roots = BLOCKS
                .iter()
                .map(|file| ((*file).to_owned(), root(name, file)));
            ((*name).to_owned(), roots.collect())
        })
        .collect();
    assert_eq!(
        left,
        kept,
        "if the change is meant, guests/behaviour.json becomes:\n{}",
        serde_json::to_string_pretty(&left).unwrap()
    );
}

fn root(name: &str, blocks: &str) -> String {
    let store = Store::in_memory();
    let runtime = MetashrewRuntime::load(guest(name), store.clone()).unwrap();
    let blocks = BlockFiles::open(&project(&format!("examples/{blocks}")), None).unwrap();
    let indexer = Indexer::new(runtime, Arc::new(blocks), IndexOptions::default());
    assert_eq!(indexer.run(&Stop::new()).unwrap(), IndexEnd::Tip);
    store.snapshot().tip().unwrap().history_root.to_string()
}

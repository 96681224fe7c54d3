//! Every test guest loads, or is refused for its one fault.

use metashrew_runtime::{BlockError, LoadError, MetashrewRuntime};
use metashrew_store::Store;
use metashrew_testing::chain::Chain;
use metashrew_testing::guests;

#[test]
fn guests_do_with_a_block_what_their_names_say() {
    let mut chain = Chain::new(1).start(7);
    chain.mine(1);
    let keys = |wasm: Vec<u8>| -> Result<Option<usize>, LoadError> {
        let runtime = MetashrewRuntime::new(&wasm, Store::in_memory())?;
        match runtime.process_block(7, &chain.blocks()[0].bytes) {
            Ok(writes) => Ok(Some(writes.len())),
            Err(BlockError::Guest(_)) => Ok(None),
            Err(BlockError::Host(fault)) => panic!("{fault}"),
        }
    };
    for (wasm, expected) in [
        (guests::chained(), Some(3)),
        (guests::slow(1_000), Some(3)),
        (guests::traps_at(8), Some(3)),
        (guests::aborts_at(7), None),
        (guests::silent_at(7), None),
        (guests::silent(), None),
        (guests::empty_flush(), Some(0)),
        (guests::odd_flush(), None),
        (guests::bad_flush(), None),
        (guests::bad_flush_pointer(), None),
        (guests::many_flushes(), Some(3)),
        (guests::calls_unknown_import(), None),
        (guests::has_unknown_import(), Some(3)),
        (guests::no_start(), None),
        (guests::odd_start(), None),
        (guests::flush_only(5_000), Some(5_000)),
        (guests::rewriting(300), Some(300)),
    ] {
        assert_eq!(keys(wasm).unwrap(), expected);
    }
    assert!(matches!(
        keys(guests::no_memory()),
        Err(LoadError::MissingExport { name: "memory", .. })
    ));
}

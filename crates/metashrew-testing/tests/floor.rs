//! The floor runs the guests that benches compare with it.

use metashrew_testing::floor::{self, Floor};
use std::path::Path;

fn file(path: &str) -> Vec<u8> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read(project.join(path)).expect("a file of the project")
}

#[test]
fn guests_of_benches_index_two_blocks() {
    for guest in ["addresses", "blocks", "workload"] {
        let linked = floor::link(&file(&format!("guests/wasm/{guest}.wasm")));
        let mut floor = Floor::new(&linked);
        for (height, block) in (1..).zip(["block-772904.bin", "block-840243.bin"]) {
            let before = floor.written().keys;
            floor.index(height, &file(&format!("examples/{block}")));
            assert!(floor.written().keys > before, "{guest} wrote nothing");
        }
    }
}

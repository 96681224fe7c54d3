//! Previews: a block on top of another, and a view on that; nothing is kept.

use metashrew_runtime::{GuestFault, ViewError};
use metashrew_store::BlockId;
use metashrew_testing::guests;

use crate::{Bench, block, hash};

#[test]
fn a_preview_answers_what_the_view_will_once_the_block_is_there() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(3, 1);
    let before = bench.store.snapshot().tip().copied();
    let preview = bench
        .runtime
        .preview_sync(&block(4, 1), "get", b"acc", &BlockId::Latest)
        .unwrap();
    assert_eq!(preview.block.height, 3);
    assert_eq!(bench.store.snapshot().tip().copied(), before);

    bench.index(4, 1);
    assert_eq!(preview.bytes, bench.view("get", b"acc", &BlockId::Latest));
    assert_eq!(
        bench.view("height", b"", &BlockId::Latest),
        4u32.to_le_bytes()
    );
}

#[test]
fn a_preview_builds_on_any_block() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(9, 1);
    let other = Bench::new(&guests::chained());
    other.index_to(4, 1);
    other.index(5, 2);
    let preview = bench
        .runtime
        .preview_sync(&block(5, 2), "get", b"acc", &BlockId::Height(4))
        .unwrap();
    assert_eq!(preview.bytes, other.view("get", b"acc", &BlockId::Latest));
}

#[test]
fn what_fails_in_a_preview_is_told() {
    let bench = Bench::with(&guests::spins_at(2), |views| {
        views.timeout = std::time::Duration::from_millis(50);
    });
    bench.index_to(1, 1);
    let preview = |name: &str, at: BlockId| {
        bench
            .runtime
            .preview_sync(&block(2, 1), name, b"acc", &at)
            .unwrap_err()
    };
    assert!(matches!(
        preview("get", BlockId::Latest),
        ViewError::Timeout { .. }
    ));
    assert!(matches!(
        preview("none", BlockId::Latest),
        ViewError::NoSuchView { .. }
    ));
    assert!(matches!(
        preview("get", BlockId::Hash(hash(7, 7))),
        ViewError::Block(_)
    ));
    assert!(matches!(
        bench
            .runtime
            .preview_sync(&block(1, 2), "trap", b"", &BlockId::Height(0))
            .unwrap_err(),
        ViewError::Guest(GuestFault::Trap { .. })
    ));
}

//! Where a trap is told to be, however the guest is compiled.

use std::ops::RangeInclusive;
use std::time::Duration;

use metashrew_runtime::{
    BlockError, GuestFault, MetashrewRuntime, ModuleCache, RuntimeOptions, ViewError,
};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store, WriteSet};
use wasmparser::{Operator, Parser, Payload};

/// A guest whose `_start` and whose view `v` run this code.
fn trapping(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
             (memory (export "memory") 1)
             (global $zero (mut i32) (i32.const 0))
             (func $nothing)
             (func $trapping (local $n i32) {body})
             (func (export "_start") (call $trapping))
             (func (export "v") (result i32) (call $trapping) (i32.const 0)))"#
    ))
    .unwrap()
}

/// Where the last instruction is that `is_trap`, in the guest's own bytes, and where the branch,
/// the loop or the function begins that it is in.
fn place(wasm: &[u8], is_trap: fn(&Operator<'_>) -> bool) -> RangeInclusive<usize> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            let mut begin = body.range().start;
            for item in body
                .get_operators_reader()
                .unwrap()
                .into_iter_with_offsets()
            {
                let (operator, offset) = item.unwrap();
                if matches!(operator, Operator::If { .. } | Operator::Loop { .. }) {
                    begin = offset;
                }
                if is_trap(&operator) {
                    found = Some(begin..=offset);
                }
            }
        }
    }
    found.unwrap()
}

fn runtime(wasm: &[u8], block_timeout: Option<Duration>) -> MetashrewRuntime {
    let options = RuntimeOptions {
        cache: ModuleCache::Off,
        block_timeout,
        ..RuntimeOptions::default()
    };
    let store = Store::in_memory();
    let block = BlockRef::new(
        0,
        BlockHash::from_bytes([1; 32]),
        BlockHash::from_bytes([0; 32]),
    );
    store.commit(&block, &WriteSet::default()).unwrap();
    MetashrewRuntime::with_options(wasm, store, options).unwrap()
}

fn offset(fault: GuestFault) -> usize {
    let GuestFault::Trap { backtrace, .. } = fault else {
        panic!("{fault:?}");
    };
    let frame = backtrace.frames()[0].strip_prefix("trapping at 0x");
    usize::from_str_radix(frame.unwrap(), 16).unwrap()
}

/// Where the trap is told to be: in a block, in one that may be interrupted, in a view.
fn offsets(wasm: &[u8]) -> [usize; 3] {
    let of_block = |runtime: &MetashrewRuntime| match runtime.process_block(1, b"") {
        Err(BlockError::Guest(fault)) => offset(fault),
        other => panic!("{other:?}"),
    };
    let (plain, limited) = (
        runtime(wasm, None),
        runtime(wasm, Some(Duration::from_hours(1))),
    );
    let of_view = match plain.view_sync("v", b"", &BlockId::Latest) {
        Err(ViewError::Guest(fault)) => offset(fault),
        other => panic!("{other:?}"),
    };
    [of_block(&plain), of_block(&limited), of_view]
}

#[test]
fn a_trap_is_told_at_its_instruction() {
    let unreachable: fn(&Operator<'_>) -> bool = |op| matches!(op, Operator::Unreachable);
    let division: fn(&Operator<'_>) -> bool = |op| matches!(op, Operator::I32DivU);
    let load: fn(&Operator<'_>) -> bool = |op| matches!(op, Operator::I32Load { .. });
    for (body, is_trap) in [
        (
            "(global.set $zero (i32.const 1)) (unreachable)",
            unreachable,
        ),
        ("(call $nothing) (unreachable)", unreachable),
        (
            "(drop (i32.div_u (i32.const 1) (global.get $zero)))",
            division,
        ),
        (
            "(loop (drop (i32.div_u (i32.const 1) (global.get $zero))))",
            division,
        ),
        ("(drop (i32.load (i32.const 0x7fffffff)))", load),
        (
            "(drop (i32.load (i32.add (i32.const 0x7fffffff) (global.get $zero))))",
            load,
        ),
    ] {
        let wasm = trapping(body);
        let place = *place(&wasm, is_trap).end();
        assert_eq!(offsets(&wasm), [place; 3], "{body}");
    }
}

/// The compiler makes one instruction of a branch and of an `unreachable` that is all of a
/// branch. A check whether to interrupt the guest, at the beginning of a loop or a function, is
/// a branch, too.
#[test]
fn an_unreachable_is_told_at_the_branch_before_it_at_the_earliest() {
    for body in [
        "(unreachable)",
        "(nop) (unreachable)",
        "(if (i32.eqz (global.get $zero)) (then (unreachable)))",
        "(loop (unreachable))",
        "(loop $again
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (if (i32.eq (local.get $n) (i32.const 7)) (then (unreachable)))
           (br $again))",
    ] {
        let wasm = trapping(body);
        let place = place(&wasm, |op| matches!(op, Operator::Unreachable));
        for offset in offsets(&wasm) {
            assert!(
                place.contains(&offset),
                "{body}: {offset:#x}, not {place:x?}"
            );
        }
    }
}

//! A guest's recursion ends at the same depth wherever it runs, and never at the end of the
//! machine's own stack.

use std::thread;

use metashrew_runtime::{BlockError, GuestFault, Route, ViewCall, ViewError};
use metashrew_store::BlockId;

use crate::Bench;

/// `_start` and the view `descend` go as deep as their payload's first four bytes say.
const DESCENDS: &str = r#"(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\06\00\00\00\0a\01k\0a\01v")
  (func $down (param $depth i32) (result i32)
    (if (result i32) (i32.eqz (local.get $depth))
      (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $down (i32.sub (local.get $depth) (i32.const 1)))))))
  (func $descend (result i32)
    (call $load_input (i32.const 104))
    (call $down (i32.load (i32.const 108))))
  (func (export "_start")
    (drop (call $descend))
    (call $flush (i32.const 4)))
  (func (export "descend") (result i32)
    (i32.store (i32.const 64) (i32.const 4))
    (i32.store (i32.const 68) (call $descend))
    (i32.const 68)))"#;

fn is_overflow(fault: &GuestFault) -> bool {
    matches!(fault, GuestFault::Trap { trap, backtrace }
        if trap.contains("call stack exhausted") && backtrace.frames()[0].starts_with("down at 0x"))
}

/// Whether a block may go so deep.
fn indexes(bench: &Bench, depth: u32) -> bool {
    match bench.runtime.process_block(0, &depth.to_le_bytes()) {
        Ok(_) => true,
        Err(BlockError::Guest(fault)) if is_overflow(&fault) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whether a view may go so deep.
fn views(bench: &Bench, depth: u32, route: Route<'_>) -> bool {
    let input = depth.to_le_bytes();
    let call = ViewCall {
        route,
        ..ViewCall::new("descend", &input)
    };
    match bench.runtime.call_sync(call) {
        Ok(answer) => answer.bytes == input[..],
        Err(ViewError::Guest(fault)) if is_overflow(&fault) => false,
        Err(error) => panic!("{error}"),
    }
}

/// The greatest depth that is possible.
fn deepest(possible: impl Fn(u32) -> bool) -> u32 {
    let (mut possible_depth, mut impossible) = (0, 1 << 24);
    while impossible - possible_depth > 1 {
        let depth = u32::midpoint(possible_depth, impossible);
        if possible(depth) {
            possible_depth = depth;
        } else {
            impossible = depth;
        }
    }
    possible_depth
}

#[test]
fn a_recursion_ends_at_the_same_depth_in_blocks_and_views_on_any_thread() {
    let bench = Bench::new(&wat::parse_str(DESCENDS).unwrap());
    bench.commit(0, 1, &bench.runtime.process_block(0, &[0; 4]).unwrap());
    let depth = deepest(|depth| indexes(&bench, depth));
    // Far more than the stacks of the threads below have room for.
    assert!(depth > 50_000, "{depth}");
    let check = || {
        assert!(indexes(&bench, depth) && !indexes(&bench, depth + 1));
        for route in [Route::Pooled, Route::Fresh] {
            assert!(views(&bench, depth, route) && !views(&bench, depth + 1, route));
        }
        let block = depth.to_le_bytes();
        let preview = |block: &[u8]| {
            let at = BlockId::Latest;
            bench.runtime.preview_sync(block, "descend", block, &at)
        };
        assert_eq!(preview(&block).unwrap().bytes, block[..]);
        assert!(preview(&(depth + 1).to_le_bytes()).is_err());
    };
    check();
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(256 * 1024);
        small.spawn_scoped(scope, check).unwrap().join().unwrap();
    });
}

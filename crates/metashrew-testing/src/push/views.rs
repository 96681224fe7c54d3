//! A guest whose views can be subscribed to.

use crate::guests::from_wat;

/// Views in WebAssembly text, without an SDK: the value of a key; the value of the key which that
/// value is; the height and the value of a key. The answers of the first two do not depend on the
/// height, and they say so. It tells of the tables `items`, whose keys begin with `k`, and `fifth`,
/// with `k` and 5. A block writes `x` to the key of `k`, 5 and `p`, and `y` to that of `k`, 6 and `p`.
pub fn without_sdk() -> Vec<u8> {
    from_wat(
        r#"(module
          (import "env" "__host_len" (func $host_len (result i32)))
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__get_len" (func $get_len (param i32) (result i32)))
          (import "env" "__get" (func $get (param i32 i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (memory (export "memory") 8)
          ;; A `KeyValueFlush`, and an `IndexerMetadata { storage }`, their lengths before them.
          (data (i32.const 1000) "\10\00\00\00\0a\03k\05p\0a\01x\0a\03k\06p\0a\01y")
          (data (i32.const 2000) "\19\00\00\00\32\0a\0a\05items\12\01k\32\0b\0a\05fifth\12\02k\05")
          (func (export "__meta") (result i32) (i32.const 2004))
          (func (export "_start") (call $flush (i32.const 1004)))
          (global (export "__metashrew_height_independent.get") i32 (i32.const 1))
          (global (export "__metashrew_height_independent.chain") i32 (i32.const 1))
          ;; The input, its length before it; the height lies at 16.
          (func $load (result i32)
            (call $load_input (i32.const 65540))
            (i32.store (i32.const 16) (i32.load (i32.const 65540)))
            (i32.store (i32.const 65540) (i32.sub (call $host_len) (i32.const 4)))
            (i32.const 65544))
          (func $read (param $key i32) (param $out i32) (result i32)
            (i32.store (i32.sub (local.get $out) (i32.const 4)) (call $get_len (local.get $key)))
            (call $get (local.get $key) (local.get $out))
            (local.get $out))
          (func (export "get") (result i32)
            (call $read (call $load) (i32.const 131076)))
          (func (export "chain") (result i32)
            (call $read (call $read (call $load) (i32.const 131076)) (i32.const 262148)))
          (func (export "height") (result i32)
            (drop (call $read (call $load) (i32.const 131080)))
            (i32.store (i32.const 131072)
              (i32.add (i32.const 4) (i32.load (i32.const 131076))))
            (i32.store (i32.const 131076) (i32.load (i32.const 16)))
            (i32.const 131076)))"#,
    )
}

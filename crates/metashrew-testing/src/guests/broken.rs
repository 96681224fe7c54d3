//! Guests that break the contract between guest and host, whatever the block.

use super::{MEMORY, SHARED, VIEWS, compile, module, started, with_data};

/// Never flushes.
pub fn silent() -> Vec<u8> {
    started("(drop (call $load))")
}

/// Flushes a key without a value.
pub fn odd_flush() -> Vec<u8> {
    with_data(
        "\\03\\00\\00\\00\\0a\\01k",
        "(call $flush (i32.const 4000))",
    )
}

/// Flushes what is not a `KeyValueFlush`: an element longer than the message.
pub fn bad_flush() -> Vec<u8> {
    with_data(
        "\\03\\00\\00\\00\\0a\\7fk",
        "(call $flush (i32.const 4000))",
    )
}

/// Flushes from beyond its memory.
pub fn bad_flush_pointer() -> Vec<u8> {
    with_data("", "(call $flush (i32.const 0x7ffffff0))")
}

/// Calls an import that no host provides.
pub fn calls_unknown_import() -> Vec<u8> {
    unknown_import("(call $mystery (i32.const 0))")
}

/// Imports what no host provides, and calls it in the view `mystery` only.
pub fn has_unknown_import() -> Vec<u8> {
    unknown_import("")
}

/// Has no `_start`.
pub fn no_start() -> Vec<u8> {
    module(MEMORY, VIEWS)
}

/// Does not export its memory.
pub fn no_memory() -> Vec<u8> {
    module(
        "(memory 2)",
        r#"(func (export "_start") (call $chain (call $load)))"#,
    )
}

/// Has a `_start` that takes a parameter.
pub fn odd_start() -> Vec<u8> {
    module(MEMORY, r#"(func (export "_start") (param i32))"#)
}

fn unknown_import(start: &str) -> Vec<u8> {
    let import = r#"(import "env" "__mystery" (func $mystery (param i32)))"#;
    let body = format!(
        r#"
  (func (export "_start") {start} (call $chain (call $load)))
  (func (export "mystery") (result i32) (call $mystery (i32.const 0)) (unreachable))
{VIEWS}"#
    );
    compile(&format!("(module {import} {SHARED} {MEMORY} {body})"))
}

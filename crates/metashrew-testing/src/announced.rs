//! Small guests that are told where a call begins, and whose views return errors.

use crate::guests::from_wat;

const GUEST: &str = include_str!("announced.wat");

/// Counts the calls that it was told of, and has views that return errors: `told`, `since`,
/// `written`, `echo`, `fail`, `tires`. An input that begins with `t` or `s` has it trap or go on
/// without end when it is told; with `T`, `S` or `B`, when it is asked for an error's text, or
/// gives a bad pointer then. `announced.wat`, beside this file, says what each view does.
pub fn announced() -> Vec<u8> {
    exporting(&format!("{BEGIN} {ERROR}"))
}

/// The same, and its memory is kept from one block to the next.
pub fn announced_across_blocks() -> Vec<u8> {
    exporting(&format!(
        r#"{BEGIN} {ERROR} (func (export "__metashrew_memory_across_blocks"))"#
    ))
}

/// The same without the two exports.
pub fn unannounced() -> Vec<u8> {
    exporting("")
}

/// The same with exports of those names that have other types.
pub fn oddly_announced() -> Vec<u8> {
    exporting(
        r#"(func (export "__metashrew_begin") (param i64) (call $began (i32.const 1)))
           (func (export "__metashrew_error") (param i32) (result i64) (i64.const 1028))"#,
    )
}

const BEGIN: &str = r#"(func (export "__metashrew_begin") (param $kind i32)
  (call $began (local.get $kind)))"#;

const ERROR: &str = r#"(func (export "__metashrew_error") (param i32) (result i32)
  (call $text))"#;

fn exporting(what: &str) -> Vec<u8> {
    from_wat(&format!("(module {GUEST} {what})"))
}

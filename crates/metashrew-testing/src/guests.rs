//! Small guests in WebAssembly text: a well-behaved one, and one for each way
//! to misbehave. Every function answers the compiled module.
//!
//! The well-behaved `_start` reads and writes, so that a host that mixes up
//! states ends with other bytes: `acc` (8 bytes) becomes
//! `acc * 6364136223846793005 + height + first 8 bytes of the merkle root`, all
//! modulo 2^64 and little-endian; `acc/` and `hdr/` followed by the height (u32
//! BE) keep that value and the block's header.

mod broken;
mod many_keys;

pub use broken::{
    bad_flush, bad_flush_pointer, calls_unknown_import, has_unknown_import, no_memory, no_start,
    odd_flush, odd_start, silent,
};
pub use many_keys::{flush_only, reading, rewriting, rewriting_values};

pub(crate) const SHARED: &str = include_str!("guests.wat");
pub(crate) const VIEWS: &str = include_str!("views.wat");
pub(crate) const MEMORY: &str = r#"(memory (export "memory") 2)"#;

/// The well-behaved guest, and a view for every behaviour, good and bad:
/// `echo`, `height`, `get`, `counter`, `cached_get`, `trap`, `spin`, `overflow`,
/// `abort_view`, `bad_key`, `bad_key_length`, `bad_out`, `bad_input`, `bad_log`,
/// `bad_answer`, `bad_answer_length`, `null_answer`, `grow_4gib`, `leak`, `devour`,
/// `flushing_view`; and `not_a_view`, which takes a parameter. `views.wat`, beside
/// this file, says what each does.
pub fn chained() -> Vec<u8> {
    started("(call $chain (call $load))")
}

/// The well-behaved guest, whose views' answers do not depend on the height itself: it says so.
pub fn height_independent() -> Vec<u8> {
    started(
        r#"(call $chain (call $load)))
           (func (export "__metashrew_height_independent")"#,
    )
}

/// The well-behaved guest, but it traps at a height.
pub fn traps_at(height: u32) -> Vec<u8> {
    started_but_at(height, "(unreachable)")
}

/// The well-behaved guest, but it aborts with "out of tea" at a height.
pub fn aborts_at(height: u32) -> Vec<u8> {
    started_but_at(height, "(drop (call $abort_with))")
}

/// The well-behaved guest, but it never returns at a height.
pub fn spins_at(height: u32) -> Vec<u8> {
    started_but_at(height, "(loop $again (br $again))")
}

/// The well-behaved guest, but it flushes nothing at a height.
pub fn silent_at(height: u32) -> Vec<u8> {
    started_but_at(height, "(return)")
}

/// The well-behaved guest, but it flushes a key `kkkk` with a value of 1 MiB, again and
/// again, without end, at a height.
pub fn floods_at(height: u32) -> Vec<u8> {
    started_but_at(height, FLOOD)
}

/// Flushes without end in its view `flood`, and writes nothing.
pub fn floods_in_view() -> Vec<u8> {
    let body = format!(
        r#"(func (export "_start") (call $flush (i32.const 1796)))
           (func (export "flood") (result i32) {FLOOD} (unreachable))"#
    );
    module(MEMORY, &body)
}

/// A message of 1 MiB and 10 bytes at 131,076: the key `kkkk` and zeros.
const FLOOD: &str = "
  (drop (memory.grow (i32.const 17)))
  (i32.store (i32.const 131072) (i32.const 1048586))
  (i32.store (i32.const 131076) (i32.const 0x6b6b040a))
  (i32.store (i32.const 131080) (i32.const 0x800a6b6b))
  (i32.store16 (i32.const 131084) (i32.const 0x4080))
  (loop $again (call $flush (i32.const 131076)) (br $again))";

/// The well-behaved guest, but it asks for memory without end at a height,
/// touching all it gets, and traps when it gets no more.
pub fn devours_memory_at(height: u32) -> Vec<u8> {
    started_but_at(
        height,
        "(loop $again (drop (call $leak_pages)) (br $again))",
    )
}

/// The well-behaved guest, but it takes about this many turns of an empty loop
/// for each block.
pub fn slow(turns: u32) -> Vec<u8> {
    started(&format!(
        "(local $left i32)
         (local.set $left (i32.const {turns}))
         (loop $again
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         (call $chain (call $load))"
    ))
}

/// The well-behaved guest, but making an instance takes about this many turns of an
/// empty loop.
pub fn slow_to_make(turns: u32) -> Vec<u8> {
    made_by(&format!(
        "(local $left i32)
         (local.set $left (i32.const {turns}))
         (loop $again
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))"
    ))
}

/// The well-behaved guest, but an instance can be made only where the state has `acc`.
pub fn needs_state() -> Vec<u8> {
    made_by("(if (i32.eqz (call $get_len (i32.const 16))) (then (unreachable)))")
}

/// The well-behaved guest, but an instance for views can be made only where the state
/// has `acc`.
pub fn needs_state_for_views() -> Vec<u8> {
    // A view's input is empty, or short: a block is not.
    made_by(
        "(if (i32.and (i32.eqz (call $get_len (i32.const 16)))
                      (i32.lt_u (call $host_len) (i32.const 80)))
           (then (unreachable)))",
    )
}

/// The well-behaved guest, but at heights above `first` it traps where the state does not
/// hold what the block before wrote.
pub fn needs_the_block_before(first: u32) -> Vec<u8> {
    without_the_block_before(first, "(unreachable)")
}

/// The well-behaved guest, but at heights above `first` it never returns where the state
/// does not hold what the block before wrote.
pub fn spins_without_the_block_before(first: u32) -> Vec<u8> {
    without_the_block_before(first, "(loop $again (br $again))")
}

fn without_the_block_before(first: u32, then: &str) -> Vec<u8> {
    let body = format!(
        r#"
  (data (i32.const 3996) "\08\00\00\00hdr/")
  (func (export "_start")
    (local $block i32)
    (local.set $block (call $load))
    (call $store_be (i32.const 4004) (i32.sub (global.get $height) (i32.const 1)))
    (if (i32.gt_u (global.get $height) (i32.const {first}))
      (then (if (i32.eqz (call $get_len (i32.const 4000))) (then {then}))))
    (call $chain (local.get $block)))
{VIEWS}"#
    );
    module(MEMORY, &body)
}

/// The well-behaved guest, but it logs each block first.
pub fn logging() -> Vec<u8> {
    with_data(
        "\\05\\00\\00\\00block",
        "(call $log (i32.const 4000)) (call $chain (i32.const 65544))",
    )
}

/// The well-behaved guest, but from a height on it takes every merkle root to begin with 7:
/// from there it writes the same keys with other values.
pub fn differs_from(height: u32) -> Vec<u8> {
    differs(&format!(
        "(i32.ge_u (global.get $height) (i32.const {height}))"
    ))
}

/// As [`differs_from`], but at one height only.
pub fn differs_at(height: u32) -> Vec<u8> {
    differs(&format!(
        "(i32.eq (global.get $height) (i32.const {height}))"
    ))
}

fn differs(when: &str) -> Vec<u8> {
    let body = format!(
        r#"
  (func (export "_start") (local $block i32)
    (local.set $block (call $load))
    (if {when} (then (i64.store offset=36 (local.get $block) (i64.const 7))))
    (call $chain (local.get $block)))
{VIEWS}"#
    );
    module(MEMORY, &body)
}

/// The well-behaved guest, but its memory has this many pages of 64 KiB from the start.
pub fn large(pages: u32) -> Vec<u8> {
    module(
        &format!(r#"(memory (export "memory") {pages})"#),
        &format!(r#"(func (export "_start") (call $chain (call $load))) {VIEWS}"#),
    )
}

/// The well-behaved guest with one more view, `long`, that answers so many zeros.
pub fn verbose(bytes: u32) -> Vec<u8> {
    let end = 65_544 + bytes;
    module(
        MEMORY,
        &format!(
            r#"
  (func (export "_start") (call $chain (call $load)))
  (func (export "long") (result i32)
    (drop (call $load))
    (call $reach (i32.const {end}))
    (i32.store (i32.const 65540) (i32.const {bytes}))
    (i32.const 65544))
{VIEWS}"#
        ),
    )
}

/// A guest with a maximum of 4 MiB of memory that never frees any, as AssemblyScript's
/// stub runtime: its view `allocate` takes 100,000 bytes at each call, answers its
/// input there, and traps when there are no more. `_start` is the well-behaved one.
pub fn never_frees() -> Vec<u8> {
    module(
        r#"(memory (export "memory") 3 64)"#,
        r#"
  (global $next (mut i32) (i32.const 131072))
  (func (export "_start") (call $chain (call $load)))
  (func (export "allocate") (result i32)
    (local $at i32) (local $length i32)
    (drop (call $load))
    (local.set $at (i32.add (global.get $next) (i32.const 4)))
    (global.set $next (i32.add (global.get $next) (i32.const 100000)))
    (call $reach (global.get $next))
    (local.set $length (i32.load (i32.const 65540)))
    (i32.store (i32.sub (local.get $at) (i32.const 4)) (local.get $length))
    (memory.copy (local.get $at) (i32.const 65544) (local.get $length))
    (local.get $at))"#,
    )
}

/// Flushes an empty list: a block that writes nothing.
pub fn empty_flush() -> Vec<u8> {
    started("(drop (call $load)) (call $flush (i32.const 1796))")
}

/// Flushes three times: `a`=1 `b`=1, then nothing, then `b`=2 `c`= (empty).
pub fn many_flushes() -> Vec<u8> {
    with_data(
        "\\0c\\00\\00\\00\\0a\\01a\\0a\\011\\0a\\01b\\0a\\011\\00\\00\\00\\00\\0b\\00\\00\\00\\0a\\01b\\0a\\012\\0a\\01c\\0a\\00",
        "(call $flush (i32.const 4000)) (call $flush (i32.const 4016)) (call $flush (i32.const 4020))",
    )
}

/// Logs a text at every block, which writes nothing.
pub fn logs(text: &str) -> Vec<u8> {
    with_data(
        &buffer(text.as_bytes()),
        "(call $log (i32.const 4000)) (call $flush (i32.const 1796))",
    )
}

/// Aborts with a text at every block, as AssemblyScript does: in UTF-16.
pub fn aborts_saying(text: &str) -> Vec<u8> {
    let text: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let abort = "(call $abort (i32.const 4000) (i32.const 0) (i32.const 7) (i32.const 3))";
    with_data(&buffer(&text), abort)
}

/// The well-behaved guest with three tables. Its view `through` answers 7 from the
/// first, 9 from the second, and what growing the third gives (u32 LE each): so much
/// that all together would have a little more than a million elements.
pub fn several_tables() -> Vec<u8> {
    let body = r#"
  (table $first 1 funcref)
  (table $second 2 5 funcref)
  (table $third 1000 funcref)
  (func $seven (result i32) (i32.const 7))
  (func $nine (result i32) (i32.const 9))
  (elem (table $first) (i32.const 0) func $seven)
  (elem (table $second) (i32.const 1) func $nine)
  (func (export "_start") (call $chain (call $load)))
  (func (export "through") (result i32)
    (i32.store (i32.const 3996) (i32.const 12))
    (i32.store (i32.const 4000) (call_indirect $first (result i32) (i32.const 0)))
    (i32.store (i32.const 4004) (call_indirect $second (result i32) (i32.const 1)))
    (i32.store (i32.const 4008) (table.grow $third (ref.null func) (i32.const 999000)))
    (i32.const 4000))"#;
    module(MEMORY, body)
}

/// A guest from WebAssembly text of one's own.
///
/// # Panics
/// If the text is no module.
pub fn from_wat(text: &str) -> Vec<u8> {
    compile(text)
}

/// Bytes as a guest's buffer, its length before it, in the escapes of a data segment.
fn buffer(bytes: &[u8]) -> String {
    let length = u32::try_from(bytes.len()).expect("test texts are short");
    let all = length
        .to_le_bytes()
        .into_iter()
        .chain(bytes.iter().copied());
    let escaped: Vec<_> = all.map(|byte| format!("\\{byte:02x}")).collect();
    escaped.concat()
}

/// A guest with constant bytes at 3996, which runs `start` for every block.
fn with_data(data: &str, start: &str) -> Vec<u8> {
    let body = format!(
        r#"
  (data (i32.const 3996) "{data}")
  (func (export "_start") (drop (call $load)) {start})
{VIEWS}"#
    );
    module(MEMORY, &body)
}

fn started_but_at(height: u32, then: &str) -> Vec<u8> {
    started(&format!(
        "(local $block i32)
         (local.set $block (call $load))
         (if (i32.eq (global.get $height) (i32.const {height})) (then {then}))
         (call $chain (local.get $block))"
    ))
}

/// A guest with all the views, and a `_start` of that body.
fn started(start: &str) -> Vec<u8> {
    module(
        MEMORY,
        &format!(r#"(func (export "_start") {start}) {VIEWS}"#),
    )
}

/// The well-behaved guest with a start section of that body.
fn made_by(start: &str) -> Vec<u8> {
    let body = format!(
        r#"
  (func $make {start})
  (start $make)
  (func (export "_start") (call $chain (call $load)))
{VIEWS}"#
    );
    module(MEMORY, &body)
}

pub(crate) fn module(memory: &str, body: &str) -> Vec<u8> {
    compile(&format!("(module {SHARED} {memory} {body})"))
}

fn compile(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the guests of this file are valid")
}

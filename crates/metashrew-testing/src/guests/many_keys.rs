//! Guests that read or write many keys in every block.

use super::{MEMORY, VIEWS, module};

const MIXED: &str = r"
  (global $state (mut i64) (i64.const 0))

  ;; The next 8 of a stream of mixed bytes (splitmix64).
  (func $mixed (result i64)
    (local $word i64)
    (global.set $state (i64.add (global.get $state) (i64.const 0x9e3779b97f4a7c15)))
    (local.set $word (global.get $state))
    (local.set $word (i64.mul (i64.const 0xbf58476d1ce4e5b9)
      (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 30)))))
    (local.set $word (i64.mul (i64.const 0x94d049bb133111eb)
      (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 27)))))
    (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 31))))
";

/// Reads a number of keys in every block, chosen by its merkle root among `0..keys` (u64,
/// little-endian), and writes each: what it read so far, folded into one number (u64), and
/// the height. That number goes into what the well-behaved guest writes, too, so that a
/// single wrong read ends with other bytes.
pub fn reading(reads: u32, keys: u64) -> Vec<u8> {
    let length = u64::from(reads) * 20;
    let body = format!(
        r#"
  (data (i32.const 3996) "\08\00\00\00")
  (func (export "_start")
    (local $block i32) (local $message i32) (local $at i32) (local $left i32) (local $sum i64)
    (local.set $block (call $load))
    (global.set $state (i64.load offset=36 (local.get $block)))
    (local.set $message (i32.add (local.get $block) (i32.load (i32.const 65540))))
    (local.set $message (i32.and (i32.add (local.get $message) (i32.const 8)) (i32.const -4)))
    (call $reach (i32.add (local.get $message) (i32.const {length})))
    (i32.store (i32.sub (local.get $message) (i32.const 4)) (i32.const {length}))
    (local.set $at (local.get $message))
    (local.set $left (i32.const {reads}))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (i64.store (i32.const 4000) (i64.rem_u (call $mixed) (i64.const {keys})))
        (i64.store (i32.const 4016) (i64.const 0))
        (if (i32.eq (call $get_len (i32.const 4000)) (i32.const 8))
          (then (call $get (i32.const 4000) (i32.const 4016))))
        (local.set $sum
          (i64.add (i64.mul (local.get $sum) (i64.const 6364136223846793005))
            (i64.load (i32.const 4016))))
        (i32.store16 (local.get $at) (i32.const 0x080a))
        (i64.store offset=2 (local.get $at) (i64.load (i32.const 4000)))
        (i32.store16 offset=10 (local.get $at) (i32.const 0x080a))
        (i64.store offset=12 (local.get $at)
          (i64.add (local.get $sum) (i64.extend_i32_u (global.get $height))))
        (local.set $at (i32.add (local.get $at) (i32.const 20)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (call $flush (local.get $message))
    (i64.store offset=36 (local.get $block) (local.get $sum))
    (call $chain (local.get $block)))
{MIXED}{VIEWS}"#
    );
    module(MEMORY, &body)
}

/// Writes a number of new keys of 32 bytes with values of 32 bytes in every
/// block, and reads nothing.
pub fn flush_only(keys: u32) -> Vec<u8> {
    flushing(keys, 32, 1, "(global.get $height)")
}

/// Writes the same keys of 32 bytes in every block, with new values of 32 bytes.
pub fn rewriting(keys: u32) -> Vec<u8> {
    rewriting_values(keys, 32, 1)
}

/// Writes the same keys of 32 bytes in every block, with new values of `value_len` bytes,
/// at least 32, after this many turns of an empty loop.
pub fn rewriting_values(keys: u32, value_len: u32, turns: u32) -> Vec<u8> {
    flushing(keys, value_len, turns, "(i32.const 0)")
}

fn flushing(keys: u32, value_len: u32, turns: u32, salt: &str) -> Vec<u8> {
    let header = element_header(value_len);
    let store_header = (34_u64..).zip(&header).map(|(offset, byte)| {
        format!("(i32.store8 offset={offset} (local.get $at) (i32.const {byte}))")
    });
    let store_header = store_header.collect::<String>();
    let value = 34 + header.len() as u64;
    let (key_0, key_1, key_2, rest) = (value + 8, value + 16, value + 24, value + 32);
    let rest_len = value_len - 32;
    let element_len = value + u64::from(value_len);
    let length = u64::from(keys) * element_len;
    let body = format!(
        r#"
  ;; Appends an element of 32 bytes.
  (func $element (param $at i32)
    (i32.store16 (local.get $at) (i32.const 0x200a))
    (i64.store offset=2 (local.get $at) (call $mixed))
    (i64.store offset=10 (local.get $at) (call $mixed))
    (i64.store offset=18 (local.get $at) (call $mixed))
    (i64.store offset=26 (local.get $at) (call $mixed)))

  (func (export "_start")
    (local $message i32) (local $at i32) (local $left i32) (local $values i64)
    (local.set $message (i32.add (call $load) (i32.load (i32.const 65540))))
    (local.set $message (i32.and (i32.add (local.get $message) (i32.const 8)) (i32.const -4)))
    (call $reach (i32.add (local.get $message) (i32.const {length})))
    (i32.store (i32.sub (local.get $message) (i32.const 4)) (i32.const {length}))
    (local.set $at (local.get $message))
    (local.set $left (i32.const {turns}))
    (loop $again
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (local.set $left (i32.const {keys}))
    (global.set $state (i64.shl (i64.extend_i32_u {salt}) (i64.const 32)))
    (local.set $values (i64.add (i64.const 1) (i64.shl (i64.extend_i32_u (global.get $height)) (i64.const 33))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $element (local.get $at))
        {store_header}
        (i64.store offset={value} (local.get $at) (i64.add (local.get $values) (i64.extend_i32_u (local.get $left))))
        (i64.store offset={key_0} (local.get $at) (i64.load offset=2 (local.get $at)))
        (i64.store offset={key_1} (local.get $at) (i64.load offset=10 (local.get $at)))
        (i64.store offset={key_2} (local.get $at) (i64.load offset=18 (local.get $at)))
        (memory.fill (i32.add (local.get $at) (i32.const {rest})) (global.get $height) (i32.const {rest_len}))
        (local.set $at (i32.add (local.get $at) (i32.const {element_len})))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (call $flush (local.get $message)))
{MIXED}{VIEWS}"#
    );
    module(MEMORY, &body)
}

/// What comes before an element of so many bytes in a message: its tag and its length.
fn element_header(len: u32) -> Vec<u8> {
    let mut header = vec![0x0a];
    let mut rest = len;
    while rest >= 0x80 {
        header.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    header.push(rest.to_le_bytes()[0]);
    header
}

//! A small guest that logs, and then does not come to its end.

use crate::guests::{MEMORY, VIEWS, module};

/// The well-behaved guest, but it first logs this many lines at each block, `block 00003 line
/// 00000` and so on, and then runs `then` at a height. Its view `chat` logs, too.
pub fn chats(lines: u32, height: u32, then: Then) -> Vec<u8> {
    let then = match then {
        Then::Trap => "(unreachable)",
        Then::Spin => "(loop $again (br $again))",
        Then::Chat => {
            "(loop $again
               (call $line (global.get $lines))
               (global.set $lines (i32.add (global.get $lines) (i32.const 1)))
               (br $again))"
        }
    };
    let body = format!(
        r#"
  (global $lines (mut i32) (i32.const 0))
  (data (i32.const 3996) "\16\00\00\00block 00000 line 00000")
  (func $digits (param $at i32) (param $value i32)
    (local $left i32)
    (local.set $left (i32.const 5))
    (loop $next
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $left))
        (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $next (local.get $left))))
  (func $line (param $number i32)
    (call $digits (i32.const 4006) (global.get $height))
    (call $digits (i32.const 4017) (local.get $number))
    (call $log (i32.const 4000)))
  (func (export "_start")
    (local $block i32)
    (local.set $block (call $load))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (global.get $lines) (i32.const {lines})))
        (call $line (global.get $lines))
        (global.set $lines (i32.add (global.get $lines) (i32.const 1)))
        (br $next)))
    (if (i32.eq (global.get $height) (i32.const {height})) (then {then}))
    (call $chain (local.get $block)))
  (func (export "chat") (result i32)
    (drop (call $load))
    (call $line (i32.const 99999))
    (i32.const 4000))
{VIEWS}"#
    );
    module(MEMORY, &body)
}

/// What the guest that [`chats`] does at a height.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// It traps.
    Trap,
    /// It goes on without end, and logs no more.
    Spin,
    /// It logs without end.
    Chat,
}

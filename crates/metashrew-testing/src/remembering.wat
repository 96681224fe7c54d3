  ;; Answers the first input it ever got, of up to 256 bytes: kept at 16384.
  (global $has_first (mut i32) (i32.const 0))
  (func (export "first_input") (result i32)
    (local $input i32)
    (local.set $input (call $load))
    (if (i32.eqz (global.get $has_first))
      (then
        (global.set $has_first (i32.const 1))
        (memory.copy (i32.const 16380) (i32.sub (local.get $input) (i32.const 4))
          (i32.add (i32.load (i32.const 65540)) (i32.const 4)))))
    (i32.const 16384))

  ;; Answers the first input that began as this one does: 64 slots of 64 bytes at 20480,
  ;; chosen by the first byte; inputs up to 56 bytes.
  (func (export "coarse") (result i32)
    (local $input i32) (local $slot i32)
    (local.set $input (call $load))
    (local.set $slot
      (i32.add (i32.const 20480)
        (i32.shl (i32.and (i32.load8_u (local.get $input)) (i32.const 63)) (i32.const 6))))
    (if (i32.eqz (i32.load8_u (local.get $slot)))
      (then
        (i32.store8 (local.get $slot) (i32.const 1))
        (memory.copy (i32.add (local.get $slot) (i32.const 4))
          (i32.sub (local.get $input) (i32.const 4))
          (i32.add (i32.load (i32.const 65540)) (i32.const 4)))))
    (i32.add (local.get $slot) (i32.const 8)))

  ;; Adds its input's first byte to what earlier calls added for the same height, as a block
  ;; that is simulated call by call; answers the sum (u64 LE).
  (global $simulated_height (mut i32) (i32.const -1))
  (global $simulated_sum (mut i64) (i64.const 0))
  (func (export "simulated") (result i32)
    (local $input i32)
    (local.set $input (call $load))
    (if (i32.ne (global.get $height) (global.get $simulated_height))
      (then
        (global.set $simulated_height (global.get $height))
        (global.set $simulated_sum (i64.const 0))))
    (global.set $simulated_sum
      (i64.add (global.get $simulated_sum) (i64.load8_u (local.get $input))))
    (i64.store (i32.const 1028) (global.get $simulated_sum))
    (i32.store (i32.const 1024) (i32.const 8))
    (i32.const 1028))

  ;; Answers its input; from the 20th call on it has turned once round a ring, and the
  ;; input's first byte is written over. Takes a moment.
  (global $turn (mut i32) (i32.const 0))
  (func (export "ring") (result i32)
    (local $input i32) (local $left i32)
    (local.set $input (call $load))
    (local.set $left (i32.const 20000))
    (loop $again
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (global.set $turn (i32.add (global.get $turn) (i32.const 1)))
    (if (i32.ge_u (global.get $turn) (i32.const 20))
      (then (i32.store8 (local.get $input) (i32.const 0))))
    (local.get $input))

  ;; Answers its input. A cold memory must be warmed first, by a call of any view below:
  ;; this traps on a cold one.
  (global $warm (mut i32) (i32.const 0))
  (func (export "needs_warmth") (result i32)
    (if (i32.eqz (global.get $warm)) (then (unreachable)))
    (call $load))

  ;; Answers its input. On a cold memory it takes, by the input's first byte: for `s` time
  ;; without end, for `m` memory without end, for `d` stack without end; any other warms it.
  (func (export "warms") (result i32)
    (local $input i32) (local $way i32)
    (local.set $input (call $load))
    (local.set $way (i32.load8_u (local.get $input)))
    (if (i32.eqz (global.get $warm))
      (then
        (if (i32.eq (local.get $way) (i32.const 115)) (then (loop $again (br $again))))
        (if (i32.eq (local.get $way) (i32.const 109))
          (then (loop $more (drop (call $leak_pages)) (br $more))))
        (if (i32.eq (local.get $way) (i32.const 100)) (then (drop (call $overflow))))
        (global.set $warm (i32.const 1))))
    (local.get $input))

  ;; Answers its input, and logs "cold" on a cold memory, which it warms.
  (data (i32.const 24572) "\04\00\00\00cold")
  (func (export "notes") (result i32)
    (if (i32.eqz (global.get $warm)) (then (call $log (i32.const 24576))))
    (global.set $warm (i32.const 1))
    (call $load))

  ;; Answers as many bytes as it was called times, of zeros at 32768, a thousand at a time.
  (global $hoarded (mut i32) (i32.const 0))
  (func (export "hoards") (result i32)
    (global.set $hoarded (i32.add (global.get $hoarded) (i32.const 1000)))
    (i32.store (i32.const 32764) (global.get $hoarded))
    (i32.const 32768))

  (memory (export "memory") 2)

  ;; Where the free memory begins: behind the input, and behind what was taken since.
  (global $top (mut i32) (i32.const 0))

  ;; Loads the input; answers a pointer to its payload.
  (func $begin (result i32)
    (local $payload i32)
    (local.set $payload (call $load))
    (global.set $top (i32.add (local.get $payload)
      (i32.load (i32.sub (local.get $payload) (i32.const 4)))))
    (local.get $payload))

  ;; A new buffer, its length before it.
  (func $buffer (param $length i32) (result i32)
    (local $at i32)
    (local.set $at (i32.add (global.get $top) (i32.const 4)))
    (global.set $top (i32.add (local.get $at) (local.get $length)))
    (call $reach (global.get $top))
    (i32.store (i32.sub (local.get $at) (i32.const 4)) (local.get $length))
    (local.get $at))

  ;; The kept answer of this length, or the code of an error.
  (func $answer (param $length i32) (result i32)
    (local $at i32)
    (if (i32.lt_s (local.get $length) (i32.const 0))
      (then
        (local.set $at (call $buffer (i32.const 4)))
        (i32.store (local.get $at) (local.get $length))
        (return (local.get $at))))
    (local.set $at (call $buffer (local.get $length)))
    (call $load_answer (local.get $at))
    (local.get $at))

  ;; Flushes one key and its value.
  (func $write (param $key i32) (param $key_length i32) (param $value i32) (param $length i32)
    (local $at i32) (local $message i32)
    (local.set $message (call $buffer
      (i32.add (i32.const 8) (i32.add (local.get $key_length) (local.get $length)))))
    (i32.store8 (local.get $message) (i32.const 0x0a))
    (i32.store8 offset=1 (local.get $message) (local.get $key_length))
    (memory.copy (i32.add (local.get $message) (i32.const 2)) (local.get $key) (local.get $key_length))
    (local.set $at (i32.add (i32.add (local.get $message) (i32.const 2)) (local.get $key_length)))
    (i32.store8 (local.get $at) (i32.const 0x0a))
    (i32.store8 offset=1 (local.get $at) (i32.or (i32.const 0x80) (local.get $length)))
    (i32.store8 offset=2 (local.get $at)
      (i32.or (i32.const 0x80) (i32.shr_u (local.get $length) (i32.const 7))))
    (i32.store8 offset=3 (local.get $at)
      (i32.or (i32.const 0x80) (i32.shr_u (local.get $length) (i32.const 14))))
    (i32.store8 offset=4 (local.get $at)
      (i32.or (i32.const 0x80) (i32.shr_u (local.get $length) (i32.const 21))))
    (i32.store8 offset=5 (local.get $at)
      (i32.and (i32.const 0x7f) (i32.shr_u (local.get $length) (i32.const 28))))
    (memory.copy (i32.add (local.get $at) (i32.const 6)) (local.get $value) (local.get $length))
    (call $flush (local.get $message)))

  ;; Puts "k" and three bytes at an address.
  (func $key (param $at i32) (param $bytes i32)
    (i32.store8 (local.get $at) (i32.const 0x6b))
    (memory.copy (i32.add (local.get $at) (i32.const 1)) (local.get $bytes) (i32.const 3)))

  ;; 4100: "seen" and a height. 4112: "many" and a height.
  (data (i32.const 4100) "seen")
  (data (i32.const 4112) "many")

  (func (export "_start")
    (local $block i32) (local $root i32) (local $request i32) (local $length i32)
    (local.set $block (call $begin))
    (local.set $root (i32.add (local.get $block) (i32.const 36)))

    ;; Two keys: one with the beginning of the block, one with 8 bytes of the root.
    (call $key (i32.const 4000) (local.get $root))
    (call $write (i32.const 4000) (i32.const 4) (local.get $block)
      (i32.and (i32.const 63) (i32.load8_u offset=3 (local.get $root))))
    (call $key (i32.const 4008) (i32.add (local.get $root) (i32.const 4)))
    (call $write (i32.const 4008) (i32.const 4)
      (i32.add (local.get $root) (i32.const 8)) (i32.const 8))

    ;; The range that the root describes.
    (local.set $request (call $buffer (i32.const 25)))
    (i32.store8 (local.get $request) (i32.and (i32.const 3) (i32.load8_u offset=16 (local.get $root))))
    (i32.store offset=1 (local.get $request)
      (i32.and (i32.const 15) (i32.load8_u offset=17 (local.get $root))))
    (i32.store offset=5 (local.get $request) (i32.load16_u offset=18 (local.get $root)))
    (i32.store offset=9 (local.get $request) (i32.const 4))
    (call $key (i32.add (local.get $request) (i32.const 13)) (i32.add (local.get $root) (i32.const 20)))
    (i32.store offset=17 (local.get $request) (i32.const 4))
    (call $key (i32.add (local.get $request) (i32.const 21)) (i32.add (local.get $root) (i32.const 23)))
    (if (i32.and (i32.const 1) (i32.load8_u offset=26 (local.get $root)))
      (then ;; up to the end of all keys
        (i32.store offset=17 (local.get $request) (i32.const 0))
        (i32.store (i32.sub (local.get $request) (i32.const 4)) (i32.const 21))))
    (local.set $length (call $read_range (local.get $request)))
    (call $store_be (i32.const 4104) (global.get $height))
    (call $write (i32.const 4100) (i32.const 8) (call $answer (local.get $length)) (local.get $length))

    ;; Both keys, and what the block before saw.
    (local.set $request (call $buffer (i32.const 28)))
    (i32.store (local.get $request) (i32.const 4))
    (i32.store offset=4 (local.get $request) (i32.load (i32.const 4000)))
    (i32.store offset=8 (local.get $request) (i32.const 4))
    (i32.store offset=12 (local.get $request) (i32.load (i32.const 4008)))
    (i32.store offset=16 (local.get $request) (i32.const 8))
    (i32.store offset=20 (local.get $request) (i32.load (i32.const 4100)))
    (call $store_be (i32.add (local.get $request) (i32.const 24))
      (i32.sub (global.get $height) (i32.const 1)))
    (local.set $length (call $read_many (local.get $request)))
    (call $store_be (i32.const 4116) (global.get $height))
    (call $write (i32.const 4112) (i32.const 8) (call $answer (local.get $length)) (local.get $length)))

  ;; The answer to a request, or the code of the error as a number.
  (func (export "range") (result i32) (call $answer (call $read_range (call $begin))))
  (func (export "many") (result i32) (call $answer (call $read_many (call $begin))))

  ;; The same answer as that of "many", one key after the other.
  (func (export "points") (result i32)
    (local $key i32) (local $end i32) (local $start i32) (local $at i32) (local $length i32)
    (local.set $key (call $begin))
    (local.set $end (global.get $top))
    (local.set $start (call $buffer (i32.const 0)))
    (local.set $at (local.get $start))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $key) (local.get $end)))
        (local.set $length (call $get_len (i32.add (local.get $key) (i32.const 4))))
        (call $reach (i32.add (i32.add (local.get $at) (i32.const 4)) (local.get $length)))
        (i32.store (local.get $at) (local.get $length))
        (call $get (i32.add (local.get $key) (i32.const 4)) (i32.add (local.get $at) (i32.const 4)))
        (local.set $at (i32.add (i32.add (local.get $at) (i32.const 4)) (local.get $length)))
        (local.set $key
          (i32.add (i32.add (local.get $key) (i32.const 4)) (i32.load (local.get $key))))
        (br $next)))
    (i32.store (i32.sub (local.get $start) (i32.const 4)) (i32.sub (local.get $at) (local.get $start)))
    (local.get $start))

  ;; Asks twice; the first answer is dropped.
  (func (export "twice") (result i32)
    (drop (call $read_range (call $begin)))
    (call $answer (call $read_range (call $begin))))

  ;; Asks, and leaves the answer where it is.
  (func (export "leave") (result i32)
    (drop (call $read_range (call $begin)))
    (call $buffer (i32.const 0)))

  ;; The same with many keys.
  (func (export "leave_many") (result i32)
    (drop (call $read_many (call $begin)))
    (call $buffer (i32.const 0)))

  ;; Asks for a range, then for too many keys, and loads an answer.
  (func (export "too_many") (result i32)
    (local $at i32)
    (drop (call $read_range (call $begin)))
    (local.set $at (call $buffer (i32.const 262148)))
    (memory.fill (local.get $at) (i32.const 0) (i32.const 262148))
    (call $load_answer (call $answer (call $read_many (local.get $at))))
    (unreachable))

  ;; Loads what was not asked for.
  (func (export "load") (result i32)
    (local $at i32)
    (drop (call $begin))
    (local.set $at (call $buffer (i32.const 0)))
    (call $load_answer (local.get $at))
    (local.get $at))

  ;; Loads an answer to where there is no memory.
  (func (export "load_outside") (result i32)
    (drop (call $read_range (call $begin)))
    (call $load_answer (i32.const 0x7ffffff0))
    (unreachable))

  ;; A request where there is no memory.
  (func (export "range_outside") (result i32)
    (drop (call $read_range (i32.const 0x7ffffff0)))
    (unreachable))

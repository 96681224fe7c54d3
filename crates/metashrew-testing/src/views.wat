  ;; Answers its input.
  (func (export "echo") (result i32) (call $load))

  ;; Answers the height (u32 LE).
  (func (export "height") (result i32)
    (drop (call $load))
    (i32.store (i32.const 1028) (global.get $height))
    (i32.store (i32.const 1024) (i32.const 4))
    (i32.const 1028))

  ;; Answers the value of the key that is its input.
  (func $get_view (export "get") (result i32)
    (local $key i32)
    (local.set $key (call $load))
    (call $read (local.get $key)
      (i32.add (i32.add (local.get $key) (i32.load (i32.const 65540))) (i32.const 8))))

  ;; Answers how many times it was called on this memory (u32 LE).
  (global $count (mut i32) (i32.const 0))
  (func (export "counter") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 1028) (global.get $count))
    (i32.store (i32.const 1024) (i32.const 4))
    (i32.const 1028))

  ;; Like `get`, but remembers the first answer for ever, whatever the height: 64
  ;; slots of 64 bytes at 8192, chosen by the key's last byte, values up to 59 bytes.
  (func (export "cached_get") (result i32)
    (local $key i32) (local $slot i32)
    (local.set $key (call $load))
    (local.set $slot
      (i32.load8_u (i32.sub (i32.add (local.get $key) (i32.load (i32.const 65540))) (i32.const 1))))
    (local.set $slot
      (i32.add (i32.const 8192) (i32.shl (i32.and (local.get $slot) (i32.const 63)) (i32.const 6))))
    (if (i32.eqz (i32.load8_u (local.get $slot)))
      (then
        (drop (call $read (local.get $key) (i32.add (local.get $slot) (i32.const 5))))
        (i32.store8 (local.get $slot) (i32.const 1))))
    (i32.add (local.get $slot) (i32.const 5)))

  ;; Executes `unreachable`.
  (func (export "trap") (result i32) (unreachable))

  ;; Never ends.
  (func (export "spin") (result i32) (loop $again (br $again)) (unreachable))

  ;; Calls itself until the stack is full.
  (func $overflow (export "overflow") (result i32) (i32.add (call $overflow) (i32.const 1)))

  ;; Aborts as AssemblyScript does, with the message "out of tea", file "tea.ts", 7:3.
  (data (i32.const 1276) "\14\00\00\00o\00u\00t\00 \00o\00f\00 \00t\00e\00a\00")
  (data (i32.const 1308) "\0c\00\00\00t\00e\00a\00.\00t\00s\00")
  (func $abort_with (export "abort_view") (result i32)
    (call $abort (i32.const 1280) (i32.const 1312) (i32.const 7) (i32.const 3))
    (unreachable))

  ;; Asks for a key that lies beyond the memory.
  (func (export "bad_key") (result i32) (call $get_len (i32.const 0x7ffffff0)))

  ;; Asks for a key whose length reaches beyond the memory.
  (data (i32.const 1532) "\f0\ff\ff\7f")
  (func (export "bad_key_length") (result i32) (call $get_len (i32.const 1536)))

  ;; Has the value of "acc" written beyond the memory.
  (func (export "bad_out") (result i32)
    (call $get (i32.const 16) (i32.const 0x7ffffff0))
    (i32.const 1028))

  ;; Has the input written beyond the memory.
  (func (export "bad_input") (result i32)
    (call $load_input (i32.const 0x7ffffff0))
    (i32.const 1028))

  ;; Logs what is not UTF-8.
  (data (i32.const 1596) "\04\00\00\00\ff\fe\fd\fc")
  (func (export "bad_log") (result i32)
    (call $log (i32.const 1600))
    (call $load))

  ;; Answer with pointers to nothing, to a length beyond the memory, and null.
  (func (export "bad_answer") (result i32) (i32.const -16))
  (func (export "bad_answer_length") (result i32) (i32.const 1536))
  (func (export "null_answer") (result i32) (i32.const 0))

  ;; Asks for 4 GiB at once; answers what `memory.grow` said (i32 LE).
  (func (export "grow_4gib") (result i32)
    (i32.store (i32.const 1028) (memory.grow (i32.sub (i32.const 65536) (memory.size))))
    (i32.store (i32.const 1024) (i32.const 4))
    (i32.const 1028))

  ;; Takes and touches another MiB at each call; answers the memory's size in pages (u32 LE).
  (func $leak_pages (export "leak") (result i32)
    (local $page i32) (local $left i32)
    (local.set $page (i32.shl (memory.grow (i32.const 16)) (i32.const 16)))
    (local.set $left (i32.const 256))
    (loop $touch
      (i32.store (local.get $page) (i32.const 1))
      (local.set $page (i32.add (local.get $page) (i32.const 4096)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $touch (local.get $left)))
    (i32.store (i32.const 1028) (memory.size))
    (i32.store (i32.const 1024) (i32.const 4))
    (i32.const 1028))

  ;; Takes and touches one MiB after the other, without end.
  (func (export "devour") (result i32)
    (loop $again (drop (call $leak_pages)) (br $again))
    (unreachable))

  ;; Flushes the message of `_start`, then answers the value of "acc".
  (func (export "flushing_view") (result i32)
    (drop (call $load))
    (call $flush (i32.const 256))
    (call $read (i32.const 16) (i32.const 2048)))

  ;; Takes a parameter, and so is no view.
  (func (export "not_a_view") (param i32) (result i32) (i32.const 0))

;; Does with its host what its input says, part by part: so a test can be any guest.
;;
;; A block is parts of a kind (u32), a length (u32) and so many bytes:
;; 0 flushes the bytes, whatever they are; 1 traps; 2 traps if the key that the bytes are
;; has no value; 3 traps if it has one.
;; The view `get` answers the value of the key that its input is.
(module
  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (import "env" "__get_len" (func $get_len (param i32) (result i32)))
  (import "env" "__get" (func $get (param i32) (param i32)))
  (memory (export "memory") 64)
  ;; The input is loaded at 1024: the height, then the payload.
  (func (export "_start")
    (local $at i32) (local $end i32) (local $kind i32)
    (call $load_input (i32.const 1024))
    (local.set $at (i32.const 1028))
    (local.set $end (i32.add (i32.const 1024) (call $host_len)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $kind (i32.load (local.get $at)))
        ;; The length in front of the bytes is what a buffer has in front.
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (if (i32.eq (local.get $kind) (i32.const 0))
          (then (call $flush (local.get $at))))
        (if (i32.eq (local.get $kind) (i32.const 1))
          (then (unreachable)))
        (if (i32.eq (local.get $kind) (i32.const 2))
          (then (if (i32.eqz (call $get_len (local.get $at))) (then (unreachable)))))
        (if (i32.eq (local.get $kind) (i32.const 3))
          (then (if (call $get_len (local.get $at)) (then (unreachable)))))
        (local.set $at
          (i32.add (local.get $at)
            (i32.load (i32.sub (local.get $at) (i32.const 4)))))
        (br $next))))
  (func (export "get") (result i32)
    (local $length i32)
    (call $load_input (i32.const 1024))
    ;; The height makes room for the key's length.
    (i32.store (i32.const 1024) (i32.sub (call $host_len) (i32.const 4)))
    (local.set $length (call $get_len (i32.const 1028)))
    (i32.store (i32.const 1048576) (local.get $length))
    (call $get (i32.const 1028) (i32.const 1048580))
    (i32.const 1048580)))

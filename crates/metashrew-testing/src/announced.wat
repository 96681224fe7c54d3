  (import "env" "__host_len" (func $host_len (result i32)))
  (import "env" "__load_input" (func $load_input (param i32)))
  (import "env" "__get_len" (func $get_len (param i32) (result i32)))
  (import "env" "__get" (func $get (param i32 i32)))
  (import "env" "__flush" (func $flush (param i32)))
  (memory (export "memory") 4)

  ;; What this memory was told: blocks and views that began, and views since the last `since`.
  (global $blocks (mut i32) (i32.const 0))
  (global $views (mut i32) (i32.const 0))
  (global $since (mut i32) (i32.const 0))
  ;; The text of the error with which the last view ended, and that there is one.
  (global $error (mut i32) (i32.const 0))
  ;; The limit of the caches that it was told, in MiB.
  (global $limit (mut i32) (i32.const 0))

  ;; A flush of the key `n` with three bytes.
  (data (i32.const 0) "\08\00\00\00\0a\01n\0a\03bvl")
  (data (i32.const 16) "\01\00\00\00n")
  ;; An `IndexerMetadata` whose name is how many views began.
  (data (i32.const 32) "\03\00\00\00\22\010")

  ;; Loads the payload to 1028, its length in front of it, and gives its first byte.
  (func $load (result i32)
    (call $load_input (i32.const 1024))
    (i32.store (i32.const 1024) (i32.sub (call $host_len) (i32.const 4)))
    (if (i32.eqz (i32.load (i32.const 1024))) (then (return (i32.const 0))))
    (i32.load8_u (i32.const 1028)))

  (func $spin (loop $again (br $again)))

  (func $began (param $kind i32) (local $first i32)
    (drop (call $get_len (i32.const 20)))
    (if (i32.eq (local.get $kind) (i32.const 0))
      (then (global.set $blocks (i32.add (global.get $blocks) (i32.const 1)))))
    (if (i32.eq (local.get $kind) (i32.const 1))
      (then
        (global.set $views (i32.add (global.get $views) (i32.const 1)))
        (global.set $since (i32.add (global.get $since) (i32.const 1)))))
    (local.set $first (call $load))
    (if (i32.eq (local.get $first) (i32.const 116)) (then (unreachable))) ;; t
    (if (i32.eq (local.get $first) (i32.const 115)) (then (call $spin)))) ;; s

  (func $text (result i32) (local $first i32)
    (if (i32.eqz (global.get $error)) (then (return (i32.const 0))))
    (local.set $first (i32.load8_u (i32.const 1028)))
    (if (i32.eq (local.get $first) (i32.const 84)) (then (unreachable))) ;; T
    (if (i32.eq (local.get $first) (i32.const 83)) (then (call $spin))) ;; S
    (if (i32.eq (local.get $first) (i32.const 66)) (then (return (i32.const 0x7ffffff0)))) ;; B
    (global.get $error))

  (func (export "__metashrew_cache_limit") (param $bytes i32)
    (global.set $limit (i32.shr_u (local.get $bytes) (i32.const 20))))

  ;; Writes under `n` how many blocks and views this memory was told of, and an eighth of the
  ;; MiB that its caches may have.
  (func (export "_start")
    (drop (call $load))
    (i32.store8 (i32.const 9) (global.get $blocks))
    (i32.store8 (i32.const 10) (global.get $views))
    (i32.store8 (i32.const 11) (i32.div_u (global.get $limit) (i32.const 8)))
    (call $flush (i32.const 4)))

  (func (export "__meta") (result i32)
    (i32.store8 (i32.const 38) (i32.add (i32.const 48) (global.get $views)))
    (i32.const 36))

  ;; How many blocks and views this memory was told of.
  (func (export "told") (result i32)
    (i32.store (i32.const 64) (i32.const 2))
    (i32.store8 (i32.const 68) (global.get $blocks))
    (i32.store8 (i32.const 69) (global.get $views))
    (i32.const 68))

  ;; How many views began since it was asked last.
  (func (export "since") (result i32)
    (i32.store (i32.const 64) (i32.const 1))
    (i32.store8 (i32.const 68) (global.get $since))
    (global.set $since (i32.const 0))
    (i32.const 68))

  ;; What the state has under `n`.
  (func (export "written") (result i32)
    (i32.store (i32.const 64) (call $get_len (i32.const 20)))
    (call $get (i32.const 20) (i32.const 68))
    (i32.const 68))

  ;; The input.
  (func (export "echo") (result i32)
    (drop (call $load))
    (i32.const 1028))

  ;; Returns an error: the input; and if that is empty, none.
  (func $fail (export "fail") (result i32)
    (drop (call $load))
    (global.set $error (select (i32.const 1028) (i32.const 0) (i32.load (i32.const 1024))))
    (i32.const 0))

  ;; The same, but only where this memory has answered before.
  (func (export "tires") (result i32)
    (if (i32.gt_u (global.get $views) (i32.const 1)) (then (return (call $fail))))
    (drop (call $load))
    (i32.const 1028))

//! A project whose build command copies a module that the test has written.

use std::fs;
use std::path::Path;

use metashrew_testing::guests::from_wat;
use serde_json::Value;

use crate::harness::{Place, succeed};

pub(super) const BLOCKS: u32 = 8;

const PROJECT: &str = r#"
[build]
command = "if test -e src/broken; then echo 'src/broken:1: no such thing'; exit 1; fi; cp src/guest.wasm out.wasm"
module = "out.wasm"

[dev]
blocks = "blocks.dat"
listen = "127.0.0.1:0"
block_timeout_ms = 1_000
views = [{ name = "sum" }, { name = "echo", input = { a = [1] } }]
"#;

/// A guest that adds `step` to a sum at every block, after it has done something else at height 5,
/// and that tells of a table, if it is named. Its view `sum` answers the sum, and `echo` its input.
pub(super) fn guest(step: u32, at_five: &str, table: Option<&str>) -> Vec<u8> {
    let meta = table.map_or_else(String::new, |name| {
        let length = name.len();
        // `IndexerMetadata { storage: [Storage { name }] }`, its length in front.
        format!(
            r#"(data (i32.const 200) "\{:02x}\00\00\00\32\{:02x}\0a\{length:02x}{name}")
               (func (export "__meta") (result i32) (i32.const 204))"#,
            length + 4,
            length + 2,
        )
    });
    from_wat(&format!(
        r#"(module
          (import "env" "__host_len" (func $host_len (result i32)))
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__get_len" (func $get_len (param i32) (result i32)))
          (import "env" "__get" (func $get (param i32 i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (import "env" "__log" (func $log (param i32)))
          (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
          (memory (export "memory") 64)
          ;; A `KeyValueFlush` of the key `k` and four bytes at 9; the key; texts.
          (data (i32.const 0) "\09\00\00\00\0a\01k\0a\04\00\00\00\00")
          (data (i32.const 16) "\01\00\00\00k")
          (data (i32.const 64) "\07\00\00\00counted")
          (data (i32.const 96) "\0a\00\00\00n\00o\00 \00t\00a\00")
          (data (i32.const 128) "\08\00\00\00a\00.\00r\00s\00")
          {meta}
          (func (export "_start")
            (call $load_input (i32.const 65536))
            (call $log (i32.const 68))
            (if (i32.eq (i32.load (i32.const 65536)) (i32.const 5)) (then {at_five}))
            (i32.store (i32.const 40) (i32.const 0))
            (if (call $get_len (i32.const 20)) (then (call $get (i32.const 20) (i32.const 40))))
            (i32.store (i32.const 9) (i32.add (i32.load (i32.const 40)) (i32.const {step})))
            (call $flush (i32.const 4)))
          (func (export "sum") (result i32)
            (i32.store (i32.const 32) (call $get_len (i32.const 20)))
            (call $get (i32.const 20) (i32.const 36))
            (i32.const 36))
          (func (export "echo") (result i32)
            (call $load_input (i32.const 65540))
            (i32.store (i32.const 65540) (i32.sub (call $host_len) (i32.const 4)))
            (i32.const 65544)))"#
    ))
}

pub(super) const TRAPS: &str = "(unreachable)";
pub(super) const LOOPS: &str = "(loop $again (br $again))";
pub(super) const ABORTS: &str =
    "(call $abort (i32.const 100) (i32.const 132) (i32.const 7) (i32.const 3))";

/// A project with that guest, and a chain.
pub(super) fn project(wasm: &[u8]) -> Place {
    let place = Place::new(BLOCKS as usize);
    fs::write(place.path("metashrew.toml"), PROJECT).unwrap();
    fs::create_dir(place.path("src")).unwrap();
    edit(&place, wasm);
    place
}

pub(super) fn edit(place: &Place, wasm: &[u8]) {
    fs::write(place.path("src/guest.wasm"), wasm).unwrap();
}

/// What a database answers that was indexed from the start by guests, each through a height.
pub(super) fn indexed(place: &Place, guests: &[(&[u8], u32)]) -> [Value; 3] {
    let db = tempfile::TempDir::new_in(place.directory.path()).unwrap();
    let db = db.path().to_str().unwrap();
    for (wasm, height) in guests {
        place.set_guest(wasm);
        let flags = [
            "--accept-guest-change",
            "--exit-at",
            &height.to_string(),
            "--db",
            db,
        ];
        succeed(&mut place.start(&flags));
    }
    let view = |name: &str, input: &str| {
        let args = [
            "view",
            name,
            input,
            "--db",
            db,
            "--indexer",
            "guest.wasm",
            "--as",
            "hex",
        ];
        Value::from(succeed(&mut place.metashrew(&args)).trim())
    };
    let store = metashrew_store::Store::open_existing(
        Path::new(db),
        metashrew_store::StoreOptions::default(),
    );
    let root = store.unwrap().snapshot().tip().unwrap().history_root;
    [
        Value::from(format!("0x{root}")),
        view("sum", ""),
        view("echo", "0x01"),
    ]
}

//! Profiles: a file with the guest's functions, of a block and of views.

use metashrew_testing::guests::from_wat;
use serde_json::Value;

use crate::harness::{Place, succeed};

#[test]
fn a_profile_of_a_block_and_of_a_view() {
    let body = r"(local $left i32)
        (local.set $left (i32.const 60000000))
        (loop $again
          (i32.store (i32.const 8192) (local.get $left))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $again (local.get $left)))";
    let text = format!(
        r#"(module
        (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (func $busy {body})
        (func (export "_start") (call $busy) (call $flush (i32.const 4)))
        (func (export "look") (result i32) (call $busy) (i32.const 4)))"#
    );
    let place = Place::with(&from_wat(&text), 1);
    place.index();
    let common = [
        "profile",
        "--db",
        "db",
        "--indexer",
        "guest.wasm",
        "--interval-us",
        "100",
    ];
    for flags in [
        &["--blocks", "blocks.dat", "--height", "1", "--repeat", "10"][..],
        &["--view", "look", "0x00", "--out", "view.json"],
    ] {
        let told = succeed(&mut place.metashrew(&[&common[..], flags].concat()));
        let out = if flags[0] == "--view" {
            "view.json"
        } else {
            "profile.json"
        };
        assert!(
            told.contains(&format!("profile: {out}; open it at")),
            "{told}"
        );
        let profile: Value =
            serde_json::from_slice(&std::fs::read(place.path(out)).unwrap()).unwrap();
        let names = profile["threads"][0]["stringArray"].as_array().unwrap();
        assert!(names.contains(&"busy".into()), "{names:?}");
    }
}

#[test]
fn a_profile_of_an_endless_view_ends() {
    let endless = r#"(module
        (import "env" "__flush" (func $flush (param i32)))
        (memory (export "memory") 1)
        (func $spin (loop $again (br $again)))
        (func (export "_start") (call $flush (i32.const 4)))
        (func (export "spin") (result i32) (call $spin) (i32.const 0)))"#;
    let place = Place::with(&from_wat(endless), 1);
    place.index();
    let mut command = place.metashrew(&[
        "profile",
        "--db",
        "db",
        "--indexer",
        "guest.wasm",
        "--view",
        "spin",
        "--timeout-ms",
        "50",
    ]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("had not ended after 50 ms"), "{stderr}");
    assert!(place.path("profile.json").exists());
}

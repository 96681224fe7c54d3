//! `metashrew keys`: the state as lines.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::harness::{Place, fail, header, succeed};

fn keys(place: &Place, flags: &[&str]) -> Vec<Value> {
    let mut command = place.metashrew(&["keys", "--db", "db"]);
    command.args(flags);
    succeed(&mut command)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_state_at_any_block_in_key_order() {
    let place = Place::new(4);
    place.index();
    for height in 1..=4_u32 {
        let lines = keys(&place, &["--height", &height.to_string()]);
        let listed: Vec<_> = lines
            .iter()
            .map(|line| line["key"].as_str().unwrap().to_owned())
            .collect();
        let mut expect = vec![hex::encode_prefixed("acc")];
        for name in ["acc/", "hdr/"] {
            for height in 1..=height {
                expect.push(format!(
                    "{}{}",
                    hex::encode_prefixed(name),
                    hex::encode(height.to_be_bytes())
                ));
            }
        }
        assert_eq!(listed, expect);
        // "acc" was written by the last block, the headers by their own.
        assert_eq!(lines[0]["height"], height);
        for (line, block) in lines[height as usize + 1..]
            .iter()
            .zip(place.chain.blocks())
        {
            assert_eq!(line["height"], block.height);
            assert_eq!(line["value"], header(block));
        }
    }
}

#[test]
fn prefixes_and_limits() {
    let place = Place::new(4);
    place.index();
    let prefix = hex::encode_prefixed("hdr/");
    assert_eq!(keys(&place, &["--prefix", &prefix]).len(), 4);
    assert_eq!(
        keys(&place, &["--prefix", &prefix, "--limit", "3"]).len(),
        3
    );
    assert_eq!(keys(&place, &["--limit", "0"]).len(), 0);
    assert_eq!(keys(&place, &["--prefix", "0xff"]).len(), 0);
    assert_eq!(keys(&place, &["--prefix", "0x"]).len(), 9);
}

#[test]
fn empty_values_are_listed() {
    let place = Place::with(&guests::many_flushes(), 1);
    place.index();
    let expect = ["a", "b", "c"].map(hex::encode_prefixed);
    assert_eq!(
        keys(&place, &[]),
        [
            json!({ "key": expect[0], "value": hex::encode_prefixed("1"), "height": 1 }),
            json!({ "key": expect[1], "value": hex::encode_prefixed("2"), "height": 1 }),
            json!({ "key": expect[2], "value": "0x", "height": 1 }),
        ]
    );
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let place = Place::with(&guests::flush_only(20_000), 1);
    place.index();
    let mut child = place
        .metashrew(&["keys", "--db", "db"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with(r#"{"key":"0x"#), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn blocks_that_are_not_there() {
    let place = Place::new(2);
    place.index();
    let stderr = fail(
        &mut place.metashrew(&["keys", "--db", "db", "--height", "3"]),
        1,
    );
    assert_eq!(
        stderr,
        "error: there is no state at block `3`\n  caused by: block 3 is not indexed yet: the last one is 2\n"
    );
}

/// The kept guest that has every kind of table.
fn tables_guest() -> Vec<u8> {
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let directory = std::env::var_os("METASHREW_GUESTS").map_or(kept, Into::into);
    std::fs::read(directory.join("tables.wasm")).unwrap()
}

#[test]
fn tables_are_named_where_the_guest_tells_them() {
    let place = Place::with(&tables_guest(), 30);
    place.index();
    let raw = keys(&place, &[]);
    let indexer = ["--indexer", "guest.wasm"];
    let named = keys(&place, &indexer);
    assert_eq!(keys(&place, &[indexer[0], indexer[1], "--raw"]), raw);
    assert_eq!(named.len(), raw.len());
    let mut tables = Vec::new();
    for (raw, named) in raw.iter().zip(&named) {
        assert_eq!(
            (&named["value"], &named["height"]),
            (&raw["value"], &raw["height"])
        );
        match named["table"].as_str() {
            Some(table) => {
                assert!(named["key"].is_object(), "{named}");
                tables.push(table.to_owned());
            }
            // What the guest keeps outside of its tables.
            None => assert_eq!(named["key"], hex::encode_prefixed("answers")),
        }
    }
    tables.dedup();
    assert!(tables.len() > 5, "{tables:?}");
    let balance = named.iter().find(|line| line["table"] == "balances");
    let balance = balance.unwrap();
    assert!(balance["key"]["owner"].is_string(), "{balance}");
    assert!(balance["key"]["token"].is_u64(), "{balance}");
}

#[test]
fn a_guest_without_tables_changes_nothing() {
    let place = Place::new(2);
    place.index();
    let indexer = ["--indexer", "guest.wasm"];
    assert_eq!(keys(&place, &indexer), keys(&place, &[]));
    let mut none = place.metashrew(&["keys", "--db", "db", "--indexer", "none.wasm"]);
    assert!(fail(&mut none, 1).contains("the guest `none.wasm` cannot be read"));
}

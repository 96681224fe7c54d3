//! One block run again: on the database, and elsewhere on what was packed of it.

use std::process::Output;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use serde_json::Value;

use crate::followed::Desk;
use crate::harness::{Place, Running, fail, guest, metashrew, succeed, unread};

/// `metashrew replay` over a place's database and blocks, with more flags.
fn replay(place: &Place, flags: &[&str]) -> std::process::Command {
    let mut command = place.metashrew(&["replay"]);
    command.args(flags);
    command.args(["--db", "db", "--blocks", "blocks.dat"]);
    if !flags.contains(&"--indexer") {
        command.args(["--indexer", "guest.wasm"]);
    }
    command
}

/// What a command printed that found a difference.
fn differs(command: &mut std::process::Command) -> String {
    let output: Output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is said under a name.
fn said<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no `{name}` in {text}"))
}

fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_block_that_is_indexed_comes_out_the_same() {
    let place = Place::new(5);
    place.index();
    let before = place.stored_tip();
    for height in [1, 3, 5] {
        let height = height.to_string();
        let text = succeed(&mut replay(&place, &["--height", &height, "--diff"]));
        assert_eq!(said(&text, "database"), "the same");
        assert!(said(&text, "block").starts_with(&format!("{height} ")));
        assert!(said(&text, "wrote").starts_with("3 keys, "), "{text}");
    }
    let text = succeed(&mut replay(&place, &["--height", "5"]));
    assert_eq!(
        said(&text, "history root"),
        format!("0x{}", before.unwrap().history_root)
    );
    assert_eq!(place.stored_tip(), before);
    for (height, what) in [
        ("7", "block 7 is not indexed yet"),
        ("0", "block 0 is not held"),
    ] {
        let stderr = fail(&mut replay(&place, &["--height", height]), 1);
        assert!(stderr.contains(what), "{stderr}");
    }
    let stderr = fail(&mut replay(&place, &["--height", "6"]), 1);
    assert!(stderr.contains("has no block 6"), "{stderr}");
    let stderr = fail(&mut replay(&place, &[]), 2);
    assert!(
        stderr.contains("--height, --db and --indexer are needed"),
        "{stderr}"
    );
}

#[test]
fn another_guest_is_compared_key_by_key() {
    let place = Place::new(4);
    place.index();
    std::fs::write(place.path("other.wasm"), guests::many_flushes()).unwrap();
    let flags = ["--height", "3", "--indexer", "other.wasm"];
    let text = differs(&mut replay(&place, &flags));
    assert_eq!(said(&text, "database"), "differs in 6 keys");
    assert!(json_lines(&text).is_empty());
    assert_eq!(unread(&mut replay(&place, &flags)), Some(3));
    let text = differs(&mut replay(&place, &[&flags[..], &["--diff"]].concat()));
    let lines = json_lines(&text);
    assert_eq!(lines.len(), 6);
    let at = |key: &str| {
        let key = hex::encode_prefixed(key);
        lines.iter().find(|line| line["key"] == key).unwrap()
    };
    assert_eq!(
        (&at("a")["stored"], &at("a")["replayed"]),
        (&Value::Null, &"0x31".into())
    );
    let acc = at("acc");
    assert!(
        acc["replayed"].is_null() && acc["stored"] != acc["before"],
        "{acc}"
    );
    assert!(acc["before"].as_str().unwrap().len() == 18, "{acc}");
}

#[test]
fn keys_that_differ_are_told_by_the_names_of_their_tables() {
    let tables = std::fs::read(guest("tables")).unwrap();
    let place = Place::with(&guests::flush_only(2), 3);
    place.index();
    std::fs::write(place.path("tables.wasm"), tables).unwrap();
    let flags = ["--height", "2", "--indexer", "tables.wasm", "--diff"];
    let text = differs(&mut replay(&place, &flags));
    assert!(
        json_lines(&text)
            .iter()
            .any(|line| line["table"].is_string()),
        "{text}"
    );
}

/// The main use: what would a mended guest do on the block at which indexing halted?
#[test]
fn a_halted_index_is_looked_at_with_a_mended_guest_before_it_goes_on() {
    let place = Place::with(&guests::traps_at(3), 4);
    let halted = fail(&mut place.start(&["--on-halt", "exit"]), 1);
    let trapped = fail(&mut replay(&place, &["--height", "3"]), 1);
    // What `start` says of it, with each frame.
    let error = |text: &str| text[text.find("error: the guest failed").unwrap()..].to_owned();
    let of_start = error(&halted);
    let of_start = of_start.split("\nhint: ").next().unwrap();
    let of_replay = error(&trapped);
    assert_eq!(
        of_replay.split("\nhint: ").next().unwrap().trim_end(),
        of_start.trim_end()
    );
    assert!(
        trapped.contains("error: the guest failed on block 3 ("),
        "{trapped}"
    );
    std::fs::write(place.path("mended.wasm"), guests::chained()).unwrap();
    let mended = ["--height", "3", "--indexer", "mended.wasm"];
    let text = succeed(&mut replay(&place, &mended));
    assert_eq!(said(&text, "database"), "has no such block yet");
    assert_eq!(place.stored_tip().unwrap().height, 2);
    // And so it comes out.
    place.set_guest(&guests::chained());
    succeed(&mut place.start(&["--accept-guest-change", "--exit-at", "3"]));
    let root = format!("0x{}", place.stored_tip().unwrap().history_root);
    assert_eq!(said(&text, "history root"), root);
}

#[test]
fn the_first_block_stands_on_nothing() {
    let place = Place::with(&guests::traps_at(1), 2);
    fail(&mut place.start(&[]), 1);
    let trapped = fail(&mut replay(&place, &["--height", "1"]), 1);
    assert!(trapped.contains("the guest trapped"), "{trapped}");
    place.set_guest(&guests::chained());
    let text = succeed(&mut replay(&place, &["--height", "1"]));
    let other = Place::new(2);
    succeed(&mut other.start(&["--exit-at", "1"]));
    let root = format!("0x{}", other.stored_tip().unwrap().history_root);
    assert_eq!(said(&text, "history root"), root);
}

#[test]
fn a_database_that_is_in_use_is_left_alone() {
    let place = Place::new(3);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(3);
    let stderr = fail(&mut replay(&place, &["--height", "2"]), 1);
    assert!(
        stderr.contains("is held open by another process"),
        "{stderr}"
    );
    running.end();
}

#[test]
fn a_bundle_gives_the_same_without_the_database() {
    let place = Place::new(5);
    place.index();
    let flags = [
        "make",
        "--height",
        "4",
        "--out",
        "block.bundle",
        "--with-guest",
    ];
    let made = succeed(&mut replay(&place, &flags));
    let elsewhere = Place::new(0);
    std::fs::copy(place.path("block.bundle"), elsewhere.path("b")).unwrap();
    let text = succeed(&mut elsewhere.metashrew(&["replay", "run", "b", "--diff"]));
    for name in ["block", "guest", "read", "wrote", "history root"] {
        assert_eq!(said(&text, name), said(&made, name), "{name}");
    }
    assert_eq!(said(&text, "packed"), "the same");
    let root = place
        .store()
        .snapshot()
        .block(4)
        .unwrap()
        .unwrap()
        .history_root;
    assert_eq!(said(&text, "history root"), format!("0x{root}"));
    // A guest that reads less.
    elsewhere.set_guest(&guests::many_flushes());
    let flags = ["replay", "run", "b", "--indexer", "guest.wasm", "--diff"];
    let text = differs(&mut elsewhere.metashrew(&flags));
    assert_eq!(said(&text, "packed"), "differs in 6 keys");
    assert_eq!(json_lines(&text).len(), 6);
    assert!(json_lines(&text)[0].get("before").is_none());
    // And one that reads other keys.
    let wasm = guests::reading(3, 1000);
    elsewhere.set_guest(&wasm);
    let stderr = fail(&mut elsewhere.metashrew(&flags), 1);
    assert!(stderr.contains("what is at the key 0x"), "{stderr}");
    assert!(
        stderr.contains("error: block 4 (") && stderr.contains("could not be run to its end"),
        "{stderr}"
    );
    assert!(!stderr.contains("the guest failed"), "{stderr}");
    assert!(
        stderr.contains("hint: another guest reads other keys"),
        "{stderr}"
    );
}

#[test]
fn a_bundle_of_a_trap_traps_anywhere_and_shows_that_a_guest_is_mended() {
    let place = Place::with(&guests::logging(), 2);
    place.index();
    place.set_guest(&guests::traps_at(3));
    // It reads nothing before it traps: so the mended one must not, either.
    let mended = guests::flush_only(1);
    let place = Place::with(&guests::traps_at(3), 4);
    let halted = fail(&mut place.start(&["--on-halt", "exit"]), 1);
    let made = succeed(&mut replay(
        &place,
        &["make", "--height", "3", "--out", "trap"],
    ));
    assert!(
        said(&made, "failed").starts_with("the guest trapped: "),
        "{made}"
    );
    let run = ["replay", "run", "trap"];
    let stderr = fail(&mut place.metashrew(&run), 1);
    assert!(stderr.contains("was made without its guest"), "{stderr}");
    let given = [&run[..], &["--indexer", "guest.wasm"]].concat();
    let stderr = fail(&mut place.metashrew(&given), 1);
    let trap = |text: &str| {
        let (_, rest) = text.split_once("caused by: the guest trapped").unwrap();
        rest.split("\n\n").next().unwrap().trim_end().to_owned()
    };
    assert_eq!(trap(&stderr), trap(&halted));
    place.set_guest(&mended);
    let text = succeed(&mut place.metashrew(&given));
    assert!(
        said(&text, "packed").starts_with("the guest failed: the guest trapped"),
        "{text}"
    );
}

#[test]
fn a_guest_that_does_not_end_is_ended_after_its_time() {
    let place = Place::new(4);
    place.index();
    let make = ["make", "--height", "3", "--out", "b"];
    succeed(&mut replay(&place, &make));
    place.set_guest(&guests::spins_at(3));
    let limit = ["--timeout-ms", "50"];
    let check = |mut command: std::process::Command| {
        let stderr = fail(command.args(limit), 1);
        let told = stderr.contains("the guest has not ended within 50 ms");
        assert!(told && !stderr.contains("the guest failed"), "{stderr}");
    };
    check(replay(&place, &["--height", "3"]));
    check(replay(&place, &make));
    check(place.metashrew(&["replay", "run", "b", "--indexer", "guest.wasm"]));
    // One that ends is not.
    place.set_guest(&guests::spins_at(9));
    let long = ["--height", "3", "--timeout-ms", "3600000"];
    let text = succeed(&mut replay(&place, &long));
    assert_eq!(said(&text, "database"), "the same");
}

#[test]
fn a_file_that_is_no_bundle_is_told() {
    let place = Place::new(2);
    place.index();
    succeed(&mut replay(
        &place,
        &["make", "--height", "2", "--out", "b", "--with-guest"],
    ));
    let whole = std::fs::read(place.path("b")).unwrap();
    let run = |bytes: &[u8]| {
        std::fs::write(place.path("b"), bytes).unwrap();
        fail(&mut place.metashrew(&["replay", "run", "b"]), 1)
    };
    let mut changed = whole.clone();
    let place_of_change = changed.len() / 2;
    changed[place_of_change] ^= 1;
    for (bytes, what) in [
        (&whole[..whole.len() - 1], "its checksum is another one"),
        (&changed, "its checksum is another one"),
        (b"", "this is no bundle"),
        (b"metashrew replay bundle 2\n", "version 2"),
    ] {
        let stderr = run(bytes);
        assert!(
            stderr.starts_with("error: `b` cannot be used\n"),
            "{stderr}"
        );
        assert!(stderr.contains(what), "{stderr}");
    }
    let stderr = fail(&mut place.metashrew(&["replay", "run", "none"]), 1);
    assert!(stderr.contains("`none` cannot be read"), "{stderr}");
}

#[test]
fn a_block_comes_from_a_node_too() {
    let node = Bitcoind::start();
    node.mine(5);
    let desk = Desk::with_addresses();
    let records = desk.fresh(&node, "db", &[]);
    let indexer = guest("addresses");
    let command = |height: &str| {
        let mut command = metashrew();
        command
            .args(["replay", "--height", height, "--indexer"])
            .arg(&indexer);
        command.arg("--db").arg(desk.path("db"));
        command.args(["--rpc-url", &node.rpc_url()]);
        command
    };
    let replay = |height: &str| succeed(&mut command(height));
    let text = replay("4");
    assert_eq!(said(&text, "database"), "the same");
    assert_eq!(
        said(&text, "history root"),
        format!("0x{}", records[&4].history_root)
    );
    node.mine(1);
    assert_eq!(said(&replay("6"), "database"), "has no such block yet");
    // The node has gone to another branch: its next block does not stand on the database's last.
    node.reorganise(4, 2);
    let stderr = fail(&mut command("6"), 1);
    assert!(stderr.contains(") stands on "), "{stderr}");
}

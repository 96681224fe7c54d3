//! `metashrew shadow`: where another guest writes otherwise, block by block, or another
//! database holds something else.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;

use crate::harness::{Place, Running, fail, guest, succeed, unread};

const LAST: u32 = 12;

fn place() -> Place {
    let place = Place::new(LAST as usize);
    place.index();
    place
}

fn shadow(place: &Place, flags: &[&str]) -> Command {
    let mut command = place.metashrew(&["shadow", "--db", "db"]);
    command.args(flags);
    command
}

/// Runs a guest over the blocks, and answers what is printed. It must differ as said.
fn with(place: &Place, wasm: &[u8], flags: &[&str], differs: bool) -> String {
    std::fs::write(place.path("new.wasm"), wasm).unwrap();
    let mut command = shadow(place, &["--with", "new.wasm", "--blocks", "blocks.dat"]);
    outcome(command.args(flags), differs)
}

fn outcome(command: &mut Command, differs: bool) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let code = if differs { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The heights that are told of.
fn told(text: &str) -> Vec<u32> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("block "));
    lines
        .map(|line| line.split(':').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn the_exit_code_is_the_same_where_nobody_reads() {
    let place = place();
    for (guest, code) in [(guests::differs_at(7), 3), (guests::slow(10), 0)] {
        std::fs::write(place.path("new.wasm"), guest).unwrap();
        let mut command = shadow(&place, &["--with", "new.wasm", "--blocks", "blocks.dat"]);
        assert_eq!(unread(command.args(["--all"])), Some(code));
        // Only the counts are printed.
        assert_eq!(unread(command.args(["--limit", "0"])), Some(code));
    }
}

#[test]
fn a_guest_that_writes_the_same_differs_nowhere() {
    let place = place();
    let text = with(&place, &guests::slow(10), &[], false);
    let expect = "compared: blocks 1 to 12\ndiffer: 0 blocks, 0 keys\n\
                  written otherwise without effect: 0 keys\n";
    assert_eq!(text, expect);
    let text = with(&place, &guests::differs_at(7), &["--from", "8"], false);
    assert!(text.starts_with("compared: blocks 8 to 12\n"), "{text}");
    let text = with(&place, &guests::differs_at(7), &["--to", "6"], false);
    assert!(text.starts_with("compared: blocks 1 to 6\n"), "{text}");
}

#[test]
fn each_difference_is_the_blocks_own() {
    let place = place();
    let text = with(&place, &guests::differs_at(7), &["--all"], true);
    assert_eq!(told(&text), [7], "{text}");
    // `acc`, `acc/` and the height, `hdr/` and the height.
    assert!(
        text.contains("block 7: 3 keys differ\n  0x616363: 0x"),
        "{text}"
    );
    assert!(text.contains("differ: 1 blocks, 3 keys\n"), "{text}");
    let text = with(&place, &guests::differs_from(7), &["--all"], true);
    assert_eq!(told(&text), [7, 8, 9, 10, 11, 12], "{text}");
    let text = with(&place, &guests::differs_from(7), &["--limit", "1"], true);
    assert_eq!(told(&text), [7], "{text}");
    assert!(
        text.contains("  and 2 more\ncompared: 7 of blocks 1 to 12\n"),
        "{text}"
    );
    for threads in ["1", "3"] {
        let flags = ["--all", "--limit", "4", "--threads", threads];
        let text = with(&place, &guests::differs_from(2), &flags, true);
        assert_eq!(told(&text), [2, 3, 4, 5], "{text}");
        assert!(text.contains("differ: 11 blocks, 33 keys\n"), "{text}");
    }
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));
}

#[test]
fn a_guest_that_fails_on_a_block_differs_there() {
    let place = place();
    let text = with(&place, &guests::aborts_at(5), &["--all"], true);
    assert_eq!(told(&text), [5], "{text}");
    assert!(text.contains("block 5: the other guest fails: "), "{text}");
    assert!(text.contains("out of tea"), "{text}");
}

#[test]
fn a_guest_that_does_not_end_is_ended_after_its_time() {
    let place = place();
    std::fs::write(place.path("new.wasm"), guests::spins_at(5)).unwrap();
    let flags = ["--with", "new.wasm", "--blocks", "blocks.dat"];
    let mut command = shadow(&place, &flags);
    let stderr = fail(command.args(["--from", "5", "--timeout-ms", "50"]), 1);
    assert!(
        stderr.contains("has not ended within 50 ms") && stderr.contains("block 5"),
        "{stderr}"
    );
}

#[test]
fn keys_are_named_by_their_tables() {
    let place = Place::new(0);
    let blocks = crate::harness::project("examples/mainnet-blocks-1-255.dat.bz2");
    let (blocks, tables) = (blocks.to_str().unwrap(), guest("tables"));
    let tables = tables.to_str().unwrap();
    let mut command = place.metashrew(&["start", "--indexer", tables, "--blocks", blocks]);
    succeed(command.args(["--db", "db", "--listen", "127.0.0.1:0", "--exit-at", "20"]));
    std::fs::write(place.path("new.wasm"), guests::empty_flush()).unwrap();
    let flags = [
        "--with",
        "new.wasm",
        "--blocks",
        blocks,
        "--indexer",
        tables,
    ];
    let text = outcome(&mut shadow(&place, &flags), true);
    let keys = succeed(
        place
            .metashrew(&["keys", "--db", "db", "--height", "1"])
            .args(["--indexer", tables]),
    );
    let (_, table) = keys.split_once(r#""table":""#).unwrap();
    let (table, _) = table.split_once('"').unwrap();
    assert!(text.contains(&format!("  {table}[")), "{table}: {text}");
}

#[test]
fn two_databases_are_compared_from_where_they_part() {
    let place = place();
    std::fs::write(place.path("new.wasm"), guests::differs_from(10)).unwrap();
    succeed(
        place
            .metashrew(&["fork", "--db", "db", "--to", "b", "--at", "7"])
            .args(["--indexer", "new.wasm"]),
    );
    let against =
        |flags: &[&str], differs| outcome(shadow(&place, &["--against", "b"]).args(flags), differs);
    let text = against(&[], false);
    assert!(text.starts_with("compared: blocks 1 to 7\n"), "{text}");
    let mut start = place.metashrew(&["start", "--indexer", "new.wasm", "--blocks", "blocks.dat"]);
    succeed(start.args(["--db", "b", "--listen", "127.0.0.1:0", "--exit-at", "11"]));
    let text = against(&["--all"], true);
    assert_eq!(told(&text), [10, 11], "{text}");
    assert!(text.contains("compared: blocks 1 to 11\n"), "{text}");
    let text = against(&[], true);
    assert_eq!(told(&text), [10], "{text}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let place = place();
    let check = |flags: &[&str], code, expect: &str| {
        let stderr = fail(&mut shadow(&place, flags), code);
        assert!(stderr.contains(expect), "{expect:?} in\n{stderr}");
    };
    let run = ["--with", "guest.wasm", "--blocks", "blocks.dat"];
    let and = |more: &[&'static str]| [&run[..], more].concat();
    check(&[], 2, "--with <FILE>");
    check(&["--with", "guest.wasm"], 2, "--blocks");
    check(&and(&["--against", "b"]), 2, "cannot be used with");
    check(
        &and(&["--from", "5", "--to", "4"]),
        1,
        "--from 5 is above --to 4",
    );
    check(
        &and(&["--to", "13"]),
        1,
        "block 13 is not indexed yet: the last one is 12",
    );
    check(
        &and(&["--from", "0"]),
        1,
        "block 0 is not held: the first one is 1",
    );
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    check(&run, 1, "is held open by another process");
}

/// `metashrew shadow --follow` with the guest of the place in `--db`, and another one.
fn follow(place: &Place, wasm: &[u8], flags: &[&str]) -> Command {
    std::fs::write(place.path("new.wasm"), wasm).unwrap();
    let guests = ["--follow", "--indexer", "guest.wasm", "--with", "new.wasm"];
    let mut command = shadow(place, &guests);
    command.args(flags);
    command
}

#[test]
fn blocks_are_indexed_and_compared_as_they_come() {
    let place = Place::new(LAST as usize);
    succeed(&mut place.start(&["--exit-at", "6"]));
    let new = guests::differs_at(9);
    let of_files = ["--blocks", "blocks.dat"];
    // Up to a height, which the database has then.
    let text = outcome(
        follow(&place, &new, &of_files).args(["--from", "3", "--to", "8"]),
        false,
    );
    assert!(text.starts_with("compared: blocks 3 to 8\n"), "{text}");
    assert_eq!(place.stored_tip().unwrap().height, 8);
    // Up to the first difference.
    let text = outcome(&mut follow(&place, &new, &of_files), true);
    assert!(text.contains("block 9: 3 keys differ\n"), "{text}");
    assert!(text.contains("compared: blocks 1 to 9\n"), "{text}");
    // All that there are, and they are those of the guest that wrote the database.
    let text = outcome(follow(&place, &new, &of_files).arg("--all"), true);
    assert!(text.contains("compared: blocks 1 to 12\n"), "{text}");
    assert_eq!(told(&text), [9], "{text}");
    let followed = place.stored_tip();
    let whole = self::place();
    assert_eq!(followed, whole.stored_tip());
    // Another guest does not go on with it.
    place.set_guest(&guests::slow(10));
    let refused = follow(&place, &new, &of_files).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("the blocks cannot be followed"), "{stderr}");
}

#[test]
fn a_node_is_followed_through_reorganisations_until_a_signal() {
    let node = Bitcoind::start();
    node.mine(10);
    let place = Place::new(0);
    let url = node.rpc_url();
    let start = [
        "start",
        "--indexer",
        "guest.wasm",
        "--db",
        "db",
        "--rpc-url",
        &url,
    ];
    let exit_at = |height: &str| {
        let mut command = place.metashrew(&start);
        command.args(["--listen", "127.0.0.1:0", "--exit-at", height]);
        succeed(&mut command);
    };
    exit_at("6");
    let flags = ["--rpc-url", url.as_str(), "--from", "5", "--all"];
    let mut child = follow(&place, &guests::differs_from(1), &flags)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut blocks_to = |last: u32| {
        loop {
            let line = lines.next().unwrap().unwrap();
            seen.extend(told(&line));
            if told(&line) == [last] {
                return std::mem::take(&mut seen);
            }
        }
    };
    assert_eq!(blocks_to(10), [5, 6, 7, 8, 9, 10]);
    node.mine(1);
    assert_eq!(blocks_to(11), [11]);
    node.reorganise(8, 5);
    assert_eq!(blocks_to(13), [9, 10, 11, 12, 13]);
    let kill = format!("kill -INT {}", child.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest:?}");
    assert!(
        rest.contains(&"compared: blocks 5 to 13".to_owned()),
        "{rest:?}"
    );
    // 6, 1 and 5 blocks.
    assert!(
        rest.contains(&"differ: 12 blocks, 36 keys".to_owned()),
        "{rest:?}"
    );
    // The database is that of the guest that wrote it.
    let followed = place.stored_tip().unwrap();
    assert_eq!(followed.hash.to_string(), node.tip().to_string());
    std::fs::remove_dir_all(place.path("db")).unwrap();
    exit_at("13");
    assert_eq!(place.stored_tip(), Some(followed));
}

//! What a database belongs to: another guest, network, beginning or directory is an
//! error that names both, and changes nothing.

use std::path::Path;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::frames::frames;
use metashrew_testing::guests;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::followed::Desk;
use crate::harness::{Place, Running, fail, guest, metashrew, project, succeed};

fn sha256(wasm: &[u8]) -> String {
    hex::encode_prefixed(Sha256::digest(wasm))
}

/// Another guest that writes just the same.
fn same_but_slower() -> Vec<u8> {
    guests::slow(10)
}

#[test]
fn another_guest_is_refused_and_can_be_accepted() {
    let place = Place::new(10);
    succeed(&mut place.start(&["--exit-at", "5"]));
    let (old, new) = (sha256(&guests::chained()), sha256(&same_but_slower()));
    place.set_guest(&same_but_slower());
    let stderr = fail(&mut place.start(&["--exit-at", "10"]), 1);
    for part in [
        &*old,
        &*new,
        "blocks 1 to 5 by",
        "from block 6 on",
        "\nhint: ",
        "`--accept-guest-change`",
        "only if the blocks so far would come out the same",
    ] {
        assert!(stderr.contains(part), "{part:?} in\n{stderr}");
    }
    assert_eq!(place.stored_tip().unwrap().height, 5);
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));

    let mut accepted = Running::spawn(&mut place.start(&["--accept-guest-change"]));
    accepted.wait_for("all blocks are indexed");
    let expect = json!([
        { "sha256": old, "name": null, "version": null, "from": 1 },
        { "sha256": new, "name": null, "version": null, "from": 6 },
    ]);
    for method in ["metashrew_snapshot", "metashrew_stats"] {
        let answer = accepted.result(method, &json!([]));
        assert_eq!(answer["guests"], expect, "{method}");
        assert_eq!(answer["guest_sha256"], new);
    }
    let envelope = |height: u32| {
        let params = json!(["echo", "0x01", height, { "anchor": true }]);
        accepted.result("metashrew_view", &params)["guests"].clone()
    };
    assert_eq!(envelope(10), expect);
    assert_eq!(envelope(5), json!([expect[0]]));
    let url = format!("http://{}", accepted.address);
    let status = succeed(&mut place.metashrew(&["status", "--url", &url]));
    assert!(
        status.contains(&format!("guest: {old}, from block 1\n")),
        "{status}"
    );
    assert!(
        status.contains(&format!("guest: {new}, from block 6\n")),
        "{status}"
    );
    // It can be inspected while it runs.
    let text = succeed(&mut place.metashrew(&["inspect", "--db", "db"]));
    assert!(text.starts_with("format: 4\nnetwork: regtest "), "{text}");
    assert!(text.contains("\nfirst block: 1\n"), "{text}");
    assert!(text.contains("\nguest from block 6: "), "{text}");
    let text = succeed(&mut place.metashrew(&["inspect", "--db", "db", "--json"]));
    let inspected: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(inspected["guests"], expect);
    assert_eq!(inspected["network"]["magic"], "fabfb5da");
    drop(accepted);

    // Back to the first one: that is a change, too.
    place.set_guest(&guests::chained());
    let stderr = fail(&mut place.start(&["--exit-at", "10"]), 1);
    assert!(stderr.contains("blocks 6 to 10 by"), "{stderr}");
}

#[test]
fn the_log_tells_who_wrote_what_is_there() {
    let place = Place::new(3);
    place.index();
    let output = place.start(&["--exit-at", "3"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expect = format!(
        "blocks from 1 on were written by a guest without a name ({})",
        sha256(&guests::chained())
    );
    assert!(stderr.contains(&expect), "{stderr}");
}

#[test]
fn a_view_is_not_answered_by_a_guest_that_did_not_write_the_state() {
    let place = Place::new(3);
    place.index();
    place.set_guest(&same_but_slower());
    let view = |flags: &[&str]| {
        let args = [
            "view",
            "echo",
            "0x07",
            "--db",
            "db",
            "--indexer",
            "guest.wasm",
        ];
        let mut command = place.metashrew(&args);
        command.args(flags);
        command
    };
    let stderr = fail(&mut view(&[]), 1);
    assert!(
        stderr.contains(&sha256(&guests::chained()))
            && stderr.contains(&sha256(&same_but_slower()))
            && stderr.contains("\nhint: give the guest that wrote it"),
        "{stderr}"
    );
    assert_eq!(succeed(&mut view(&["--accept-guest-change"])), "0x07\n");
}

#[test]
fn a_guest_that_never_committed_a_block_binds_nobody() {
    let place = Place::with(&guests::traps_at(1), 3);
    fail(&mut place.start(&["--exit-at", "3"]), 1);
    assert_eq!(place.stored_tip(), None);
    place.set_guest(&guests::chained());
    place.index();
    succeed(&mut place.metashrew(&["rollback", "--db", "db", "--to", "1"]));
    place.set_guest(&same_but_slower());
    fail(&mut place.start(&["--exit-at", "3"]), 1);
}

#[test]
fn files_must_be_of_the_network_that_is_named() {
    let place = Place::new(3);
    for (flags, expect) in [
        (
            &["--network", "testnet4"][..],
            "block files of testnet4 with",
        ),
        (&["--magic", "deadbeef"], "block files of deadbeef with"),
        (&["--network", "main"], "block files of main with"),
    ] {
        let stderr = fail(place.start(&["--exit-at", "3"]).args(flags), 1);
        assert!(stderr.contains(expect), "{stderr}");
        assert!(!place.path("db").exists(), "nothing was created");
    }
    succeed(&mut place.start(&["--exit-at", "3", "--network", "regtest"]));

    let mainnet = project("examples/mainnet-blocks-1-255.dat.bz2");
    let directory = tempfile::TempDir::new().unwrap();
    let both = ["--network", "testnet4", "--magic", "deadbeef"];
    for (flags, code) in [(&both[..], 2), (&both[..2], 1), (&both[2..], 1)] {
        let mut start = metashrew();
        start
            .current_dir(directory.path())
            .args(["start", "--db", "db", "--exit-at", "5"])
            .args(["--listen", "127.0.0.1:0"])
            .arg("--indexer")
            .arg(guest("blocks"))
            .arg("--blocks")
            .arg(&mainnet)
            .args(flags);
        fail(&mut start, code);
        assert!(!directory.path().join("db").exists(), "nothing was created");
    }
}

#[test]
fn files_of_another_network_than_the_databases_are_refused() {
    let place = Place::new(6);
    succeed(&mut place.start(&["--exit-at", "3"]));
    let blocks = place.chain.blocks().iter();
    let blocks = blocks.map(|block| block.bytes.as_slice());
    let framed = frames([0xde, 0xad, 0xbe, 0xef], blocks);
    std::fs::write(place.path("blocks.dat"), framed).unwrap();
    let stderr = fail(&mut place.start(&["--exit-at", "6"]), 1);
    assert!(
        stderr.contains("the database holds blocks of regtest (") && stderr.contains("\nhint: "),
        "{stderr}"
    );
    assert_eq!(place.stored_tip().unwrap().height, 3);
}

#[test]
fn another_beginning_is_refused() {
    let place = Place::new(6);
    succeed(&mut place.start(&["--exit-at", "3"]));
    let stderr = fail(
        &mut place.start(&["--exit-at", "6", "--start-height", "2"]),
        1,
    );
    assert!(
        stderr.contains("the database begins at block 1, and block 2 is asked for as its first"),
        "{stderr}"
    );
    succeed(&mut place.start(&["--exit-at", "6", "--start-height", "1"]));
}

#[test]
fn a_node_of_another_network_is_named() {
    let node = Bitcoind::start();
    node.mine(300);
    let desk = Desk::with(&guests::chained());
    // Mainnet's first blocks, deeper than a reorganisation may go.
    let mainnet = project("examples/mainnet-blocks-1-255.dat.bz2");
    let mut start = desk.start("db", &["--exit-at", "255"]);
    succeed(start.arg("--blocks").arg(&mainnet));
    let stderr = fail(
        &mut desk.follow("db", &node.rpc_url(), &["--exit-at", "300"]),
        1,
    );
    assert!(
        stderr.contains("the database holds blocks of main (")
            && stderr.contains("the blocks given are of regtest ("),
        "{stderr}"
    );
    assert!(!stderr.contains("reorg"), "{stderr}");
}

/// Every file below a path, with what it holds.
fn contents(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                contents(&path)
            } else {
                vec![(path.clone(), std::fs::read(&path).unwrap())]
            }
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = Place::new(2);
    let docs = place.path("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.md"), "text").unwrap();
    let before = contents(&docs);
    let stderr = fail(&mut place.start(&["--db", "docs"]), 1);
    assert!(
        stderr.contains("`docs` is not empty and no database: it holds `a.md`"),
        "{stderr}"
    );
    assert_eq!(contents(&docs), before);
}

#[test]
fn an_older_format_is_named_and_left_alone() {
    let place = Place::new(2);
    place.index();
    std::fs::remove_file(place.path("db/FORMAT")).unwrap();
    let before = contents(&place.path("db"));
    let view = ["view", "echo", "--db", "db", "--indexer", "guest.wasm"];
    for command in [
        &mut place.start(&[]),
        &mut place.metashrew(&["verify", "--db", "db"]),
        &mut place.metashrew(&["keys", "--db", "db"]),
        &mut place.metashrew(&["inspect", "--db", "db"]),
        &mut place.metashrew(&["rollback", "--db", "db", "--to", "1"]),
        &mut place.metashrew(&view),
    ] {
        let stderr = fail(command, 1);
        assert!(stderr.contains("format 2 or older"), "{stderr}");
        assert!(contents(&place.path("db")) == before, "{stderr}");
    }
}

#[test]
fn no_folder_is_made_that_is_named_as_home() {
    let place = Place::new(1);
    for db in ["~", "~/db", "~me/db"] {
        let stderr = fail(&mut place.start(&[&format!("--db={db}")]), 2);
        assert!(
            stderr.contains("`~` stands for a home directory"),
            "{stderr}"
        );
    }
    for entry in std::fs::read_dir(place.directory.path()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with('~'), "{name:?}");
    }
}

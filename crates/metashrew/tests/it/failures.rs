//! What goes wrong is said: what, where, why, and what to do.

use metashrew_testing::guests;
use serde_json::json;

use crate::harness::{Place, Running, fail, succeed};

#[test]
fn a_missing_guest() {
    let place = Place::new(1);
    let stderr = fail(
        &mut place.metashrew(&[
            "start",
            "--indexer",
            "no.wasm",
            "--blocks",
            "blocks.dat",
            "--db",
            "db",
        ]),
        1,
    );
    assert!(
        stderr.contains("error: the guest `no.wasm` cannot be read\n  caused by: No such file"),
        "{stderr}"
    );
    assert!(!place.path("db").exists(), "nothing is created");
}

#[test]
fn a_file_that_is_no_guest() {
    let place = Place::with(b"not wasm", 1);
    let stderr = fail(&mut place.start(&[]), 1);
    assert!(
        stderr.contains("error: `guest.wasm` is no guest\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("\nhint: `metashrew inspect` tells what the file is\n"),
        "{stderr}"
    );
    place.set_guest(&guests::no_start());
    let stderr = fail(&mut place.start(&["--exit-at", "1"]), 1);
    assert!(stderr.contains("`_start`"), "{stderr}");
}

#[test]
fn missing_blocks() {
    let place = Place::new(1);
    let stderr = fail(
        &mut place.metashrew(&[
            "start",
            "--indexer",
            "guest.wasm",
            "--blocks",
            "no.dat",
            "--db",
            "db",
        ]),
        1,
    );
    assert!(
        stderr.contains("error: the blocks cannot be had\n  caused by: `no.dat` could not be read"),
        "{stderr}"
    );
}

#[test]
fn an_address_that_is_taken() {
    let place = Place::new(1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let stderr = fail(&mut place.start(&["--listen", &address]), 1);
    assert!(
        stderr.contains(&format!(
            "error: cannot listen on {address}\n  caused by: Address already in use"
        )),
        "{stderr}"
    );
    assert!(
        stderr.contains("\nhint: another process listens there"),
        "{stderr}"
    );
}

#[test]
fn a_database_that_a_server_holds_open() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    for args in [
        &["view", "height", "--db", "db", "--indexer", "guest.wasm"][..],
        &["keys", "--db", "db"],
        &["verify", "--db", "db"],
        &["rollback", "--db", "db", "--to", "1"],
    ] {
        let stderr = fail(&mut place.metashrew(args), 1);
        assert!(
            stderr.starts_with("error: the database `db` is held open by another process\n"),
            "{stderr}"
        );
        assert!(
            stderr.contains("\nhint: ask the server that holds it"),
            "{stderr}"
        );
    }
    let stderr = fail(&mut place.start(&[]), 1);
    assert!(stderr.contains("held open by another process"), "{stderr}");
    // The server never noticed.
    assert_eq!(running.result("metashrew_height", &json!([])), "3");
}

#[test]
fn a_guest_that_fails_halts_indexing_but_not_the_server() {
    let place = Place::with(&guests::aborts_at(3), 5);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("indexing has halted");
    assert_eq!(running.result("metashrew_height", &json!([])), "2");
    let answer = running.result("metashrew_view", &json!(["echo", "0x01"]));
    assert_eq!(answer, "0x01");
    running.signal("TERM");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0));
    assert!(
        stderr.contains("the guest aborted: out of tea (tea.ts:7:3); 0: "),
        "{stderr}"
    );
    assert!(
        !stderr.contains("\nerror: "),
        "a line of the log is enough: {stderr}"
    );

    assert!(
        stderr.contains("`metashrew start --accept-guest-change` goes on from this block"),
        "{stderr}"
    );

    // With a better guest it goes on from there, if the operator says so.
    place.set_guest(&guests::chained());
    fail(&mut place.start(&["--exit-at", "5"]), 1);
    succeed(&mut place.start(&["--exit-at", "5", "--accept-guest-change"]));
    let undisturbed = Place::new(5);
    undisturbed.index();
    assert_eq!(place.stored_tip(), undisturbed.stored_tip());
}

#[test]
fn a_guest_that_fails_before_exit_at_is_a_failure() {
    let place = Place::with(&guests::traps_at(3), 5);
    let stderr = fail(&mut place.start(&["--exit-at", "5"]), 1);
    let hash = place.chain.at(3).unwrap().hash;
    assert!(
        stderr.contains(&format!("error: the guest failed on block 3 ({hash})\n")),
        "{stderr}"
    );
    assert!(stderr.contains("caused by: the guest trapped:"), "{stderr}");
    assert!(stderr.contains("\n  0: "), "a backtrace: {stderr}");
    // One that fails above --exit-at is none.
    succeed(&mut place.start(&["--exit-at", "2"]));
    place.set_guest(&guests::silent());
    let stderr = fail(
        &mut place.start(&["--exit-at", "5", "--accept-guest-change"]),
        1,
    );
    assert!(stderr.contains("without calling `__flush`"), "{stderr}");
    assert!(
        stderr.contains("\nhint: a guest must call `__flush`"),
        "{stderr}"
    );
}

#[test]
fn colours_need_a_terminal() {
    let place = Place::new(1);
    let mut missing = place.metashrew(&["keys", "--db", "db"]);
    let stderr = fail(&mut missing, 1);
    assert_eq!(
        stderr,
        "error: there is no database at `db`\n\n\
         hint: `metashrew start` creates a database; is --db the one it was given?\n"
    );
}

//! Indexing: to the end, up to a height, and on from where it stopped.

use serde_json::json;

use crate::harness::{FIRST, Place, Running, fail, header, header_key, succeed};

#[test]
fn exit_at_ends_once_the_height_is_durable() {
    let place = Place::new(20);
    succeed(&mut place.start(&["--exit-at", "7"]));
    let tip = place.stored_tip().unwrap();
    assert_eq!(tip.height, 7);
    assert_eq!(
        tip.hash.to_string(),
        place.chain.at(7).unwrap().hash.to_string()
    );
    // Again: there is nothing to do.
    succeed(&mut place.start(&["--exit-at", "7"]));
    succeed(&mut place.start(&["--exit-at", "5"]));
    assert_eq!(place.stored_tip(), Some(tip));
}

#[test]
fn the_compiled_guest_is_kept_where_the_flag_says() {
    let place = Place::new(2);
    let (kept, off) = (place.path("compiled"), place.path("off"));
    // Relative to where the command runs.
    succeed(&mut place.start(&["--exit-at", "1", "--guest-cache", "compiled"]));
    assert!(std::fs::read_dir(&kept).unwrap().next().is_some());
    std::fs::remove_dir_all(&kept).unwrap();
    succeed(&mut place.start(&["--exit-at", "1", "--guest-cache", "off"]));
    assert!(!kept.exists() && !off.exists());
}

#[test]
fn it_resumes_where_it_stopped() {
    let place = Place::new(20);
    for exit_at in ["3", "4", "20"] {
        succeed(&mut place.start(&["--exit-at", exit_at]));
    }
    let undisturbed = Place::new(20);
    undisturbed.index();
    assert_eq!(place.stored_tip(), undisturbed.stored_tip());
}

#[test]
fn the_database_is_read_after_a_longer_chain_came() {
    let mut place = Place::new(5);
    place.index();
    place.chain.mine(5);
    place.write_blocks();
    place.index();
    assert_eq!(place.stored_tip().unwrap().height, 10);
}

#[test]
fn a_shorter_branch_is_left_for_a_longer_one() {
    let mut place = Place::new(10);
    place.index();
    let mut branch = place.chain.fork(FIRST + 3, 8);
    branch.mine(9);
    let tip = branch.tip().unwrap().clone();
    place.chain = branch;
    place.write_blocks();
    place.index();
    assert_eq!(
        place.stored_tip().unwrap().hash.to_string(),
        tip.hash.to_string()
    );
    let fresh = Place::new(10);
    let mut branch = fresh.chain.fork(FIRST + 3, 8);
    branch.mine(9);
    let fresh = Place {
        chain: branch,
        ..fresh
    };
    fresh.write_blocks();
    fresh.index();
    assert_eq!(place.stored_tip(), fresh.stored_tip());
}

#[test]
fn the_flags_of_existing_hosts_mean_the_same() {
    let place = Place::new(10);
    let mut start = place.metashrew(&[
        "start",
        "--indexer",
        "guest.wasm",
        "--blocks",
        "blocks.dat",
        "--db-path",
        "db",
        "--start-block",
        "4",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--cors",
        "*",
    ]);
    let running = Running::spawn(&mut start);
    running.wait_for_height(10);
    assert_eq!(
        running.result("metashrew_snapshot", &json!([]))["first_height"],
        4
    );
}

#[test]
fn flags_can_come_from_the_environment() {
    let place = Place::new(3);
    let mut start = place.metashrew(&["start"]);
    start
        .env("METASHREW_INDEXER", "guest.wasm")
        .env("METASHREW_BLOCKS", "blocks.dat")
        .env("METASHREW_DB", "elsewhere")
        .env("METASHREW_LISTEN", "127.0.0.1:0")
        .env("METASHREW_EXIT_AT", "3");
    succeed(&mut start);
    assert!(place.path("elsewhere").is_dir());
}

#[test]
fn it_serves_while_it_indexes_and_after() {
    let mut place = Place::with(&metashrew_testing::guests::slow(3_000_000), 30);
    let mut running = Running::spawn(&mut place.start(&[]));
    for height in [FIRST, FIRST + 10, FIRST + 29] {
        running.wait_for_height(height);
        let block = place.chain.at(height).unwrap();
        let answer = running.result(
            "metashrew_view",
            &json!(["get", header_key(height), height]),
        );
        assert_eq!(answer, header(block));
    }
    running.wait_for("all blocks are indexed");
    let next = place.chain.mine(1).to_vec().remove(0);
    let preview = json!([
        hex::encode(next.bytes.as_slice()),
        "get",
        header_key(next.height)
    ]);
    assert_eq!(running.result("metashrew_preview", &preview), header(&next));
    assert_eq!(running.result("metashrew_height", &json!([])), "30");
}

#[test]
fn blocks_that_end_below_exit_at_are_a_failure() {
    let place = Place::new(3);
    let stderr = fail(&mut place.start(&["--exit-at", "9"]), 1);
    assert!(
        stderr.contains("error: the blocks end at 3, below --exit-at 9\n"),
        "{stderr}"
    );
    // What there was is indexed.
    assert_eq!(place.stored_tip().unwrap().height, 3);
}

#[test]
fn progress_is_told_in_lines_where_no_one_watches() {
    let place = Place::new(3);
    let mut start = place.start(&["--exit-at", "3"]);
    let output = start.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("indexing"), "{stderr}");
    assert!(
        stderr.contains("indexed up to --exit-at height=3"),
        "{stderr}"
    );
    assert!(!stderr.contains('\x1b'), "no escape sequences: {stderr:?}");
    assert_eq!(output.stdout, b"", "logs are no data");
}

#[test]
fn log_lines_can_be_chosen() {
    let place = Place::new(1);
    let output = place
        .start(&["--exit-at", "1", "--log", "off"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let stderr = fail(&mut place.start(&["--log", "=="]), 2);
    assert!(stderr.contains("`==` is not a log filter"), "{stderr}");
}

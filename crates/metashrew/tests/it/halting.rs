//! What becomes of a process whose indexing has halted, and how it is told; and blocks
//! that do not end.

use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::followed::wait_until;
use crate::harness::{Place, Running, fail, get, metashrew, succeed};

fn status(running: &Running) -> String {
    let url = format!("http://{}", running.address);
    succeed(metashrew().args(["status", "--url", &url]))
}

#[test]
fn a_halt_is_told_in_one_line_of_the_log_and_by_whoever_is_asked() {
    let place = Place::with(&guests::traps_at(3), 5);
    let mut running = Running::spawn(&mut place.start(&[]));
    let line = running.wait_for("indexing has halted");
    let hash = place.chain.at(3).unwrap().hash.to_string();
    // A time and a level come first, as on every line.
    let (time, line) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z'), "{time}");
    assert!(line.trim_start().starts_with("ERROR "), "{line}");
    for part in [
        "block=3",
        &format!("hash={hash}"),
        "the guest failed on block 3",
        "the guest trapped: ",
        "; 0: ",
        "hint=\"every machine fails here",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let ready: Value = serde_json::from_str(&get(running.address, "/ready").1).unwrap();
    wait_until("the hint is told", || {
        running.indexing()["hint"].is_string()
    });
    assert_eq!(ready["state"], "halted");
    assert_eq!(ready["failed_block"]["height"], 3);
    assert!(ready["error"].as_str().unwrap().contains("trapped"));
    let text = status(&running);
    assert!(text.contains("\nhint: every machine fails here"), "{text}");
    assert!(text.contains("\nfailed block: 3\n"), "{text}");
    assert_eq!(running.served_height(), Some(2));
    running.end();
}

#[test]
fn a_halt_ends_the_process_where_there_is_nothing_to_serve_or_so_it_is_told() {
    // Nothing is indexed.
    let place = Place::with(&guests::traps_at(1), 3);
    let stderr = fail(&mut place.start(&[]), 1);
    assert!(stderr.contains("ERROR"), "{stderr}");
    let running = Running::spawn(&mut place.start(&["--on-halt", "serve"]));
    running.wait_for_state("halted");
    running.end();
    // Something is.
    let place = Place::with(&guests::traps_at(3), 5);
    let stderr = fail(&mut place.start(&["--on-halt", "exit"]), 1);
    assert!(
        stderr.contains("error: the guest failed on block 3"),
        "{stderr}"
    );
    let flags = ["--exit-at", "5", "--on-halt", "serve"];
    let running = Running::spawn(&mut place.start(&flags));
    running.wait_for_state("halted");
    assert_eq!(running.served_height(), Some(2));
    running.end();
}

#[test]
fn a_block_that_writes_without_end_halts_at_the_limit_on_every_machine() {
    let place = Place::with(&guests::floods_at(3), 5);
    let stderr = fail(&mut place.start(&["--on-halt", "exit"]), 1);
    for part in [
        "error: the guest failed on block 3",
        "the block writes more than the 1073741824 bytes allowed",
        "hint: every machine fails here",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(place.stored_tip().unwrap().height, 2);
}

#[test]
fn a_block_that_does_not_end_is_told() {
    let place = Place::with(&guests::spins_at(3), 5);
    let mut running = Running::spawn(&mut place.start(&[]));
    wait_until("the block is at work", || {
        running.indexing()["current_block"]["height"] == 3
    });
    let block = running.indexing()["current_block"].clone();
    let hash = format!("0x{}", place.chain.at(3).unwrap().hash);
    assert_eq!(block["block_hash"], hash);
    wait_until("its seconds pass", || {
        let seconds = &running.indexing()["current_block"]["seconds"];
        seconds.as_f64() > block["seconds"].as_f64()
    });
    let text = status(&running);
    assert!(
        text.contains(&format!("\nblock at work: 3 ({hash}), for ")),
        "{text}"
    );
    let metrics = get(running.address, "/metrics").1;
    assert!(
        metrics.contains("metashrew_current_block_height 3\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("metashrew_current_block_seconds "),
        "{metrics}"
    );
    // After ten seconds, the log and the progress say so.
    let line = running.wait_for("has been processing block 3 for ");
    assert!(line.contains("WARN"), "{line}");
    running.wait_for(", the guest has been at block 3 for ");
    running.end();
}

#[test]
fn a_block_to_exit_at_that_never_comes_is_an_error() {
    let place = Place::new(5);
    let stderr = fail(&mut place.start(&["--exit-at", "0"]), 1);
    assert!(
        stderr.contains("block 0, to exit at, will not be indexed: the first block is 1"),
        "{stderr}"
    );
    let stderr = fail(
        &mut place.start(&["--start-height", "3", "--exit-at", "2"]),
        2,
    );
    assert!(
        stderr.contains("--exit-at 2 is below --start-height 3"),
        "{stderr}"
    );
    // The blocks are put above their place.
    let stderr = fail(
        &mut place.start(&["--start-height", "300", "--exit-at", "400"]),
        1,
    );
    assert!(stderr.contains("300"), "{stderr}");
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(5);
    let totals = running.indexing()["totals"].clone();
    assert_eq!(totals["blocks"], json!(5), "{totals}");
    running.end();
}

#[test]
fn stateful_views_that_need_a_state_are_had_once_there_is_one() {
    let place = Place::with(&guests::needs_state_for_views(), 5);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(5);
    wait_until("views are stateful", || {
        running.result("metashrew_stats", &json!([]))["views"]["stateful"] == true
    });
    running.end();
}

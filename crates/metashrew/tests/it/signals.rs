//! How it ends when it is told to.

use std::process::Command;

use metashrew_testing::guests;
use serde_json::json;

use crate::harness::{Place, Running};

#[test]
fn sigterm_and_sigint_end_it_cleanly() {
    let place = Place::with(&guests::slow(2_000_000), 300);
    for signal in ["TERM", "INT"] {
        let running = Running::spawn(&mut place.start(&[]));
        let before = place_height(&running);
        running.wait_for_height(before + 5);
        assert_stops(running, signal);
        assert!(place.stored_tip().unwrap().height >= before + 5);
    }
    place.index();
    let undisturbed = Place::new(300);
    undisturbed.index();
    assert_eq!(place.stored_tip(), undisturbed.stored_tip());
}

/// The signal ends it with exit code 0, and it says so.
fn assert_stops(running: Running, signal: &str) {
    running.signal(signal);
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains(&format!("SIG{signal}: stopping")),
        "{stderr}"
    );
}

fn place_height(running: &Running) -> u32 {
    running.served_height().unwrap_or(0)
}

#[test]
fn it_ends_while_it_is_still_looking_at_the_blocks() {
    let place = Place::new(3);
    // Who opens a pipe waits until somebody writes into it.
    let mut pipe = Command::new("mkfifo");
    assert!(pipe.arg(place.path("pipe.dat")).status().unwrap().success());
    for signal in ["TERM", "INT"] {
        let mut running = Running::begin(&mut place.start(&["--blocks", "pipe.dat"]));
        running.wait_for("the guest is compiled");
        assert_stops(running, signal);
    }
    assert!(!place.path("db").exists());
}

#[test]
fn it_ends_when_all_is_indexed_too() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&["-v"]));
    running.wait_for("all blocks are indexed");
    running.signal("TERM");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("the database is closed"), "{stderr}");
}

#[test]
fn an_endless_start_does_not_hold_it_up() {
    let place = Place::with(&guests::spins_at(3), 5);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(2);
    running.signal("TERM");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0), "{stderr}");
    // The block that never ended left no trace.
    assert_eq!(place.stored_tip().unwrap().height, 2);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::with(&guests::spins_at(3), 5);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(2);
    running.signal("INT");
    running.wait_for("SIGINT: stopping");
    running.signal("INT");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("leaving at once"), "{stderr}");
}

#[test]
fn an_endless_view_does_not_hold_it_up() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&["--view-timeout-ms", "3600000"]));
    running.wait_for("all blocks are indexed");
    let address = running.address;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "metashrew_view", "params": ["spin"],
    });
    let caller = std::thread::spawn(move || crate::harness::post(address, &call.to_string()));
    running.signal("TERM");
    let (code, stderr) = running.wait();
    assert_eq!(code, Some(0), "{stderr}");
    // Its connection was closed, if it had come that far, without an answer.
    let answered = caller.join().unwrap();
    assert!(answered.is_err(), "{answered:?}");
}

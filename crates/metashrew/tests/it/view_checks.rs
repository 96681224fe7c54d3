//! `--view-check` and `--view-mode`, by flag, variable and configuration file.

use std::process::Command;

use metashrew_testing::remembering::remembering;
use serde_json::{Value, json};

use crate::harness::{Place, Running, get, guest};

const WARNING: &str = "a view answers from what earlier calls left in its memory";

/// SHA-256 of the byte 1.
const SHA256_OF_1: &str = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";

fn serve(command: &mut Command) -> Running {
    let running = Running::spawn(command);
    running.wait_for_height(2);
    running
}

/// What `first_input` answers to 60 inputs, one after the other.
fn ask(running: &Running) -> Vec<Value> {
    (0..60)
        .map(|number| {
            let input = format!("0x{number:02x}");
            running.result("metashrew_view", &json!(["first_input", input]))
        })
        .collect()
}

fn is_right(answers: &[Value]) -> usize {
    let right = |(number, answer): &(usize, &Value)| **answer == format!("0x{number:02x}");
    answers.iter().enumerate().filter(right).count()
}

/// What was checked, once so many checks came to an end.
fn checks(running: &Running, count: u64, view: &str) -> Value {
    loop {
        let stats = running.result("metashrew_stats", &json!([]));
        let checks = stats["views"]["checks"].clone();
        let number = |name: &str| checks[name].as_u64().unwrap();
        if number("run") + number("skipped") >= count {
            assert_eq!(
                stats["views"]["by_view"][view]["checks"]["run"],
                checks["run"]
            );
            return checks;
        }
        std::thread::yield_now();
    }
}

#[test]
fn by_default_such_a_view_is_named_once_and_goes_on() {
    let place = Place::with(&remembering(), 2);
    let mut running = serve(&mut place.start(&[]));
    assert_eq!(is_right(&ask(&running)), 1);
    let line = running.wait_for(WARNING);
    for part in [
        "WARN",
        "view=\"first_input\"",
        SHA256_OF_1,
        "served=\"kept\"",
        &format!("2:{}", place.tip().hash),
        "`[views.first_input]`",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let found = checks(&running, 1, "first_input");
    assert_eq!(found["differed"], 1);
    let difference = &found["differences"][0];
    assert_eq!(difference["view"], "first_input");
    assert_eq!(difference["height"], 2);
    assert_eq!(difference["block_hash"], format!("0x{}", place.tip().hash));
    assert_eq!(difference["input_sha256"], format!("0x{SHA256_OF_1}"));
    assert_eq!(
        (&difference["pending"], &difference["error"]),
        (&json!(false), &Value::Null)
    );
    assert!(
        difference["hint"]
            .as_str()
            .unwrap()
            .contains("`[views.first_input]`")
    );
    let (_, metrics) = get(running.address, "/metrics");
    let sample = r#"metashrew_view_checks_total{view="first_input",result="differed"} 1"#;
    assert!(metrics.contains(sample), "{metrics}");
    running.signal("TERM");
    let (_, stderr) = running.wait();
    assert_eq!(stderr.matches(WARNING).count(), 1, "{stderr}");
}

#[test]
fn enforced_every_answer_is_right() {
    let place = Place::with(&remembering(), 2);
    let by_flag = ["--view-check", "enforce"];
    let mut running = serve(&mut place.start(&by_flag));
    assert_eq!(is_right(&ask(&running)), 60);
    assert!(running.wait_for(WARNING).contains("served=\"fresh\""));
    assert_eq!(checks(&running, 1, "first_input")["differed"], 1);
    drop(running);
    let mut by_variable = place.start(&[]);
    by_variable.env("METASHREW_VIEW_CHECK", "enforce");
    assert_eq!(is_right(&ask(&serve(&mut by_variable))), 60);
    std::fs::write(place.path("c.toml"), "[views]\ncheck = \"enforce\"\n").unwrap();
    let running = serve(&mut place.start(&["--config", "c.toml"]));
    assert_eq!(is_right(&ask(&running)), 60);
}

#[test]
fn what_is_settled_is_not_checked() {
    let place = Place::with(&remembering(), 2);
    let answers = |command: &mut Command| {
        let running = serve(command);
        let right = is_right(&ask(&running));
        let checks = checks(&running, 0, "first_input");
        assert_eq!(
            (&checks["run"], &checks["differences"]),
            (&json!(0), &json!([]))
        );
        right
    };
    assert_eq!(answers(&mut place.start(&["--view-check", "off"])), 1);
    let mode = |mode: &str| format!("first_input={mode}");
    let by_flag = ["--view-mode", &mode("fresh")];
    assert_eq!(answers(&mut place.start(&by_flag)), 60);
    let mut by_variable = place.start(&["--view-check", "enforce"]);
    by_variable.env("METASHREW_VIEW_MODE", mode("stateful"));
    assert_eq!(answers(&mut by_variable), 1);
    let file = "[views]\ncheck = \"warn\"\n[views.first_input]\nmode = \"fresh\"\n";
    std::fs::write(place.path("c.toml"), file).unwrap();
    assert_eq!(answers(&mut place.start(&["--config", "c.toml"])), 60);
    // A flag goes before the file.
    let both = ["--config", "c.toml", "--view-mode", &mode("stateful")];
    assert_eq!(answers(&mut place.start(&both)), 1);
}

#[test]
fn a_settled_view_that_is_not_there_is_a_warning() {
    let place = Place::with(&remembering(), 2);
    let file = "[views.frist_input]\nmode = \"fresh\"\n[views.nothing]\nmode = \"stateful\"\n";
    std::fs::write(place.path("c.toml"), file).unwrap();
    let running = serve(&mut place.start(&["--config", "c.toml"]));
    running.signal("TERM");
    let (_, stderr) = running.wait();
    for expect in [
        "`frist_input` runs is settled, and the guest has no such view; did you mean `first_input`?",
        "`nothing` runs is settled, and the guest has no such view\n",
    ] {
        assert!(stderr.contains(expect), "{stderr}");
    }
}

#[test]
fn a_guest_that_says_so_answers_from_its_memory() {
    let wasm = std::fs::read(guest("session")).unwrap();
    let place = Place::with(&wasm, 2);
    let running = serve(&mut place.start(&["--view-check", "enforce"]));
    let input = hex::encode_prefixed(br#"{"session":"s"}"#);
    for visits in 1..=5 {
        let answer = running.result("metashrew_view", &json!(["visit", input]));
        let answer = hex::decode(answer.as_str().unwrap()).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["visits"], visits);
    }
    let none = json!({
        "run": 0, "skipped": 0, "differed": 0, "waiting": 0, "seconds": 0.0, "differences": []
    });
    assert_eq!(checks(&running, 0, "visit"), none);
}

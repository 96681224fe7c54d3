//! The guest's floor: the same wasm over hash maps and nothing else, on the same
//! blocks, in a process of its own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use metashrew_testing::floor::{self, Floor};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::marks::{self, MARKS};
use crate::process;

/// Prints a line of JSON for each mark.
pub(crate) fn run(arguments: &Arguments) {
    let linked = floor::link(&arguments.guest());
    let last = arguments.number("floor", 1_000_000);
    let mut floor = Floor::new(&linked);
    let mut costs: Vec<(Duration, Duration)> = Vec::new();
    let mut marks = MARKS.into_iter().filter(|mark| *mark <= last);
    let Some(mut mark) = marks.next() else { return };
    let mut window_from = None;
    for mined in arguments.blocks() {
        let (cpu, begun) = (process::own_thread(), Instant::now());
        floor.index(mined.height, &mined.bytes);
        costs.push((begun.elapsed(), process::own_thread().saturating_sub(cpu)));
        let written = floor.written();
        if written.keys >= marks::window_of(mark) {
            window_from.get_or_insert((costs.len(), written.keys));
        }
        if written.keys < mark {
            continue;
        }
        let (from, _) = window_from
            .take()
            .expect("the window comes before its mark");
        let window = &costs[from.min(costs.len() - 1)..];
        let blocks = u32::try_from(window.len()).expect("few blocks");
        let (wall, cpu): (Duration, Duration) = (
            window.iter().map(|cost| cost.0).sum(),
            window.iter().map(|cost| cost.1).sum(),
        );
        let line = json!({
            "mark": mark,
            "floor_wall_ms": (wall / blocks).as_secs_f64() * 1e3,
            "floor_cpu_ms": (cpu / blocks).as_secs_f64() * 1e3,
            "keys": written.keys,
            "bytes": written.bytes,
            "blocks": costs.len(),
        });
        println!("{line}");
        match marks.next() {
            Some(next) => mark = next,
            None => return,
        }
    }
}

/// Writes the state of the guest once it has written `keys` keys to the file `to`, for
/// `bench/engines`: the length of each key (`u32`, little-endian), of its value, and both.
pub(crate) fn dump(arguments: &Arguments) {
    let linked = floor::link(&arguments.guest());
    let mut floor = Floor::new(&linked);
    for mined in arguments.blocks() {
        floor.index(mined.height, &mined.bytes);
        if floor.written().keys >= arguments.number("keys", 1_000_000) {
            break;
        }
    }
    let file = File::create(arguments.get("to").expect("a file")).expect("it can be made");
    let mut file = BufWriter::new(file);
    for (key, value) in floor.state() {
        let lengths = [key, value].map(|part| (part.len() as u32).to_le_bytes());
        for part in [&lengths.concat(), &key[..], &value[..]] {
            file.write_all(part).expect("it can be written");
        }
    }
    file.flush().expect("it can be written");
}

/// What the floor said of each mark it reached.
pub(crate) fn measure(arguments: &Arguments) -> Vec<Value> {
    let own = std::env::current_exe().expect("the bench knows where it is");
    let child = arguments.clone().with("role", "floor").spawn(&own);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the floor could not be measured");
    let text = String::from_utf8(output.stdout).expect("it is JSON");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect()
}

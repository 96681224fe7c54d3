//! The tables.

use std::collections::BTreeMap;

use serde_json::Value;

/// Threads that take less than this, in milliseconds a block, are added up.
const NEGLIGIBLE_MS: f64 = 0.5;

/// Prints the tables of all marks.
pub(crate) fn print(rows: &[Value]) {
    blocks(rows);
    storage(rows);
    threads(rows);
    if let Some(speed) = rows
        .iter()
        .find_map(|row| number(row, "/verify/versions_per_s"))
    {
        println!("\nVerified at {speed:.0} versions a second.");
    }
}

fn number(row: &Value, path: &str) -> Option<f64> {
    row.pointer(path)?.as_f64()
}

fn cell(row: &Value, path: &str, unit: f64, digits: usize) -> String {
    let cell = number(row, path).map(|number| format!("{:.digits$}", number / unit));
    cell.unwrap_or_default()
}

fn blocks(rows: &[Value]) {
    println!(
        "\n| keys | blocks | blocks/s | CPU ms a block | of the floor | floor CPU ms | guest ms p50, p99 | commit ms p50, p99, longest | stalled | waits for blocks | load |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let ratio = number(row, "/floor/floor_cpu_ms")
            .zip(number(row, "/cpu_ms"))
            .map(|(floor, cost)| format!("{:.1}", cost / floor));
        let share = |path: &str| {
            let wall = number(row, "/wall_s").unwrap_or(f64::INFINITY) * 1e3;
            let share = number(row, path).unwrap_or_default() / wall;
            format!("{:.0}%", 100.0 * share)
        };
        println!(
            "| {} M | {} | {} | {} | {} | {} | {}, {} | {}, {}, {} | {} | {} | {} |",
            cell(row, "/keys", 1e6, 1),
            cell(row, "/height", 1.0, 0),
            cell(row, "/blocks_per_s", 1.0, 2),
            cell(row, "/cpu_ms", 1.0, 0),
            ratio.unwrap_or_default(),
            cell(row, "/floor/floor_cpu_ms", 1.0, 1),
            cell(row, "/block_ms/p50", 1.0, 0),
            cell(row, "/block_ms/p99", 1.0, 0),
            cell(row, "/commit_ms/p50", 1.0, 0),
            cell(row, "/commit_ms/p99", 1.0, 0),
            cell(row, "/commit_ms/longest", 1.0, 0),
            share("/stalled_ms"),
            share("/waiting_ms"),
            cell(row, "/load", 1.0, 1),
        );
    }
}

fn storage(rows: &[Value]) {
    println!(
        "\n| keys | written MB a block | fetched MB a block | logical MB | disk MB | disk / logical | resident MB, peak | closing ms | opening ms (CPU) | after a kill ms | rollback of 10 blocks ms (CPU) |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let ratio = number(row, "/logical_bytes")
            .zip(number(row, "/disk_bytes"))
            .map(|(logical, disk)| format!("{:.2}", disk / logical));
        println!(
            "| {} M | {} | {} | {} | {} | {} | {}, {} | {} | {} ({}) | {} | {} ({}) |",
            cell(row, "/keys", 1e6, 1),
            cell(row, "/written_bytes", 1e6, 1),
            cell(row, "/fetched_bytes", 1e6, 1),
            cell(row, "/logical_bytes", 1e6, 0),
            cell(row, "/disk_bytes", 1e6, 0),
            ratio.unwrap_or_default(),
            cell(row, "/resident_bytes", 1e6, 0),
            cell(row, "/peak_resident_bytes", 1e6, 0),
            cell(row, "/closing_ms", 1.0, 0),
            cell(row, "/opening_ms", 1.0, 0),
            cell(row, "/opening_cpu_ms", 1.0, 0),
            cell(row, "/opening_after_kill_ms", 1.0, 0),
            cell(row, "/rollback_ms", 1.0, 0),
            cell(row, "/rollback_cpu_ms", 1.0, 0),
        );
    }
}

/// Processor time a block by thread, one line for each name.
fn threads(rows: &[Value]) {
    let mut names = BTreeMap::<&str, f64>::new();
    for row in rows {
        let threads = row["threads_ms"].as_object();
        for (name, time) in threads.into_iter().flatten() {
            let most = names.entry(name).or_default();
            *most = most.max(time.as_f64().unwrap_or_default());
        }
    }
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|left, right| right.1.total_cmp(&left.1));
    let marks = rows
        .iter()
        .map(|row| format!(" {} M |", cell(row, "/keys", 1e6, 1)));
    println!(
        "\n| CPU ms a block, by thread |{}",
        marks.collect::<String>()
    );
    println!("|---|{}", "---:|".repeat(rows.len()));
    let line = |name: &str, of: &dyn Fn(&Value) -> f64| {
        let cells = rows.iter().map(|row| format!(" {:.1} |", of(row)));
        println!("| {name} |{}", cells.collect::<String>());
    };
    let time = |row: &Value, name: &str| row["threads_ms"][name].as_f64().unwrap_or_default();
    let (shown, rest): (Vec<_>, Vec<_>) =
        names.iter().partition(|(_, most)| *most >= NEGLIGIBLE_MS);
    for (name, _) in &shown {
        line(name, &|row| time(row, name));
    }
    line("others", &|row| {
        rest.iter().map(|(name, _)| time(row, name)).sum()
    });
    line("(the generator, beside)", &|row| {
        let blocks = number(row, "/blocks").unwrap_or(1.0).max(1.0);
        number(row, "/generator_ms").unwrap_or_default() / blocks
    });
}

//! The page: what was measured, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::advice;
use super::figures::{Figures, number, ratio};
use super::pace::TimeToTip;
use crate::{console, printable};

/// All of it as text, a fact a line.
pub(super) fn text(figures: &Figures) -> String {
    let mut page = String::new();
    for line in head(figures) {
        page.push_str(&line);
        page.push('\n');
    }
    page.push_str(&executing(figures));
    for (name, text) in rows(figures) {
        let name = if name.is_empty() {
            name.to_owned()
        } else {
            format!("{name}:")
        };
        // Writing to a string does not fail.
        let _ = writeln!(page, "{name:<9} {text}");
    }
    page.push_str("\nwhat to change:\n");
    for (number, advice) in (1..).zip(&figures.advice) {
        let _ = writeln!(
            page,
            "  {number}. {}: {}",
            advice.area.as_str(),
            advice.text
        );
    }
    for note in advice::notes(figures) {
        let _ = writeln!(page, "note: {note}");
    }
    page
}

fn head(figures: &Figures) -> [String; 3] {
    let (blocks, machine, rates) = (&figures.blocks, &figures.machine, &figures.rates);
    let memory = machine
        .memory_bytes
        .map_or_else(String::new, |bytes| format!(", {} of memory", size(bytes)));
    [
        format!(
            "guest {} ({}), blocks {} to {} of {}",
            printable::line(&figures.guest.file),
            figures.guest.sha256.get(..12).unwrap_or_default(),
            blocks.first,
            blocks.last,
            printable::line(&blocks.source)
        ),
        format!(
            "{} cores{memory}; the database has {} for caches and is {}",
            machine.cores,
            size(machine.cache_bytes),
            machine.durability
        ),
        format!(
            "{} blocks ({}) in {}: {} blocks/s, {:.2} MB/s; a block takes {} (p50), {} (p99), {} (block {})",
            blocks.count,
            size(blocks.bytes),
            console::duration(Duration::from_secs_f64(rates.seconds)),
            rate(rates.blocks_per_second),
            rates.bytes_per_second / 1e6,
            milliseconds(rates.block_p50_seconds),
            milliseconds(rates.block_p99_seconds),
            milliseconds(rates.block_longest_seconds),
            blocks.slowest
        ),
    ]
}

/// The table of the thread that runs the guest.
fn executing(figures: &Figures) -> String {
    let thread = &figures.executing_thread;
    let line = |name: &str, seconds: f64| {
        let each = ratio(seconds, number(figures.blocks.count));
        let share = percent(figures.share(seconds));
        format!("  {name:<30} {:>10} {share:>6}\n", milliseconds(each))
    };
    let mut table = format!(
        "\n{:<32} {:>10} {:>6}\n",
        "the executing thread, a block:", "", ""
    );
    for (name, seconds) in thread.parts() {
        table.push_str(&line(name, seconds));
    }
    table.push_str(&line("all", thread.seconds()));
    table.push('\n');
    table
}

fn rows(figures: &Figures) -> Vec<(&'static str, String)> {
    let mut rows = vec![("reads", reads(figures)), ("commits", commits(figures))];
    if let Some(engine) = &figures.engine {
        rows.push(("engine", format!(
            "{} flushes, {} compactions, {} written by them, {} to be merged yet; {} reads in recent writes; {} blocks of tables from memory, {} from files{}",
            engine.flushes,
            engine.compactions,
            size(engine.written_bytes),
            size(engine.compaction_debt_bytes),
            engine.resident_hits,
            engine.block_cache_hits,
            engine.block_cache_misses,
            engine.database_bytes.map_or_else(String::new, |bytes| format!("; {} on disk", size(bytes)))
        )));
    }
    rows.push(("source", source(figures)));
    let scouts = &figures.scouts;
    rows.push((
        "scouts",
        if scouts.most == 0 {
            "none".to_owned()
        } else {
            format!(
                "{} at most, which read {} values ahead",
                scouts.most, scouts.reads
            )
        },
    ));
    if let Some(cpu) = &figures.cpu {
        let group = |(name, seconds): (&&str, &f64)| format!("{name} {}", milliseconds(*seconds));
        let mut groups: Vec<_> = cpu.groups.iter().collect();
        groups.sort_by(|left, right| right.1.total_cmp(left.1));
        let groups: Vec<_> = groups.into_iter().map(group).collect();
        rows.push((
            "CPU",
            format!(
                "{} in all: {}",
                milliseconds(cpu.seconds),
                groups.join(", ")
            ),
        ));
    }
    if let Some(memory) = &figures.memory {
        let (now, most) = (
            size(memory.resident_bytes),
            size(memory.peak_resident_bytes),
        );
        rows.push(("memory", format!("{now} resident, {most} at most")));
    }
    let tip = figures.time_to_tip.as_ref();
    rows.push((
        "tip",
        tip.map_or_else(|| "these blocks reach it".to_owned(), to_tip),
    ));
    rows
}

fn reads(figures: &Figures) -> String {
    let reads = &figures.reads;
    let (count, blocks) = (number(reads.count), number(figures.blocks.count));
    let asked = number(reads.cache_hits + reads.cache_misses);
    format!(
        "{} ({:.1} a block, {} each), {} of them absent, {} found; the cache answered {} of {asked} lookups, and holds {} of {}",
        reads.count,
        ratio(count, blocks),
        microseconds(ratio(figures.executing_thread.reads_seconds, count)),
        percent(ratio(number(reads.absent), count)),
        size(reads.bytes),
        percent(ratio(number(reads.cache_hits), asked)),
        size(reads.cache_used_bytes),
        size(reads.cache_limit_bytes)
    )
}

fn commits(figures: &Figures) -> String {
    let commits = &figures.commits;
    let each = ratio(commits.seconds, number(commits.count));
    let mut text = format!(
        "{} ({:.1} blocks each), {} each; {} keys ({:.1} a block)",
        commits.count,
        ratio(number(figures.blocks.count), number(commits.count)),
        milliseconds(each),
        commits.keys,
        ratio(number(commits.keys), number(figures.blocks.count))
    );
    if let (Some(syncs), Some(seconds), Some(bytes)) =
        (commits.syncs, commits.sync_seconds, commits.logged_bytes)
    {
        let each = milliseconds(ratio(seconds, number(syncs)));
        let _ = write!(
            text,
            "; {syncs} fsyncs, {each} each; {} to the log",
            size(bytes)
        );
    }
    text
}

fn source(figures: &Figures) -> String {
    let source = &figures.source;
    let each = |seconds: f64| milliseconds(ratio(seconds, number(source.blocks)));
    format!(
        "{} blocks ({}), a block takes {} to fetch and {} to check, on several threads",
        source.blocks,
        size(source.bytes),
        each(source.fetch_seconds),
        each(source.check_seconds)
    )
}

fn to_tip(time: &TimeToTip) -> String {
    let left = format!("{} blocks are left to {}", time.blocks_left, time.tip);
    let sizes = match time.left_block_bytes {
        Some(bytes) => format!(
            "; those measured have {} on average, those left {}",
            bytes_of(time.measured_block_bytes),
            bytes_of(bytes)
        ),
        None => format!(
            "; those measured have {} on average, those left are taken for the same",
            bytes_of(time.measured_block_bytes)
        ),
    };
    let Some(seconds) = time.at_this_pace_seconds else {
        return format!(
            "{left}{sizes}: too much larger to tell by these; measure later blocks with --from"
        );
    };
    let at_pace = format!("{left}{sizes}: {} at this pace", long(seconds));
    let far = format!(
        "{:.1} times as many blocks as were measured",
        time.extrapolated
    );
    match (time.slope, time.with_slope_seconds) {
        (Some(slope), Some(seconds)) => format!(
            "{at_pace}, {} if it goes on falling as over these (a byte took {} more at the end than at the beginning; told for {far})",
            long(seconds),
            percent(slope)
        ),
        _ => format!(
            "{at_pace}; it falls as the state grows, by how much cannot be told from these blocks (told for {far})"
        ),
    }
}

/// Days, if there are any, else as other times.
fn long(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    if seconds >= 2.0 * DAY {
        return format!("{:.1} days", seconds / DAY);
    }
    console::duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn rate(each_second: f64) -> String {
    let digits = usize::from(each_second < 100.0);
    format!("{each_second:.digits$}")
}

fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1e3;
    match ms {
        _ if ms >= 10_000.0 => format!("{seconds:.1} s"),
        _ if ms >= 100.0 => format!("{ms:.0} ms"),
        _ if ms >= 1.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.3} ms"),
    }
}

fn microseconds(seconds: f64) -> String {
    format!("{:.1} µs", seconds * 1e6)
}

/// A part of one, in hundredths.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

fn bytes_of(bytes: f64) -> String {
    if bytes >= 1e6 {
        format!("{:.2} MB", bytes / 1e6)
    } else {
        format!("{:.2} kB", bytes / 1e3)
    }
}

/// A size in the units of flags.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| format!("{:.1} {name}", number(bytes) / number(*unit)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0, 1_023, 1_536, 5 << 30].map(size),
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
        let ms = [0.000_012, 0.001_5, 0.25, 12.0].map(milliseconds);
        assert_eq!(ms, ["0.012 ms", "1.5 ms", "250 ms", "12.0 s"]);
        assert_eq!([3_700.0, 900_000.0].map(long), ["1h01m", "10.4 days"]);
        assert_eq!([0.5, 812.3].map(rate), ["0.5", "812"]);
    }
}

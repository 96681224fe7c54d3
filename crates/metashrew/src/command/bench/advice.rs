//! What to change, as it follows from what was measured.

use serde::Serialize;

use super::figures::{Engine, Figures, number, ratio};
use super::page::{percent, size};

/// From here on no other part can halve the time.
const GUEST_SHARE: f64 = 0.5;

/// Reads below this part gain less than what a run differs from the next.
const READS_SHARE: f64 = 0.15;

/// So many reads that the cache does not answer are more than first reads of a warm cache.
const MISS_PART: f64 = 0.1;

/// A cache that is as full as this lets go of what is asked for again.
const FULL_PART: f64 = 0.9;

/// Where more reads find nothing than something, the guest asks what it could know.
const ABSENT_PART: f64 = 0.5;

/// Commits run beside the guest: any time that it waits for them is lost, and less than this is
/// the last commit of a short run.
const STALLED_SHARE: f64 = 0.05;

/// A third of a commit's time is worth a faster disk; the rest of it is the processor's.
const SYNC_PART: f64 = 0.33;

/// Solid-state disks that are made for it take below 5 ms; four times that is another disk's.
const SLOW_SYNC_SECONDS: f64 = 0.02;

/// Blocks are fetched ahead: waiting for more than this is not the first block of a short run.
const WAITING_SHARE: f64 = 0.1;

/// The greater part of the time of the threads that fetch.
const CHECK_PART: f64 = 0.5;

/// Above its floor by that part of all the time, the guest lacks a core, or memory that is near.
const BEYOND_SHARE: f64 = 0.2;

/// Cores as busy as this leave no room for one more thread.
const BUSY_PART: f64 = 0.9;

/// A shorter run is starting and ending for the most part.
const SHORT_SECONDS: f64 = 2.0;

/// Caches beyond this part of the memory leave too little to the rest of the process and to the
/// system's own cache of files.
const MOST_CACHE_PART: u64 = 2;

/// What is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    /// The guest's code.
    Guest,
    /// The memory for caches.
    Cache,
    /// The disk, and what is asked of it.
    Disk,
    /// Where the blocks are from.
    Source,
    /// Reading ahead.
    Scouts,
    /// Cores and memory.
    Machine,
    /// Nothing.
    Nothing,
}

impl Area {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Cache => "cache",
            Self::Disk => "disk",
            Self::Source => "source",
            Self::Scouts => "scouts",
            Self::Machine => "machine",
            Self::Nothing => "nothing",
        }
    }
}

/// One thing to change, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Advice {
    pub(super) area: Area,
    /// The part of the executing thread's time that it is about, from 0 to 1.
    pub(super) share: f64,
    pub(super) text: String,
}

const RULES: [fn(&Figures) -> Option<Advice>; 7] = [
    own_code,
    reads,
    absent,
    commits,
    slow_sync,
    source,
    beyond_floor,
];

/// All that follows, the weightiest first; never nothing.
pub(super) fn of(figures: &Figures) -> Vec<Advice> {
    let mut all: Vec<_> = RULES.iter().filter_map(|rule| rule(figures)).collect();
    all.sort_by(|left, right| right.share.total_cmp(&left.share));
    if all.is_empty() {
        all.push(Advice {
            area: Area::Nothing,
            share: 0.0,
            text: "no part stands out: what is left is a faster core".to_owned(),
        });
    }
    all
}

/// What keeps the figures from saying more.
pub(super) fn notes(figures: &Figures) -> Vec<String> {
    let mut notes = Vec::new();
    match figures.blocks.ended_early {
        Some("full") => {
            notes.push("it ended where the database was as large as --max-bytes".to_owned());
        }
        Some(_) => notes.push("it was stopped before all blocks were done".to_owned()),
        None => {}
    }
    if figures.rates.seconds < SHORT_SECONDS {
        notes.push("it was over so soon that starting and ending weigh much: more blocks, or larger ones, say more".to_owned());
    }
    if figures.machine.database_in_memory {
        notes.push("the temporary database was in memory, so no disk was measured: give --temp-dir on the disk that the index will have".to_owned());
    }
    if figures
        .engine
        .as_ref()
        .is_some_and(|engine| engine.flushes == 0)
    {
        notes.push("all that was written is in memory and in the log still: what it costs to write and merge tables, and to read from them, shows only over more blocks".to_owned());
    }
    notes
}

impl Advice {
    fn new(area: Area, share: f64, text: String) -> Self {
        Self { area, share, text }
    }
}

fn own_code(figures: &Figures) -> Option<Advice> {
    let thread = &figures.executing_thread;
    let seconds = thread
        .guest_floor_seconds
        .unwrap_or(thread.guest_beyond_seconds);
    let share = figures.share(seconds);
    let slowest = figures.blocks.slowest;
    (share >= GUEST_SHARE).then(|| Advice {
        area: Area::Guest,
        share,
        text: format!(
            "the guest's own code is {} of the executing thread: profile it with `metashrew profile`, at block {slowest} say, which took longest",
            percent(share)
        ),
    })
}

fn reads(figures: &Figures) -> Option<Advice> {
    let share = figures.share(figures.executing_thread.reads_seconds);
    if share < READS_SHARE {
        return None;
    }
    let reads = &figures.reads;
    let missed = ratio(
        number(reads.cache_misses),
        number(reads.cache_hits + reads.cache_misses),
    );
    let begin = format!("reads are {} of the executing thread", percent(share));
    if missed < MISS_PART {
        let each = ratio(number(reads.count), number(figures.blocks.count));
        return Some(Advice::new(
            Area::Guest,
            share,
            format!(
                "{begin}, though the cache has nearly all: a block makes {each:.0}; keep in memory what the next block asks for again (`memory: by_height`), and ask for many keys at once"
            ),
        ));
    }
    let begin = format!("{begin}, and the cache misses {} of them", percent(missed));
    let is_full = number(reads.cache_used_bytes) >= FULL_PART * number(reads.cache_limit_bytes);
    if is_full {
        return Some(Advice::new(
            Area::Cache,
            share,
            format!("{begin}: {}", more_cache(figures)),
        ));
    }
    if figures.scouts.most == 0 {
        return Some(Advice::new(
            Area::Scouts,
            share,
            format!(
                "{begin} with room left, so these are first reads: `--scouts auto` reads them ahead where a core is free"
            ),
        ));
    }
    let from_files = figures.engine.as_ref().is_some_and(is_reading_files);
    let what = if from_files {
        "scouts read ahead already, and most blocks of tables come from files: a disk with faster reads, or more memory"
    } else {
        "scouts read ahead already, and the tables are in memory: what is left is the guest's own count of reads"
    };
    let area = if from_files { Area::Disk } else { Area::Guest };
    Some(Advice::new(
        area,
        share,
        format!("{begin} with room left: {what}"),
    ))
}

fn is_reading_files(engine: &Engine) -> bool {
    engine.block_cache_misses > engine.block_cache_hits
}

/// Twice the cache, if the machine has that.
fn more_cache(figures: &Figures) -> String {
    let (now, memory) = (figures.machine.cache_bytes, figures.machine.memory_bytes);
    let wanted = now.saturating_mul(2);
    match memory.map(|memory| memory / MOST_CACHE_PART) {
        Some(most) if wanted > most && now >= most => {
            "the caches have half of the memory already: a machine with more".to_owned()
        }
        Some(most) => format!(
            "`--cache {}`, which now is {}",
            flag(wanted.min(most)),
            size(now)
        ),
        None => format!("`--cache {}`, which now is {}", flag(wanted), size(now)),
    }
}

/// A size as flags take it.
fn flag(bytes: u64) -> String {
    format!("{}MiB", bytes >> 20)
}

fn absent(figures: &Figures) -> Option<Advice> {
    let reads = &figures.reads;
    let part = ratio(number(reads.absent), number(reads.count));
    let share = figures.share(figures.executing_thread.reads_seconds);
    (share >= READS_SHARE && part >= ABSENT_PART).then(|| Advice {
        area: Area::Guest,
        share: share * part,
        text: format!(
            "{} of the reads find nothing: leave out those whose answer the guest can know",
            percent(part)
        ),
    })
}

fn commits(figures: &Figures) -> Option<Advice> {
    let share = figures.share(figures.executing_thread.stalled_seconds);
    if share < STALLED_SHARE {
        return None;
    }
    let commits = &figures.commits;
    let begin = format!(
        "the guest waits for commits in {} of the time",
        percent(share)
    );
    let sync = commits.sync_seconds.unwrap_or_default();
    let part = ratio(sync, commits.seconds);
    if part >= SYNC_PART {
        let each = ratio(sync, number(commits.syncs.unwrap_or_default()));
        return Some(Advice::new(
            Area::Disk,
            share,
            format!(
                "{begin}, and {} of a commit is its fsync, {:.1} ms: a disk that syncs faster, or `--durability buffered` where losing the last seconds' blocks to a power cut is right",
                percent(part),
                each * 1e3
            ),
        ));
    }
    let stalls = figures.engine.as_ref().map_or(0, |engine| engine.stalls);
    if stalls > 0 {
        return Some(Advice::new(
            Area::Disk,
            share,
            format!(
                "{begin}, and {stalls} commits had to wait for tables to be written: a disk that writes faster, or more `--workers` where cores are free"
            ),
        ));
    }
    let keys = ratio(number(commits.keys), number(figures.blocks.count));
    Some(Advice::new(
        Area::Guest,
        share,
        format!(
            "{begin}, and neither the fsync nor tables hold them up: a block writes {keys:.0} keys; fewer of them, or shorter ones"
        ),
    ))
}

fn slow_sync(figures: &Figures) -> Option<Advice> {
    let syncs = figures.commits.syncs.filter(|syncs| *syncs > 0)?;
    let each = ratio(figures.commits.sync_seconds?, number(syncs));
    let stalled = figures.share(figures.executing_thread.stalled_seconds);
    // Where the guest waits for it, that is told already.
    (each >= SLOW_SYNC_SECONDS && stalled < STALLED_SHARE).then(|| Advice {
        area: Area::Disk,
        share: 0.0,
        text: format!(
            "an fsync takes {:.1} ms: it costs nothing while blocks are caught up with, and at the tip each block is seen that much later",
            each * 1e3
        ),
    })
}

fn source(figures: &Figures) -> Option<Advice> {
    let share = figures.share(figures.executing_thread.waiting_seconds);
    if share < WAITING_SHARE {
        return None;
    }
    let source = &figures.source;
    let begin = format!(
        "the guest waits for blocks in {} of the time",
        percent(share)
    );
    let all = source.fetch_seconds + source.check_seconds;
    if ratio(source.check_seconds, all) >= CHECK_PART {
        return Some(Advice::new(
            Area::Machine,
            share,
            format!("{begin}, and they are being checked, not fetched: more cores"),
        ));
    }
    let what = if source.is_node {
        "the node is what is slow: take blocks by `--rest`, or where they lie with `--blocks-dir`"
    } else {
        "reading the files is what is slow: unpack them, or put them on a faster disk"
    };
    Some(Advice::new(Area::Source, share, format!("{begin}: {what}")))
}

fn beyond_floor(figures: &Figures) -> Option<Advice> {
    let thread = &figures.executing_thread;
    let floor = thread.guest_floor_seconds?;
    let share = figures.share(thread.guest_beyond_seconds);
    if share < BEYOND_SHARE {
        return None;
    }
    let times = ratio(floor + thread.guest_beyond_seconds, floor);
    let begin = format!("the guest takes {times:.1} times its floor");
    let busy = figures.cpu.as_ref().map(|cpu| {
        let cores = number(figures.machine.cores as u64);
        ratio(cpu.seconds, figures.rates.seconds * cores)
    });
    let what = match busy {
        Some(busy) if busy >= BUSY_PART => {
            "the cores are busy, so that it lacks one at times: more cores, or fewer `--scouts` and `--workers`"
        }
        Some(_) => {
            "cores were free here, so other programs had them, or memory is slow: run it alone, and look at what else runs"
        }
        None => "it lacks a core at times, or memory is slow",
    };
    Some(Advice::new(
        Area::Machine,
        share,
        format!("{begin}: {what}"),
    ))
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;

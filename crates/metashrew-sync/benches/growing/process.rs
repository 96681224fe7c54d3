//! What a process has cost so far, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Counters at one moment.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// Processor time by the names of threads, which of numbered ones is their sum.
    pub(crate) threads: BTreeMap<String, Duration>,
    /// Processor time in all, with that of threads that have ended.
    pub(crate) cpu: Duration,
    /// Bytes sent to the disk and fetched from it.
    pub(crate) written: u64,
    pub(crate) fetched: u64,
    /// Bytes read from files, by the page cache mostly.
    pub(crate) read: u64,
    /// Resident memory, and the most there ever was of it, in bytes.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Sample {
    /// Of a process that is there.
    pub(crate) fn of(process: u32) -> Self {
        let file = |name: &str| {
            let path = format!("/proc/{process}/{name}");
            fs::read_to_string(path).expect("the process is there")
        };
        let field = |text: &str, name: &str| -> u64 {
            let mut lines = text.lines();
            let line = lines
                .find_map(|line| line.strip_prefix(name))
                .expect("the field is there");
            let mut words = line.split_whitespace();
            words
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a number")
        };
        let (io, status) = (file("io"), file("status"));
        Self {
            at: Instant::now(),
            threads: threads(process),
            cpu: ticks(&file("stat")),
            written: field(&io, "write_bytes:"),
            fetched: field(&io, "read_bytes:"),
            read: field(&io, "rchar:"),
            resident: field(&status, "VmRSS:") << 10,
            peak: field(&status, "VmHWM:") << 10,
        }
    }

    /// Processor time since an earlier sample, by thread; the last is that of threads
    /// that have ended since, or began and ended.
    pub(crate) fn threads_since(&self, earlier: &Self) -> Vec<(String, Duration)> {
        let mut lasting = Duration::ZERO;
        let mut threads: Vec<_> = self
            .threads
            .iter()
            .map(|(name, time)| {
                let before = earlier.threads.get(name).copied().unwrap_or_default();
                let spent = time.saturating_sub(before);
                lasting += spent;
                (name.clone(), spent)
            })
            .collect();
        threads.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
        let ended = self.cpu.saturating_sub(earlier.cpu).saturating_sub(lasting);
        threads.push(("(ended)".to_owned(), ended));
        threads
    }
}

fn threads(process: u32) -> BTreeMap<String, Duration> {
    let mut threads = BTreeMap::<_, Duration>::new();
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
    for task in tasks.flatten() {
        // A thread may end between two questions.
        let (Ok(name), Ok(time)) = (
            fs::read_to_string(task.path().join("comm")),
            fs::read_to_string(task.path().join("schedstat")),
        ) else {
            continue;
        };
        let name = name.trim();
        let plain = name.trim_end_matches(|last: char| last.is_ascii_digit());
        let plain = plain.trim_end_matches(['-', ':', '#', '_', ' ']);
        let plain = if plain.is_empty() { name } else { plain };
        *threads.entry(plain.to_owned()).or_default() += nanoseconds(&time);
    }
    threads
}

/// Processor time of the calling thread.
pub(crate) fn own_thread() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat");
    nanoseconds(&text.expect("the system tells"))
}

fn nanoseconds(schedstat: &str) -> Duration {
    let first = schedstat.split_whitespace().next();
    Duration::from_nanos(first.and_then(|word| word.parse().ok()).unwrap_or_default())
}

/// User and system time from `/proc/PID/stat`, in hundredths of a second.
fn ticks(stat: &str) -> Duration {
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .into_iter()
        .map(|field: usize| fields[field].parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// What the files below a directory occupy, in bytes; what goes meanwhile counts as
/// nothing.
pub(crate) fn occupied(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => occupied(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// The machine's memory, in bytes.
pub(crate) fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("the system tells");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = words.and_then(|word| word.parse().ok()).expect("a number");
    kibibytes << 10
}

/// How many threads want to run, on average over the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or_default()
}

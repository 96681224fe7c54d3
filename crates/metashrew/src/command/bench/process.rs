//! What the process itself costs: processor time by what threads do, and memory.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use cpu_time::ProcessTime;
use serde::Serialize;

/// What threads work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Group {
    /// Runs the guest over blocks, with its reads.
    Guest,
    /// Asks for blocks, fetches and checks them.
    Source,
    /// Prepares and writes commits.
    Commits,
    /// Writes tables, and merges them.
    Engine,
    /// Runs the guest ahead.
    Scouts,
    /// All else, and what threads did that ended unseen.
    Rest,
}

impl Group {
    pub(super) const ALL: [Self; 6] = [
        Self::Guest,
        Self::Source,
        Self::Commits,
        Self::Engine,
        Self::Scouts,
        Self::Rest,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Source => "source",
            Self::Commits => "commits",
            Self::Engine => "engine",
            Self::Scouts => "scouts",
            Self::Rest => "rest",
        }
    }

    /// By the name of a thread, of which Linux tells the first 15 bytes.
    fn of(name: &str) -> Self {
        const NAMES: [(&str, Group); 9] = [
            ("metashrew-index", Group::Guest),
            ("metashrew-plan", Group::Source),
            ("metashrew-fetch", Group::Source),
            ("metashrew-compa", Group::Source),
            ("block-files", Group::Source),
            ("metashrew-commi", Group::Commits),
            ("metashrew-seal", Group::Commits),
            ("metashrew-scout", Group::Scouts),
            ("store-", Group::Engine),
        ];
        let found = NAMES.iter().find(|(start, _)| name.starts_with(start));
        found.map_or(Self::Rest, |(_, group)| *group)
    }
}

/// Follows the process's threads. A thread that ends between two looks has what it did since
/// the last one counted as [`Group::Rest`]. Knows of no thread where the system does not tell.
#[derive(Debug)]
pub(super) struct Threads {
    begun: Option<Duration>,
    /// By the number of a thread: its group, what it had done when it was first seen, and when
    /// it was last.
    seen: BTreeMap<u64, Seen>,
    /// What threads did whose number another one has now.
    over: BTreeMap<Group, Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    group: Group,
    first: Duration,
    last: Duration,
}

impl Threads {
    /// Counts from now on.
    pub(super) fn watch() -> Self {
        let mut threads = Self {
            begun: process_cpu(),
            seen: BTreeMap::new(),
            over: BTreeMap::new(),
        };
        for (number, group, time) in running() {
            threads.see(number, group, time, time);
        }
        threads
    }

    /// Looks at what each thread has done.
    pub(super) fn look(&mut self) {
        for (number, group, time) in running() {
            self.see(number, group, Duration::ZERO, time);
        }
    }

    /// `first` is where a thread that was not seen yet is counted from.
    fn see(&mut self, number: u64, group: Group, first: Duration, last: Duration) {
        let new = Seen { group, first, last };
        let Some(seen) = self.seen.get_mut(&number) else {
            self.seen.insert(number, new);
            return;
        };
        if seen.group == group && last >= seen.last {
            seen.last = last;
            return;
        }
        // A thread takes the name that is its own only after it has begun.
        if seen.group == Group::Rest && last >= seen.last {
            *seen = Seen {
                group,
                last,
                ..*seen
            };
            return;
        }
        let before = std::mem::replace(seen, new);
        *self.over.entry(before.group).or_default() += before.last.saturating_sub(before.first);
    }

    /// The processor time since the beginning, by group: their sum is all that the process
    /// had. None where the system does not tell.
    pub(super) fn spent(&self) -> Option<BTreeMap<Group, Duration>> {
        let all = process_cpu()?.saturating_sub(self.begun?);
        if self.seen.is_empty() {
            return None;
        }
        Some(self.divide(all))
    }

    fn divide(&self, all: Duration) -> BTreeMap<Group, Duration> {
        let mut groups = Group::ALL.map(|group| (group, Duration::ZERO));
        let mut known = Duration::ZERO;
        for (group, time) in &mut groups {
            let over = self.over.get(group).copied().unwrap_or_default();
            let of_group = self.seen.values().filter(|seen| seen.group == *group);
            let lasting: Duration = of_group
                .map(|seen| seen.last.saturating_sub(seen.first))
                .sum();
            // The clocks of threads may be a little ahead of the one of the process.
            *time = (over + lasting).min(all.saturating_sub(known));
            known += *time;
        }
        if let Some((_, rest)) = groups.last_mut() {
            *rest += all.saturating_sub(known);
        }
        groups.into()
    }
}

fn process_cpu() -> Option<Duration> {
    ProcessTime::try_now().ok().map(|time| time.as_duration())
}

/// The threads that run: number, group, processor time.
fn running() -> Vec<(u64, Group, Duration)> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let thread = |task: fs::DirEntry| {
        // It may end between two questions.
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let time = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        // Time on a core, time waiting for one, turns; in nanoseconds.
        let nanos = time.split_ascii_whitespace().next()?.parse().ok()?;
        Some((
            number,
            Group::of(name.trim_end()),
            Duration::from_nanos(nanos),
        ))
    };
    tasks.flatten().filter_map(thread).collect()
}

/// Bytes of physical memory that the process has, and the most that it had since it was
/// started; none where that is not told.
pub(super) fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some((
        kibibytes(&status, "VmRSS:")? << 10,
        kibibytes(&status, "VmHWM:")? << 10,
    ))
}

/// The number in a line such as `VmRSS:     12345 kB`.
fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(field))?;
    rest.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn threads() -> Threads {
        Threads {
            begun: Some(Duration::ZERO),
            seen: BTreeMap::new(),
            over: BTreeMap::new(),
        }
    }

    #[test]
    fn the_names_of_the_pipeline_are_known() {
        for (name, group) in [
            ("metashrew-index", Group::Guest),
            ("metashrew-fetch", Group::Source),
            ("metashrew-commi", Group::Commits),
            ("metashrew-scout", Group::Scouts),
            ("store-compact", Group::Engine),
            ("metashrew", Group::Rest),
        ] {
            assert_eq!(Group::of(name), group, "{name}");
        }
    }

    #[test]
    fn groups_add_up_to_all_that_the_process_had() {
        let mut threads = threads();
        threads.see(1, Group::Rest, ms(5), ms(5));
        threads.see(1, Group::Rest, Duration::ZERO, ms(7));
        threads.see(2, Group::Rest, Duration::ZERO, ms(1));
        threads.see(2, Group::Guest, Duration::ZERO, ms(40));
        threads.see(3, Group::Source, Duration::ZERO, ms(10));
        // Another thread has its number.
        threads.see(3, Group::Engine, Duration::ZERO, ms(3));
        threads.see(3, Group::Engine, Duration::ZERO, ms(2));
        let groups = threads.divide(ms(100));
        assert_eq!(groups[&Group::Guest], ms(40));
        assert_eq!(groups[&Group::Source], ms(10));
        assert_eq!(groups[&Group::Engine], ms(5));
        assert_eq!(groups[&Group::Rest], ms(45));
        assert_eq!(groups.values().sum::<Duration>(), ms(100));
        let groups = threads.divide(ms(45));
        assert_eq!(groups.values().sum::<Duration>(), ms(45));
    }

    #[test]
    fn lines_of_the_system_are_read() {
        let status = "VmHWM:\t  20000 kB\nVmRSS:\t  12345 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(20_000));
        assert_eq!(kibibytes("VmRSS: many kB", "VmRSS:"), None);
        assert_eq!(kibibytes("", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_threads_and_memory() {
        let mut threads = Threads::watch();
        threads.look();
        assert!(threads.spent().is_some());
        assert!(memory().is_some_and(|(now, most)| now > 100 << 10 && most >= now));
    }
}

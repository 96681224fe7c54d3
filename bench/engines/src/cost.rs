//! What this process has cost, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise, sync};

/// A moment to count from.
pub struct Since {
    at: Instant,
    cpu: Duration,
    own: Duration,
    written: u64,
    handed: u64,
}

/// What was spent.
#[derive(Default, Clone, Copy)]
pub struct Cost {
    pub wall: Duration,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Of that, the calling thread's.
    pub own: Duration,
    /// Bytes sent to the disk.
    pub written: u64,
    /// Bytes handed to the system to be written, whether to a disk or not.
    pub handed: u64,
}

impl Since {
    pub fn now() -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            cpu: all_threads()?,
            own: own_thread()?,
            written: field("/proc/self/io", "write_bytes:")?,
            handed: field("/proc/self/io", "wchar:")?,
        })
    }

    pub fn cost(&self) -> Result<Cost> {
        Ok(Cost {
            wall: self.at.elapsed(),
            cpu: all_threads()?.saturating_sub(self.cpu),
            own: own_thread()?.saturating_sub(self.own),
            written: field("/proc/self/io", "write_bytes:")? - self.written,
            handed: field("/proc/self/io", "wchar:")? - self.handed,
        })
    }
}

/// Resident memory, and the most there was of it, in bytes.
pub fn resident() -> Result<(u64, u64)> {
    let of = |name| Ok::<_, anyhow::Error>(field("/proc/self/status", name)? << 10);
    Ok((of("VmRSS:")?, of("VmHWM:")?))
}

/// Has the system forget what it keeps of the files below a directory.
pub fn forget(directory: &Path) -> Result<()> {
    sync();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else {
            fadvise(fs::File::open(path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

fn field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("a field of /proc is missing")?.parse()?)
}

fn own_thread() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("no time")?;
    Ok(Duration::from_nanos(first.parse()?))
}

fn all_threads() -> Result<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').context("no name")?;
    let mut times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.try_fold(0, |sum, ticks| {
        Ok::<_, anyhow::Error>(sum + ticks.parse::<u64>()?)
    });
    Ok(Duration::from_millis(ticks? * 10))
}

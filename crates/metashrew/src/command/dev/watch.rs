//! Watches the sources by looking at them again and again: that works the same on every file
//! system, and misses nothing that an editor does in several steps.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

/// How often the sources are looked at, if that is quick.
const INTERVAL: Duration = Duration::from_millis(50);

/// The part of the time that looking takes, as one in so many.
const PART: u32 = 20;

/// Files that can be watched.
const MAX_FILES: usize = 20_000;

/// Directories that are made by builds, and never sources.
const LEFT_OUT: [&str; 2] = ["target", "node_modules"];

/// What tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// The files below some paths, as they were seen.
type Seen = BTreeMap<PathBuf, Stamp>;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) sources: bool,
    pub(super) blocks: bool,
}

/// What is watched, as it was last seen.
#[derive(Debug)]
pub(super) struct Watch {
    sources: Vec<PathBuf>,
    /// Blocks in files.
    blocks: Option<PathBuf>,
    seen: (Seen, Seen),
}

impl Watch {
    /// Looks for the first time.
    ///
    /// # Errors
    /// If a source is not there, or there are too many files.
    pub(super) fn new(sources: &[PathBuf], blocks: Option<&Path>) -> Result<Self> {
        let mut watch = Self {
            sources: sources.to_owned(),
            blocks: blocks.map(Path::to_owned),
            seen: (Seen::new(), Seen::new()),
        };
        watch.seen = watch.look()?;
        Ok(watch)
    }

    /// Tells each change once it is over, for as long as `tell` answers true.
    pub(super) fn run(mut self, tell: impl Fn(Change) -> bool) {
        let mut last = self.seen.clone();
        let mut pause = INTERVAL;
        loop {
            thread::sleep(pause);
            let begun = Instant::now();
            // Files come and go while it is looked at them: the next look is a whole one.
            let Ok(now) = self.look() else { continue };
            pause = INTERVAL.max(begun.elapsed() * PART);
            let is_over = now == last;
            if is_over && now != self.seen {
                let change = Change {
                    sources: now.0 != self.seen.0,
                    blocks: now.1 != self.seen.1,
                };
                self.seen.clone_from(&now);
                if !tell(change) {
                    return;
                }
            }
            last = now;
        }
    }

    fn look(&self) -> Result<(Seen, Seen)> {
        let mut sources = Seen::new();
        for path in &self.sources {
            look_at(path, &mut sources)?;
        }
        let mut blocks = Seen::new();
        if let Some(path) = &self.blocks {
            look_at(path, &mut blocks)?;
        }
        Ok((sources, blocks))
    }
}

/// Adds a file, or the files below a directory. One that is not there may come.
fn look_at(path: &Path, seen: &mut Seen) -> Result<()> {
    let failed = || format!("`{}` cannot be watched", path.display());
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.with_context(failed)?,
    };
    if !metadata.is_dir() {
        let stamp = Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        };
        seen.insert(path.to_owned(), stamp);
        if seen.len() > MAX_FILES {
            bail!("more than {MAX_FILES} files cannot be watched: name fewer paths with `watch`");
        }
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        // A link to a directory may lead back here.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !(is_left_out(&entry.file_name()) || is_link && entry.path().is_dir()) {
            look_at(&entry.path(), seen)?;
        }
    }
    Ok(())
}

/// Whether a name within a watched directory is none of a source.
fn is_left_out(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.') || LEFT_OUT.iter().any(|other| name == *other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn changes_are_told_once_they_are_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["src/deep", "src/target", "src/.git"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("src/deep/a", "1");
        let blocks = path("blocks");
        let watch = Watch::new(&[path("src"), path("Later")], Some(&blocks)).unwrap();
        let (sender, changes) = channel();
        let thread = thread::spawn(move || watch.run(|change| sender.send(change).is_ok()));
        let next = || changes.recv_timeout(Duration::from_mins(1)).unwrap();
        let (sources, blocks) = (
            Change {
                sources: true,
                blocks: false,
            },
            Change {
                sources: false,
                blocks: true,
            },
        );
        write("src/deep/a", "12");
        assert_eq!(next(), sources);
        write("src/target/a", "1");
        write("src/.git/a", "1");
        write("blocks", "1");
        assert_eq!(next(), blocks);
        write("Later", "1");
        assert_eq!(next(), sources);
        std::fs::remove_file(path("src/deep/a")).unwrap();
        assert_eq!(next(), sources);
        drop(changes);
        write("Later", "12");
        thread.join().unwrap();
    }
}

//! The place of the temporary database: gone when it is dropped.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What the database may take at most if nothing is said, in bytes: enough for some hundred
/// million keys, and nobody's disk is filled by surprise.
const MOST_BYTES: u64 = 32 << 30;

/// A directory that is removed when this is dropped.
pub(super) struct Place(TempDir);

impl Place {
    /// Below `parent`, or where the system has its temporary files.
    pub(super) fn make(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let made = tempfile::Builder::new()
            .prefix("metashrew-bench-")
            .tempdir_in(&parent);
        made.map(Self).with_context(|| {
            format!(
                "no directory can be made in `{}`: see --temp-dir",
                parent.display()
            )
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The directory of the database, which is not made yet.
    pub(super) fn database(&self) -> PathBuf {
        self.0.path().join("db")
    }

    /// What the database may take: what was asked for, or half of what is free, within a bound.
    pub(super) fn most_bytes(&self, asked: Option<u64>) -> u64 {
        let half = || free_bytes(self.0.path()).map_or(MOST_BYTES, |free| MOST_BYTES.min(free / 2));
        asked.unwrap_or_else(half)
    }

    /// Whether it is in memory, where no disk is measured.
    pub(super) fn is_in_memory(&self) -> bool {
        is_in_memory(self.0.path())
    }

    /// Removes it, and says so if that fails.
    pub(super) fn remove(self) -> Result<()> {
        let path = self.0.path().to_owned();
        let left = || {
            format!(
                "the temporary database `{}` cannot be removed",
                path.display()
            )
        };
        self.0.close().with_context(left)
    }
}

/// Removes the directory of a [`Place`] into which other threads may be writing. Nobody finds it by
/// its name then, so that what is removed is not made again.
pub(super) fn remove_in_use(place: &Path) -> io::Result<()> {
    /// A file that was being made meanwhile may be there after one try.
    const TRIES: usize = 100;
    let leaving = place.with_extension("leaving");
    match std::fs::rename(place, &leaving) {
        // It is removed already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    let mut removed = Ok(());
    for _ in 0..TRIES {
        removed = std::fs::remove_dir_all(&leaving);
        if removed.is_ok() || !leaving.exists() {
            return Ok(());
        }
    }
    removed
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    /// Of `tmpfs` and of `ramfs`, as in Linux's `magic.h`.
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::statfs(path).ok().map(|stat| stat.f_type);
    kind.and_then(|kind| u64::try_from(kind).ok())
        .is_some_and(|kind| IN_MEMORY.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_place_is_gone_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::make(Some(parent.path())).unwrap();
        std::fs::create_dir(place.database()).unwrap();
        assert_eq!(place.most_bytes(Some(7)), 7);
        assert!(place.most_bytes(None) <= MOST_BYTES);
        drop(place);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        assert!(Place::make(Some(&parent.path().join("missing"))).is_err());
    }

    #[test]
    fn a_place_in_which_files_are_made_meanwhile_goes() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::make(Some(parent.path())).unwrap();
        let directory = place.path().to_owned();
        let (began, has_begun) = mpsc::channel();
        let writer = thread::spawn(move || {
            for number in 0_u64.. {
                if std::fs::write(directory.join(number.to_string()), b"x").is_err() {
                    return;
                }
                let _ = began.send(());
            }
        });
        has_begun.recv().unwrap();
        remove_in_use(place.path()).unwrap();
        writer.join().unwrap();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        // Once more, as its owner does at the end.
        remove_in_use(place.path()).unwrap();
    }
}

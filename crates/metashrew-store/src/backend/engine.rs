//! fjall, as the store runs it: its settings, opening it, and letting go of it.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fjall::config::{FilterPolicy, HashRatioPolicy, PinningPolicy};
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tempfile::TempDir;

use super::damage::corrupt;
use super::{BackendError, ErrorKind, Space};
use crate::error::OpenError;

/// Journals beyond this are got rid of by writing out the small key spaces whose
/// records they hold; opening replays what journals there are.
const MAX_JOURNAL_BYTES: u64 = 128 << 20;
/// Slots of the hash index in each data block of newest versions, by entry.
const HASHES_PER_ENTRY: f32 = 1.33;
/// One in how many of the process's file descriptors the engine may keep.
const FILES_SHARE: usize = 4;
const MIN_CACHED_FILES: usize = 16;
/// Enough for half a terabyte of tables of 64 MiB.
const MAX_CACHED_FILES: usize = 8_192;
/// The engine waits without end, and whether or not its threads have died, while a key
/// space has 30 runs of new tables or 4 memtables to be written out. A commit may add
/// two memtables before it looks, so it begins only below these.
const MAX_NEW_RUNS: usize = 26;
const MAX_SEALED_MEMTABLES: usize = 1;
/// How long a commit that waits for room sleeps before it looks again.
const WAITING_STEP: Duration = Duration::from_millis(2);
/// After how many steps it compacts itself: a tenth of a second.
const STEPS_TO_COMPACTION: u32 = 50;

/// How an engine is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) cache_bytes: u64,
    /// Whether it writes out and compacts. Without, what is written stays in memory
    /// and in the journal.
    pub(super) background: bool,
}

/// What an open engine holds on to, to be let go after it.
#[derive(Debug)]
pub(super) struct Hold {
    /// The temporary directory that the engine runs in, if it does.
    pub(super) _directory: Option<TempDir>,
    pub(super) _lock: Option<Arc<File>>,
}

/// An open engine.
pub(super) struct Engine {
    // Dropped in this order: the lock is let go when the files are.
    spaces: [Keyspace; Space::ALL.len()],
    database: Database,
    _hold: Hold,
}

impl Engine {
    /// Opens the engine in `directory`, whose files have been checked. On damage that
    /// it does not expect its recovery panics.
    pub(super) fn recover(
        directory: &Path,
        settings: Settings,
        hold: Hold,
    ) -> Result<Self, OpenError> {
        catch_unwind(|| open(directory, settings))
            .unwrap_or_else(|panic| {
                Err(corrupt(format!(
                    "the engine's recovery panicked: {}",
                    panic_message(panic.as_ref())
                )))
            })
            .map(|(database, spaces)| Self {
                spaces,
                database,
                _hold: hold,
            })
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn spaces(&self) -> &[Keyspace] {
        &self.spaces
    }

    pub(super) fn space(&self, space: Space) -> &Keyspace {
        self.spaces
            .get(space as usize)
            .expect("there is a keyspace for every space")
    }

    /// Whether the engine takes no more writes, after one failed or a thread of it died.
    pub(super) fn has_failed(&self) -> bool {
        self.database.persist(PersistMode::Buffer).is_err()
    }

    /// Waits until the engine has written out enough to take another batch at once.
    ///
    /// Its threads compact only after they wrote something out, and then may find that
    /// the tables are busy. So a key space that stays full is compacted from here.
    pub(super) fn wait_for_room(&self) -> Result<(), fjall::Error> {
        let has_many_runs = |space: &Keyspace| space.tree.l0_run_count() > MAX_NEW_RUNS;
        let is_full = |space: &Keyspace| {
            space.sealed_memtable_count() > MAX_SEALED_MEMTABLES || has_many_runs(space)
        };
        let mut steps = 0;
        while self.spaces.iter().any(is_full) {
            // Fails when the threads that make room have died.
            self.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(WAITING_STEP);
            steps += 1;
            if u32::is_multiple_of(steps, STEPS_TO_COMPACTION) {
                for space in self.spaces.iter().filter(|space| has_many_runs(space)) {
                    compact(space)?;
                }
            }
        }
        Ok(())
    }

    /// Drops the engine, waiting for its threads. After a panic inside it, this may
    /// panic too.
    pub(super) fn close(self) -> Result<(), BackendError> {
        catch_unwind(AssertUnwindSafe(|| drop(self))).map_err(|panic| {
            BackendError::of_kind(
                ErrorKind::Machine,
                "closing the engine",
                panic_message(panic.as_ref()).to_owned(),
            )
        })
    }
}

/// Does one compaction as the engine's threads would, beside them: each takes tables that
/// no other is at work on.
fn compact(space: &Keyspace) -> Result<(), fjall::Error> {
    // Keeps all versions of a key: which of them snapshots need the threads know.
    const GARBAGE_BELOW: u64 = 0;
    let strategy = Arc::clone(&space.config.compaction_strategy);
    Ok(space.tree.compact(strategy, GARBAGE_BELOW)?)
}

/// Opens the engine in `directory`. What is missing there it makes, so it must be either
/// all of it or nothing.
pub(super) fn open(
    directory: &Path,
    settings: Settings,
) -> Result<(Database, [Keyspace; Space::ALL.len()]), OpenError> {
    let threads = if settings.background {
        worker_threads()
    } else {
        0
    };
    let database = Database::builder(directory)
        .cache_size(settings.cache_bytes)
        .max_journaling_size(MAX_JOURNAL_BYTES)
        .max_cached_files(Some(cached_files()))
        .worker_threads_unchecked(threads)
        .open()
        .map_err(|error| match error {
            // The database's own lock is held: no other process has it open.
            fjall::Error::Locked => OpenError::Backend(BackendError::of_kind(
                ErrorKind::Machine,
                "opening the engine",
                "the engine that failed has not let go yet",
            )),
            error => failed(error),
        })?;
    let mut spaces = Vec::with_capacity(Space::ALL.len());
    for space in Space::ALL {
        let keyspace = database
            .keyspace(space.name(), || keyspace_options(space))
            .map_err(failed)?;
        spaces.push(keyspace);
    }
    let spaces = spaces
        .try_into()
        .unwrap_or_else(|_| unreachable!("one keyspace was made for every space"));
    Ok((database, spaces))
}

/// What the engine's error says of the database: that it is damaged, or that the
/// machine kept it from being opened.
pub(super) fn failed(error: fjall::Error) -> OpenError {
    match ErrorKind::of(&error) {
        ErrorKind::Damage => corrupt(format!("the engine cannot recover: {error}")),
        _ => OpenError::Backend(BackendError::new("opening the engine", error)),
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// How many files the engine keeps open: a part of what the process may have, so that
/// connections and the files that a compaction opens find room beside them.
pub(super) fn cached_files() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = Some(0);
    let share = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX) / FILES_SHARE
    });
    share.clamp(MIN_CACHED_FILES, MAX_CACHED_FILES)
}

/// The engine's default, one thread for each core up to four, but never a single one:
/// that one can wait for itself (fjall#323).
fn worker_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.clamp(2, 4)
}

/// How tables of a key space are made. The engine keeps these with the key space: a
/// change here reaches new databases only.
pub(super) fn keyspace_options(space: Space) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default();
    match space {
        // Filters and indexes stay in memory: a read that misses asks every level, and
        // guests ask for absent keys all the time. Of the large tables of the lower
        // levels, whose filters and indexes are partitioned, only the top part does.
        Space::KeyToNewest => options
            .max_memtable_size(16 << 20)
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_pinning_policy(PinningPolicy::all(true))
            .data_block_hash_ratio_policy(HashRatioPolicy::all(HASHES_PER_ENTRY)),
        Space::HashToHeight => options,
        // These are walked or read where the key is known to be there: a filter
        // would cost memory and never be asked.
        Space::KeyHeightToOlder | Space::HeightToKeys | Space::HeightToBlock | Space::Meta => {
            options.filter_policy(FilterPolicy::disabled())
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_key_space_makes_room_though_no_thread_compacts_it() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings {
            cache_bytes: 1 << 20,
            background: false,
        };
        let (database, spaces) = open(directory.path(), settings).unwrap();
        let engine = Engine {
            spaces,
            database,
            _hold: Hold {
                _directory: None,
                _lock: None,
            },
        };
        let space = engine.space(Space::KeyToNewest);
        for run in 0..=MAX_NEW_RUNS {
            for key in ["a", "z"] {
                space.insert(key, run.to_be_bytes()).unwrap();
            }
            space.tree.flush_active_memtable(0).unwrap();
        }
        assert!(space.tree.l0_run_count() > MAX_NEW_RUNS);
        engine.wait_for_room().unwrap();
        assert!(space.tree.l0_run_count() <= MAX_NEW_RUNS);
        let newest = MAX_NEW_RUNS.to_be_bytes();
        assert_eq!(space.get("a").unwrap().unwrap(), newest);
    }
}

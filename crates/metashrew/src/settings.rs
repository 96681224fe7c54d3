//! What the command line means to the libraries.

mod node;
mod serving;
mod views;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use metashrew_runtime::{LogOptions, ModuleCache, RuntimeOptions, ScoutOptions, ViewOptions};
use metashrew_server::ServerOptions;
use metashrew_store::{StoreOptions, UndoneLimits};
use metashrew_sync::{IndexOptions, ScoutCount};

use crate::cli::{Scouting, Scouts, Start, Storage};
use crate::descriptors::Descriptors;
use crate::memory::Asked;
use crate::size::Size;

impl Start {
    pub(crate) fn index_options(&self) -> IndexOptions {
        IndexOptions {
            start_height: self.start_height,
            accept_guest_change: self.accept_guest_change,
            exit_at: self.exit_at,
            follow: self.node.rpc_url.is_some(),
            confirmations: self.confirmations,
            poll_interval: self.following.poll_interval_ms.map(Duration::from_millis),
            reorg_horizon: self.reorg_horizon,
            accept_less_work: self.accept_less_work,
            min_free_space: self.reserve(),
            max_fetched_bytes: bytes(self.memory.fetched),
            max_uncommitted_bytes: bytes(self.memory.uncommitted),
            scouts: self.scouting.scouts.count(),
            ..IndexOptions::default()
        }
    }

    /// How long a write to the database may take before it counts as stuck.
    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    /// What the flags ask for of the memory.
    pub(crate) fn asked_memory(&self) -> Asked {
        Asked {
            cache: self.storage.cache.size,
            views: self.views.view_memory_budget,
            requests: self.serving.request_memory,
            scouts: self.scouting.asked_memory(),
        }
    }

    /// How much room to leave on the disk, in bytes.
    fn reserve(&self) -> u64 {
        const MOST: u64 = 2 << 30;
        match self.min_free_space {
            Some(Size(bytes)) => bytes as u64,
            None => total_space(&self.db).map_or(MOST, |total| MOST.min(total / 20)),
        }
    }

    /// How the process's descriptors are shared out, where it may have so many.
    pub(crate) fn descriptors(&self, limit: Option<u64>) -> Descriptors {
        let count = |wanted: Option<NonZeroUsize>| wanted.map(NonZeroUsize::get);
        Descriptors::share(
            limit,
            count(self.storage.max_open_files),
            count(self.serving.max_connections),
            self.memory.total,
        )
    }

    /// How the database is to be opened.
    pub(crate) fn store_options(&self, descriptors: &Descriptors) -> StoreOptions {
        StoreOptions {
            undone: UndoneLimits {
                blocks: self.undone_blocks,
                bytes: self.undone_size.bytes(),
            },
            ..self.storage.options(descriptors, self.memory.cache)
        }
    }

    /// How the server is to be.
    pub(crate) fn server_options(&self, descriptors: &Descriptors) -> ServerOptions {
        let options = self.serving.options(&self.views);
        ServerOptions {
            max_open_connections: descriptors.connections,
            request_memory: bytes(self.memory.requests),
            // So many blocks are left out on purpose.
            ready_within: options.ready_within.saturating_add(self.confirmations),
            ..options
        }
    }

    pub(crate) fn runtime_options(&self) -> RuntimeOptions {
        RuntimeOptions {
            cache: guest_cache(self.guest_cache.as_deref()),
            views: ViewOptions {
                pending_timeout: Duration::from_millis(self.following.pending_timeout_ms),
                ..self.views.options(bytes(self.memory.views))
            },
            scouts: self.scouting.scouts.options(self.memory.scouts),
            logs: LogOptions {
                memory: self.guest_log_memory.0,
                block_memory: self.guest_log_block_memory.0,
            },
            ..RuntimeOptions::default()
        }
    }
}

/// Where the compiled guest is kept. The library wants a directory in full.
pub(crate) fn guest_cache(asked: Option<&Path>) -> ModuleCache {
    match asked {
        None => ModuleCache::User,
        Some(path) if path.as_os_str() == "off" => ModuleCache::Off,
        Some(path) => ModuleCache::At(std::path::absolute(path).unwrap_or(path.to_owned())),
    }
}

impl Storage {
    /// How a database is to be opened, with so much memory for its caches, in bytes.
    pub(crate) fn options(&self, descriptors: &Descriptors, cache: u64) -> StoreOptions {
        let default = StoreOptions::default();
        let workers = self.workers.map(NonZeroUsize::get);
        StoreOptions {
            durability: self.durability,
            max_open_files: descriptors.files,
            workers: workers.unwrap_or(default.workers),
            ..default.with_cache(cache)
        }
    }
}

impl Scouting {
    /// What the flags ask for of the memory.
    pub(crate) fn asked_memory(&self) -> Option<Size> {
        match self.scouts {
            Scouts::Exactly(0) => Some(Size(0)),
            Scouts::Auto | Scouts::Exactly(_) => self.scout_memory,
        }
    }
}

impl Scouts {
    pub(crate) fn count(self) -> ScoutCount {
        match self {
            Self::Auto => ScoutCount::Auto,
            Self::Exactly(count) => ScoutCount::Exactly(count),
        }
    }

    /// With so much memory for all of them, in bytes.
    pub(crate) fn options(self, memory: u64) -> ScoutOptions {
        let default = ScoutOptions::default();
        ScoutOptions {
            instances: match self {
                // Each would end for want of memory.
                _ if memory == 0 => 0,
                Self::Auto => default.instances,
                Self::Exactly(count) => count,
            },
            memory_budget: bytes(memory),
            ..default
        }
    }
}

pub(crate) fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// How large the file system of a directory is, in bytes.
#[cfg(unix)]
fn total_space(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_blocks.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn total_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::memory::Memory;

    pub(super) fn start(flags: &[&str]) -> Start {
        let needed = [
            "metashrew",
            "start",
            "--indexer",
            "g",
            "--blocks",
            "b",
            "--db",
            "d",
        ];
        let Command::Start(start) = Cli::parse_from(needed.iter().chain(flags)).command else {
            panic!("not start");
        };
        let mut start = *start;
        start.memory = Memory::share(None, start.asked_memory()).unwrap();
        start
    }

    #[test]
    fn flags_of_storage_reach_the_library() {
        let limit = Some(1_024);
        let default = start(&[]);
        let descriptors = default.descriptors(limit);
        let options = default.store_options(&descriptors);
        assert_eq!(options.durability, metashrew_store::Durability::Synced);
        assert_eq!(options.max_open_files, 256);
        assert_eq!(options.workers, StoreOptions::default().workers);
        assert_eq!(options.undone, UndoneLimits::default());
        let flags = start(&[
            "--cache",
            "96MiB",
            "--durability",
            "buffered",
            "--workers",
            "3",
            "--max-open-files",
            "100",
            "--undone-blocks",
            "7",
            "--undone-size",
            "1MiB",
        ]);
        let descriptors = flags.descriptors(limit);
        let options = flags.store_options(&descriptors);
        assert_eq!(options.cache_bytes + options.read_cache_bytes, 96 << 20);
        assert_eq!(options.durability, metashrew_store::Durability::Buffered);
        assert_eq!((options.max_open_files, options.workers), (100, 3));
        assert_eq!((options.undone.blocks, options.undone.bytes), (7, 1 << 20));
        assert_eq!(flags.server_options(&descriptors).max_open_connections, 512);
    }

    #[test]
    fn without_flags_the_libraries_defaults_hold() {
        let start = start(&[]);
        let options = IndexOptions {
            // The directory is not there, nor its file system.
            min_free_space: 2 << 30,
            ..IndexOptions::default()
        };
        assert_eq!(start.index_options(), options);
        let views = format!("{:?}", start.runtime_options());
        assert_eq!(views, format!("{:?}", RuntimeOptions::default()));
        let server = start.serving.options(&start.views);
        let default = ServerOptions::default();
        assert_eq!(server.max_request, default.max_request);
        assert_eq!(server.max_batch, default.max_batch);
        assert_eq!(server.cors, default.cors);
        assert_eq!(server.max_requests, default.max_requests);
        assert_eq!(server.request_wait, default.request_wait);
        assert_eq!(server.idle_timeout, default.idle_timeout);
        assert_eq!(server.head_timeout, default.head_timeout);
        assert_eq!(server.body_timeout, default.body_timeout);
        assert_eq!(server.body_min_rate, default.body_min_rate);
        assert_eq!(server.send_timeout, default.send_timeout);
        assert_eq!(server.max_subscriptions, default.max_subscriptions);
        assert_eq!(
            server.max_subscriptions_per_connection,
            default.max_subscriptions_per_connection
        );
        assert_eq!(server.subscription_memory, default.subscription_memory);
        assert_eq!(server.client_share, default.client_share);
        assert_eq!(server.subscription_cache, default.subscription_cache);
        assert_eq!(server.heartbeat, default.heartbeat);
        assert_eq!(server.height_compat, default.height_compat);
    }

    #[test]
    fn flags_reach_the_libraries() {
        let start = start(&[
            "--start-block",
            "7",
            "--exit-at",
            "9",
            "--no-stateful-views",
            "--view-instances",
            "3",
            "--view-timeout-ms",
            "250",
            "--view-memory-budget",
            "64MiB",
            "--view-max-output",
            "1KiB",
        ]);
        let index = start.index_options();
        assert_eq!((index.start_height, index.exit_at), (Some(7), Some(9)));
        let views = start.runtime_options().views;
        assert!(!views.enabled);
        assert_eq!(views.instances.get(), 3);
        assert_eq!(views.timeout, Duration::from_millis(250));
        assert_eq!(views.memory_budget, 64 << 20);
        assert_eq!(views.max_instance_memory, 64 << 20);
        let server = start.serving.options(&start.views);
        assert_eq!(server.max_response, 2 * 1024 + 64 * 1024);
    }

    #[test]
    fn scouts_are_counted_or_come_by_themselves() {
        let options = |flags: &[&str]| {
            let start = start(flags);
            let scouts = start.runtime_options().scouts;
            (
                start.index_options().scouts,
                scouts.instances,
                scouts.memory_budget,
            )
        };
        let auto = ScoutCount::Auto;
        assert_eq!(options(&[]), (auto, 8, 512 << 20));
        assert_eq!(
            options(&["--scouts", "auto", "--scout-memory", "1MiB"]),
            (auto, 8, 1 << 20)
        );
        let exactly = ScoutCount::Exactly;
        assert_eq!(options(&["--scouts", "0"]), (exactly(0), 0, 0));
        assert_eq!(options(&["--scout-memory", "0"]), (auto, 0, 0));
        assert_eq!(options(&["--scouts", "64"]), (exactly(64), 64, 512 << 20));
        for wrong in ["65", "-1", "many", "", "+3"] {
            let flags = [
                "metashrew",
                "start",
                "--indexer",
                "g",
                "--db",
                "d",
                "--scouts",
                wrong,
            ];
            assert!(Cli::try_parse_from(flags).is_err(), "{wrong}");
        }
    }
}

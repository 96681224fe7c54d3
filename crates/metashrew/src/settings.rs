//! What the command line means to the libraries.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_runtime::{
    LogOptions, ModuleCache, RuntimeOptions, ScoutOptions, ViewMode, ViewOptions,
};
use metashrew_server::{AllowedHosts, ServerOptions};
use metashrew_store::{StoreOptions, UndoneLimits};
use metashrew_sync::{Auth, CoreSettings, IndexOptions, ScoutCount};

use crate::cli::{Following, Listen, NodeArgs, Scouting, Scouts, Serving, Start, Storage, Views};
use crate::descriptors::Descriptors;
use crate::memory::Asked;
use crate::size::Size;

/// The file in the database's directory with the index of the node's block files.
const BLOCKS_INDEX: &str = "blocks-index";

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

impl Following {
    /// How long a pending block is used; none if there shall be none.
    pub(crate) fn pending_interval(&self) -> Option<Duration> {
        (self.pending_interval_ms > 0).then(|| Duration::from_millis(self.pending_interval_ms))
    }
}

impl NodeArgs {
    /// How to reach the node at a URL, for a database in the directory `db`.
    pub(crate) fn settings(&self, rpc_url: &str, db: &Path) -> CoreSettings {
        let auth = match (&self.auth, &self.cookie_file) {
            (Some(auth), _) => auth.clone(),
            (None, Some(path)) => Auth::CookieFile(path.clone()),
            (None, None) => Auth::None,
        };
        CoreSettings {
            auth,
            rpc_ca: self.rpc_ca.clone(),
            rest: self.rest,
            blocks_dir: self.blocks_dir.clone(),
            blocks_index: Some(db.join(BLOCKS_INDEX)),
            network: self.magic.or(self.network),
            ..CoreSettings::new(rpc_url)
        }
    }
}

impl Views {
    /// Whether instances are to persist between calls.
    pub(crate) fn are_stateful(&self) -> bool {
        !self.no_stateful_views
    }

    /// The views of which it is settled how they run. The last word counts.
    fn modes(&self) -> BTreeMap<String, ViewMode> {
        let settled = self.view_modes.iter();
        settled
            .map(|settled| (settled.view.clone(), settled.mode))
            .collect()
    }

    /// With so much memory for all instances, in bytes.
    fn options(&self, memory: usize) -> ViewOptions {
        let default = ViewOptions::default();
        ViewOptions {
            enabled: self.are_stateful(),
            instances: self.view_instances.unwrap_or(default.instances),
            queue: self.view_queue,
            scope: self.view_scope,
            sessions: self.view_sessions,
            max_wait: Duration::from_millis(self.view_max_wait_ms),
            timeout: Duration::from_millis(self.view_timeout_ms),
            memory_budget: memory,
            max_instance_memory: self.view_max_instance_memory.map_or(memory, |size| size.0),
            max_input: self.view_max_input.0,
            max_output: self.view_max_output.0,
            check: self.view_check,
            modes: self.modes(),
            ..default
        }
    }
}

impl Listen {
    /// The first address of the host.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let (host, port) = (self.host.0.as_str(), self.port);
        let mut addresses = (host, port)
            .to_socket_addrs()
            .with_context(|| format!("the host `{host}` has no address"))?;
        addresses
            .next()
            .with_context(|| format!("the host `{host}` has no address"))
    }
}

impl Serving {
    /// Where to listen: `--listen`, with `--host` and `--port` in place of its parts.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let host = self.host.as_ref().unwrap_or(&self.listen.host);
        let listen = Listen {
            host: host.clone(),
            port: self.port.unwrap_or(self.listen.port),
        };
        listen.address()
    }

    /// The longest answer follows from the longest answer of a view, in hex.
    pub(crate) fn options(&self, views: &Views) -> ServerOptions {
        const REST: usize = 64 * 1024;
        let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let default = ServerOptions::default();
        let time = Duration::from_millis;
        ServerOptions {
            cors: self.cors.clone(),
            allowed_hosts: self.allowed_hosts(),
            height_compat: self.height_compat,
            max_request: bytes(self.max_request.0),
            max_response: bytes(
                views
                    .view_max_output
                    .0
                    .saturating_mul(2)
                    .saturating_add(REST),
            ),
            max_batch: self.max_batch,
            batch_parallel: self.batch_parallel.unwrap_or(default.batch_parallel),
            max_subscriptions: self.max_subscriptions,
            max_subscriptions_per_connection: self.max_subscriptions_per_connection,
            subscription_memory: self.subscription_memory.0,
            client_share: self.client_share,
            subscription_cache: self.subscription_cache.0,
            max_requests: self.max_requests.get(),
            request_wait: time(self.request_wait_ms),
            idle_timeout: time(self.idle_timeout_ms),
            head_timeout: time(self.head_timeout_ms),
            body_timeout: time(self.body_timeout_ms),
            body_min_rate: self.body_min_rate.0,
            send_timeout: time(self.send_timeout_ms),
            heartbeat: time(self.heartbeat_ms),
            ..default
        }
    }

    /// Those that are named, and the name that it listens at.
    fn allowed_hosts(&self) -> AllowedHosts {
        let mut hosts = self.allowed_host.clone().unwrap_or_default();
        hosts.allow(&self.host.as_ref().unwrap_or(&self.listen.host).0);
        hosts
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use metashrew_sync::Network;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::memory::Memory;

    fn start(flags: &[&str]) -> Start {
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
    fn flags_of_serving_reach_the_server() {
        let start = start(&[
            "--listen",
            "indexer.example:1",
            "--allowed-host",
            "a.example,b.example",
            "--request-memory",
            "64MiB",
            "--request-wait-ms",
            "1",
            "--max-requests",
            "2",
            "--idle-timeout-ms",
            "3",
            "--head-timeout-ms",
            "4",
            "--body-timeout-ms",
            "5",
            "--body-min-rate",
            "6",
            "--send-timeout-ms",
            "7",
            "--heartbeat-ms",
            "9",
            "--batch-parallel",
            "8",
            "--max-subscriptions",
            "9",
            "--max-subscriptions-per-connection",
            "10",
            "--subscription-memory",
            "11",
            "--subscription-cache",
            "12",
            "--client-share",
            "13",
        ]);
        let descriptors = start.descriptors(Some(1_024));
        let server = start.server_options(&descriptors);
        let hosts = "indexer.example,a.example,b.example".parse();
        assert_eq!(Ok(server.allowed_hosts), hosts);
        assert_eq!(server.request_memory, 64 << 20);
        assert_eq!((server.max_requests, server.batch_parallel.get()), (2, 8));
        let times = [
            server.request_wait,
            server.idle_timeout,
            server.head_timeout,
            server.body_timeout,
            server.send_timeout,
            server.heartbeat,
        ];
        assert_eq!(times.map(|time| time.as_millis()), [1, 3, 4, 5, 7, 9]);
        assert_eq!(server.body_min_rate, 6);
        let subscriptions = [
            server.max_subscriptions,
            server.max_subscriptions_per_connection,
            server.subscription_memory,
            server.subscription_cache,
            server.client_share.into(),
        ];
        assert_eq!(subscriptions, [9, 10, 11, 12, 13]);
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

    #[test]
    fn flags_of_the_node_reach_the_library() {
        let start = start(&[
            "--rest",
            "--auth",
            "me:secret",
            "--blocks-dir",
            "bd",
            "--network",
            "regtest",
            "--confirmations",
            "6",
            "--reorg-horizon",
            "10",
            "--poll-interval-ms",
            "20",
        ]);
        let settings = start.node.settings("http://host", Path::new("db"));
        assert_eq!(settings.rpc_url, "http://host");
        assert_eq!(settings.auth, Auth::from_user_pass("me:secret").unwrap());
        assert!(settings.rest);
        assert_eq!(settings.blocks_dir, Some("bd".into()));
        assert_eq!(settings.blocks_index, Some("db/blocks-index".into()));
        assert_eq!(settings.network, Some(Network::Regtest));
        let index = start.index_options();
        assert_eq!((index.confirmations, index.reorg_horizon), (6, 10));
        assert_eq!(index.poll_interval, Some(Duration::from_millis(20)));
        assert!(!index.follow, "files end");
    }

    #[test]
    fn host_and_port_replace_parts_of_the_address() {
        let check = |flags: &[&str], expect: &str| {
            let address = start(flags).serving.address().unwrap();
            assert_eq!(address.to_string(), expect, "{flags:?}");
        };
        check(&[], "127.0.0.1:8080");
        check(&["--listen", "0.0.0.0:1"], "0.0.0.0:1");
        check(&["--listen", "[::1]:1"], "[::1]:1");
        check(&["--port", "9"], "127.0.0.1:9");
        check(&["--host", "0.0.0.0"], "0.0.0.0:8080");
        check(&["--host", "::1", "--port", "9"], "[::1]:9");
    }
}

//! The readings of a running server, for `metashrew_stats`, `/metrics` and `/ready`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metashrew_runtime::{LogCounts, MetashrewRuntime, ViewCount, ViewDifference, ViewStats};
use metashrew_store::{BlockRecord, CacheStats, EngineHealth, GuestFrom, Height, StoreOptions};
use parking_lot::Mutex;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::connections::{Connections, Timeouts};
use crate::feed::{FeedCounts, Limits};
use crate::health::Readiness;
use crate::indexing::{IndexingReport, IndexingStatus};
use crate::options::ServerOptions;
use crate::process;
use crate::push::PushCounts;
use crate::refusal::Refusals;
use crate::requests::RequestCounts;

/// How long what the database takes on disk is believed.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// Where to look.
pub(crate) struct Telemetry {
    runtime: MetashrewRuntime,
    indexing: Option<Arc<dyn IndexingStatus>>,
    ready_within: u32,
    requests: Arc<RequestCounts>,
    transport: Transport,
    disk: Mutex<Option<(Instant, Option<u64>)>>,
    started: Instant,
    started_at: Duration,
}

/// Where to look for what goes on before the methods.
pub(crate) struct Transport {
    pub(crate) connections: Arc<Connections>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) subscriptions: Arc<Limits>,
    pub(crate) push: Arc<PushCounts>,
    pub(crate) clients: Arc<Clients>,
}

/// What was seen at one moment.
pub(crate) struct Readings {
    pub(crate) guest_sha256: [u8; 32],
    /// The guests that wrote the state.
    pub(crate) guests: Vec<GuestFrom>,
    /// The last committed block.
    pub(crate) tip: Option<BlockRecord>,
    /// The lowest height held.
    pub(crate) first: Option<Height>,
    /// What is kept of what the guest logs.
    pub(crate) guest_logs: LogCounts,
    pub(crate) views: ViewStats,
    /// What each view was asked.
    pub(crate) per_view: Vec<ViewCount>,
    /// The views found to answer from what earlier calls left.
    pub(crate) view_differences: Vec<ViewDifference>,
    pub(crate) read_cache: CacheStats,
    /// How the database was opened, if it is on disk.
    pub(crate) storage: Option<StoreOptions>,
    /// How the storage engine is doing, if it tells.
    pub(crate) engine: Option<EngineHealth>,
    pub(crate) indexing: IndexingReport,
    /// Blocks from the tip to the node's.
    pub(crate) behind: Option<u32>,
    /// What `/ready` says.
    pub(crate) ready: bool,
    /// Bytes that the database takes on disk, if it is there.
    pub(crate) database_bytes: Option<u64>,
    /// Bytes that are free there.
    pub(crate) free_bytes: Option<u64>,
    pub(crate) http: HttpReadings,
    /// Calls received, by method.
    pub(crate) requests: Vec<(&'static str, u64)>,
    pub(crate) uptime: Duration,
    /// When the server was started, since 1970.
    pub(crate) started_at: Duration,
    /// Bytes of physical memory that the process has.
    pub(crate) resident: Option<u64>,
}

/// What was seen before the methods.
pub(crate) struct HttpReadings {
    /// Connections that are open, and that may be.
    pub(crate) connections: (usize, usize),
    /// Connections that the server closed, by reason.
    pub(crate) closed: Vec<(&'static str, u64)>,
    /// How often no connection could be accepted.
    pub(crate) accept_failures: u64,
    /// Bytes that requests hold, and may hold.
    pub(crate) memory: (usize, usize),
    /// Requests that were refused, by reason.
    pub(crate) refused: Vec<(&'static str, u64)>,
    pub(crate) subscriptions: FeedCounts,
    /// WebSockets and event streams, and how many there may be together.
    pub(crate) pushing: (Vec<(&'static str, usize)>, usize),
    /// Bytes of events that were written over them.
    pub(crate) pushed: Vec<(&'static str, u64)>,
}

impl Transport {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        let timeouts = Timeouts {
            head: options.head_timeout,
            idle: options.idle_timeout,
            send: options.send_timeout,
        };
        let connections = Connections::new(options.max_open_connections, timeouts);
        let budget = Budget::new(options.request_memory, options.request_wait);
        let push = PushCounts::new(connections.limit());
        Self {
            clients: Arc::new(Clients::new(options, push.limit())),
            push: Arc::new(push),
            connections: Arc::new(connections),
            budget: Arc::new(budget),
            refusals: Arc::default(),
            subscriptions: Arc::new(Limits::new(options)),
        }
    }

    fn read(&self) -> HttpReadings {
        HttpReadings {
            connections: (self.connections.open(), self.connections.limit()),
            closed: self.connections.closed().collect(),
            accept_failures: self.connections.failures(),
            memory: (self.budget.used(), self.budget.limit()),
            refused: self.refusals.by_reason().collect(),
            subscriptions: self.subscriptions.counts(),
            pushing: (self.push.open().collect(), self.push.limit()),
            pushed: self.push.bytes().collect(),
        }
    }
}

impl Telemetry {
    pub(crate) fn new(
        runtime: MetashrewRuntime,
        indexing: Option<Arc<dyn IndexingStatus>>,
        ready_within: u32,
        requests: Arc<RequestCounts>,
        transport: Transport,
    ) -> Self {
        Self {
            runtime,
            indexing,
            ready_within,
            requests,
            transport,
            disk: Mutex::default(),
            started: Instant::now(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    pub(crate) fn read(&self) -> Readings {
        let snapshot = self.runtime.store().snapshot();
        let tip = snapshot.tip().copied();
        let indexing = self.indexing();
        let height = tip.map(|tip| tip.height);
        let readiness = Readiness::of(height, indexing.clone(), self.ready_within);
        Readings {
            guest_sha256: self.runtime.guest_sha256(),
            guests: tip.map_or_else(Vec::new, |tip| self.runtime.store().guests_at(tip.height)),
            tip,
            first: snapshot.first(),
            guest_logs: self.runtime.logs().counts(),
            views: self.runtime.view_stats(),
            per_view: self.runtime.view_counts(),
            view_differences: self.runtime.view_differences(),
            read_cache: self.runtime.store().cache_stats(),
            storage: self.runtime.store().options().copied(),
            engine: self.runtime.store().engine_health(),
            behind: indexing.behind(height),
            indexing,
            ready: readiness.ready,
            database_bytes: self.database_bytes(),
            free_bytes: self.runtime.store().free_space(),
            http: self.transport.read(),
            requests: self.requests.by_method().collect(),
            uptime: self.started.elapsed(),
            started_at: self.started_at,
            resident: process::resident_memory(),
        }
    }

    /// Looked up at most every [`DISK_EVERY`]: a large database has thousands of files.
    fn database_bytes(&self) -> Option<u64> {
        let mut last = self.disk.lock();
        if let Some((when, bytes)) = *last
            && when.elapsed() < DISK_EVERY
        {
            return bytes;
        }
        let bytes = self.runtime.store().disk_bytes();
        *last = Some((Instant::now(), bytes));
        bytes
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let tip = self.runtime.store().snapshot().tip().map(|tip| tip.height);
        Readiness::of(tip, self.indexing(), self.ready_within)
    }

    fn indexing(&self) -> IndexingReport {
        let status = self.indexing.as_ref();
        status.map(|status| status.report()).unwrap_or_default()
    }
}

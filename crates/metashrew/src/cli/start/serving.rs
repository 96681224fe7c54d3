//! The flags of the server.

use std::num::NonZeroUsize;

use clap::{Args, value_parser};
use metashrew_server::{AllowedHosts, Cors, HeightCompat};

use crate::cli::values::{self, Host, Listen};
use crate::size::Size;

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Serving {
    /// The address to serve JSON-RPC on; port 0 takes any free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "METASHREW_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: Listen,

    /// Replaces the host in --listen
    #[arg(long, value_name = "HOST", env = "METASHREW_HOST")]
    pub(crate) host: Option<Host>,

    /// Replaces the port in --listen
    #[arg(long, value_name = "PORT", env = "METASHREW_PORT")]
    pub(crate) port: Option<u16>,

    /// Which names requests may give as their host, separated by commas, besides the one in
    /// --listen, those of this machine and addresses; `*` for any [default: none]
    ///
    /// A web page can have its own name point at this server; requests for other names are refused.
    #[arg(long, value_name = "NAMES", env = "METASHREW_ALLOWED_HOST")]
    pub(crate) allowed_host: Option<AllowedHosts>,

    /// Which web pages may call: `*`, `localhost`, `off`, or origins separated by commas, such as
    /// `https://example.org` or `moz-extension://…`
    #[arg(
        long,
        value_name = "ORIGINS",
        env = "METASHREW_CORS",
        default_value = "localhost"
    )]
    pub(crate) cors: Cors,

    /// What `metashrew_height` answers
    #[arg(
        long,
        value_name = "WHICH",
        env = "METASHREW_HEIGHT_COMPAT",
        value_parser = values::height_compat(),
        default_value = "last"
    )]
    pub(crate) height_compat: HeightCompat,

    /// The longest request, in bytes, or with a suffix such as MiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_MAX_REQUEST",
        default_value = "40MiB"
    )]
    pub(crate) max_request: Size,

    /// The memory of all requests together, from the first byte of their bodies to the last one of
    /// their answers, in bytes, or with a suffix such as MiB; the first 16 KiB of each are free
    /// [default: 512MiB, or an eighth of the memory that the process may have if that is less]
    #[arg(long, value_name = "SIZE", env = "METASHREW_REQUEST_MEMORY")]
    pub(crate) request_memory: Option<Size>,

    /// How long a request waits for room in --request-memory, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_REQUEST_WAIT_MS",
        default_value_t = 10_000
    )]
    pub(crate) request_wait_ms: u64,

    /// How many requests may be answered at a time; more are refused with HTTP 429
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_REQUESTS",
        default_value = "1024"
    )]
    pub(crate) max_requests: NonZeroUsize,

    /// How many connections may be open; where there are as many, the one that has been idle for
    /// longest is closed for a new one [default: half of the file descriptors that the process may
    /// have, as many as take an eighth of its memory, and 10000 at most]
    #[arg(long, value_name = "COUNT", env = "METASHREW_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<NonZeroUsize>,

    /// How long a connection may be idle, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_IDLE_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 120_000
    )]
    pub(crate) idle_timeout_ms: u64,

    /// How long a client may take for the head of a request, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_HEAD_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) head_timeout_ms: u64,

    /// How long a client may send less of a body than --body-min-rate says, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_BODY_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) body_timeout_ms: u64,

    /// How much of a body has to come in a second, in bytes, or with a suffix such as KiB
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_BODY_MIN_RATE",
        default_value = "1KiB"
    )]
    pub(crate) body_min_rate: Size,

    /// How long a client may read nothing of its answer, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_SEND_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 30_000
    )]
    pub(crate) send_timeout_ms: u64,

    /// How often something is sent over a WebSocket or an event stream that is silent otherwise, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_HEARTBEAT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 20_000
    )]
    pub(crate) heartbeat_ms: u64,

    /// How many calls a batch may hold
    #[arg(
        long,
        value_name = "CALLS",
        env = "METASHREW_MAX_BATCH",
        default_value_t = 1000
    )]
    pub(crate) max_batch: usize,

    /// How many calls of a batch or a multicall run at a time [default: the number of cores]
    #[arg(long, value_name = "COUNT", env = "METASHREW_BATCH_PARALLEL")]
    pub(crate) batch_parallel: Option<NonZeroUsize>,

    /// How many subscriptions there may be
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_SUBSCRIPTIONS",
        default_value_t = 4096
    )]
    pub(crate) max_subscriptions: usize,

    /// How many subscriptions one connection may have
    #[arg(
        long,
        value_name = "COUNT",
        env = "METASHREW_MAX_SUBSCRIPTIONS_PER_CONNECTION",
        default_value_t = 256
    )]
    pub(crate) max_subscriptions_per_connection: usize,

    /// Memory for what subscriptions keep: prefixes, inputs of views, and what views read
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_SUBSCRIPTION_MEMORY",
        default_value = "64MiB"
    )]
    pub(crate) subscription_memory: Size,

    /// How much of --max-subscriptions, of --subscription-memory and of the connections for
    /// WebSockets and event streams one client's address may have, in percent; 100 for all
    #[arg(
        long,
        value_name = "PERCENT",
        env = "METASHREW_CLIENT_SHARE",
        value_parser = value_parser!(u8).range(1..=100),
        default_value_t = 50
    )]
    pub(crate) client_share: u8,

    /// Memory for the keys that recent blocks wrote, kept for subscriptions, and as much for the
    /// answers of subscribed views
    #[arg(
        long,
        value_name = "SIZE",
        env = "METASHREW_SUBSCRIPTION_CACHE",
        default_value = "32MiB"
    )]
    pub(crate) subscription_cache: Size,
}

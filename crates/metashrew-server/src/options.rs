//! Settings of the server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::cors::Cors;
use crate::hosts::AllowedHosts;
use crate::indexing::IndexingStatus;

const MIB: u32 = 1024 * 1024;

/// Settings of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Which web pages may call. Default: [`Cors::Localhost`].
    pub cors: Cors,
    /// Which names requests may give as their host, besides names of this machine and
    /// addresses. Others are refused with HTTP 403. Default: none.
    pub allowed_hosts: AllowedHosts,
    /// What `metashrew_height` answers. Default: [`HeightCompat::Last`].
    pub height_compat: HeightCompat,
    /// Bytes of a request's body. Default: 40 MiB, which holds a view's input of
    /// 16 MiB and a block of 4 MB, both as hex.
    pub max_request: u32,
    /// Bytes of an answer's body. Default: 136 MiB, which holds a view's answer
    /// of 64 MiB as hex.
    pub max_response: u32,
    /// Entries of a batch, and calls of a multicall. Default: 1,000.
    pub max_batch: usize,
    /// Calls of one batch or multicall that run at a time. Default: the number of cores.
    pub batch_parallel: NonZeroUsize,
    /// Requests that are answered at a time, from the end of their bodies until their
    /// answers are there; one more is refused with HTTP 429. `/health`, `/ready` and
    /// `/metrics` do not count. Default: 1,024.
    pub max_requests: usize,
    /// Bytes that requests hold together, from the first byte of their bodies to the last
    /// one of their answers, what is made of them included. The first 16 KiB of each need
    /// no room. Default: 512 MiB, which is twice what the longest request and the longest
    /// answer take.
    pub request_memory: usize,
    /// How long a request waits for room; then it is refused with HTTP 503. Default: 10
    /// seconds.
    pub request_wait: Duration,
    /// Connections open at a time. Where there are as many, the one idle for longest is
    /// closed for a new one, or else one whose client neither sends nor reads; while there
    /// is none such, new ones wait. Each takes a descriptor.
    /// Default: 512, half of the 1,024 descriptors that a process usually may have.
    pub max_open_connections: usize,
    /// How long a client may take for the head of a request, from its first byte. Default:
    /// 30 seconds.
    pub head_timeout: Duration,
    /// How long a client may take to begin its next request. Default: 2 minutes.
    pub idle_timeout: Duration,
    /// Within this time a client has to send as much of a body as `body_min_rate` says, or
    /// its end. Default: 30 seconds.
    pub body_timeout: Duration,
    /// How fast a body has to come, in bytes a second. Default: 1,024.
    pub body_min_rate: usize,
    /// How long a client may read nothing of an answer. Default: 30 seconds.
    pub send_timeout: Duration,
    /// How long a call goes on after its client has ended its half of the connection: it
    /// may still read, or have gone away. Default: 1 second.
    pub half_closed_timeout: Duration,
    /// Subscriptions there may be, of all connections. Default: 4,096.
    pub max_subscriptions: usize,
    /// Subscriptions that one connection may have. Default: 256.
    pub max_subscriptions_per_connection: usize,
    /// Bytes that subscriptions may keep together: prefixes, inputs of views, and what views
    /// read. Default: 64 MiB.
    pub subscription_memory: usize,
    /// Percent that one client may have of the connections that may be WebSockets or event streams,
    /// of `max_subscriptions` and of `subscription_memory`. A client is an IPv4 address, or the
    /// first 64 bits of an IPv6 one: all that come through one proxy are one client. 100, or more,
    /// sets no limit. Default: 50, which leaves as much to another.
    pub client_share: u8,
    /// Bytes of what recent blocks wrote that are kept for subscriptions, and as many of views'
    /// answers. Default: 32 MiB.
    pub subscription_cache: usize,
    /// How often a subscription that is told nothing else is told where it stands. Default: 30
    /// seconds.
    pub position_interval: Duration,
    /// How often it is looked for another pending block, while somebody is subscribed to it.
    /// Default: 1 second.
    pub pending_interval: Duration,
    /// How often something is sent over a WebSocket (a ping) or an event stream (a comment)
    /// that is silent otherwise. A WebSocket over which nothing comes back for twice as long
    /// is closed. Zero: nothing is sent, and none is closed for that. Default: 20 seconds.
    pub heartbeat: Duration,
    /// Who knows how indexing goes. Default: nobody; the server then knows only what
    /// is indexed.
    pub indexing: Option<Arc<dyn IndexingStatus>>,
    /// Blocks that the index may be below the node's tip for `/ready` to say yes.
    /// Default: 2.
    pub ready_within: u32,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            cors: Cors::default(),
            allowed_hosts: AllowedHosts::default(),
            height_compat: HeightCompat::default(),
            max_request: 40 * MIB,
            max_response: 136 * MIB,
            max_batch: 1000,
            batch_parallel: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_requests: 1024,
            request_memory: 512 * MIB as usize,
            request_wait: Duration::from_secs(10),
            max_open_connections: 512,
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(2),
            body_timeout: Duration::from_secs(30),
            body_min_rate: 1024,
            send_timeout: Duration::from_secs(30),
            half_closed_timeout: Duration::from_secs(1),
            max_subscriptions: 4096,
            max_subscriptions_per_connection: 256,
            subscription_memory: 64 * MIB as usize,
            client_share: 50,
            subscription_cache: 32 * MIB as usize,
            position_interval: Duration::from_secs(30),
            pending_interval: Duration::from_secs(1),
            heartbeat: Duration::from_secs(20),
            indexing: None,
            ready_within: 2,
        }
    }
}

/// What `metashrew_height` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeightCompat {
    /// The height of the last committed block. The default.
    #[default]
    Last,
    /// One more: the height that will be indexed next. Some clients subtract one
    /// because an older host answered this.
    Next,
}

//! Metashrew's JSON-RPC 2.0 server over HTTP.
//!
//! [`Server::bind`] serves a runtime's views and what its store knows about the
//! chain; `docs/rpc.md` is the contract. `/health`, `/ready` and `/metrics` tell
//! machines how it is. The crate knows nothing about where
//! blocks come from or how the process is started.

mod accept;
mod answer;
mod budget;
mod caller;
mod clients;
mod compression;
mod connections;
mod cors;
mod discovery;
mod error;
mod facts;
mod fault;
mod feed;
mod form;
mod front;
mod guests;
mod handle;
mod health;
mod held;
mod hosts;
mod in_process;
mod indexing;
mod input;
mod listed;
mod meter;
mod method;
mod metrics;
mod offload;
mod options;
mod origin;
mod parallel;
mod params;
mod probes;
mod process;
mod push;
mod query;
mod receive;
mod refusal;
mod request;
mod requests;
mod rpc;
mod socket;
mod status;
mod telemetry;
mod view_route;
mod wire;

pub use cors::{Cors, ParseCorsError};
pub use error::ServerError;
pub use handle::{Reserved, Server, ServerHandle};
pub use hosts::{AllowedHosts, ParseAllowedHostsError};
#[doc(hidden)]
pub use in_process::{InProcess, InProcessEvent, InProcessSubscription};
pub use indexing::{
    CurrentBlock, CurrentWrite, IndexingReport, IndexingState, IndexingStatus, IndexingTotals,
    Reorg, Scouts,
};
pub use options::{HeightCompat, ServerOptions};
pub use process::resident_memory;

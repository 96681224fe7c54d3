//! Metashrew's JSON-RPC 2.0 server over HTTP.
//!
//! [`Server::bind`] serves a runtime's views and what its store knows about the
//! chain; `docs/rpc.md` is the contract. `/health`, `/ready` and `/metrics` tell
//! machines how it is. The crate knows nothing about where
//! blocks come from or how the process is started.

mod batch;
mod connections;
mod error;
mod fault;
mod guests;
mod handle;
mod health;
mod indexing;
mod method;
mod metrics;
mod options;
mod parallel;
mod params;
mod probes;
mod process;
mod requests;
mod strict;
mod telemetry;
mod wire;

pub use error::ServerError;
pub use handle::{Reserved, Server, ServerHandle};
pub use indexing::{
    CurrentBlock, CurrentWrite, IndexingReport, IndexingState, IndexingStatus, IndexingTotals,
    Reorg, Scouts,
};
pub use options::{Cors, HeightCompat, ParseCorsError, ServerOptions};
pub use process::resident_memory;

//! Metashrew's JSON-RPC 2.0 server over HTTP.
//!
//! [`Server::bind`] serves a runtime's views and what its store knows about the
//! chain; `docs/rpc.md` is the contract. The crate knows nothing about where
//! blocks come from or how the process is started.

mod batch;
mod error;
mod fault;
mod handle;
mod method;
mod options;
mod params;
mod strict;

pub use error::ServerError;
pub use handle::{Server, ServerHandle};
pub use options::{Cors, HeightCompat, ParseCorsError, ServerOptions};

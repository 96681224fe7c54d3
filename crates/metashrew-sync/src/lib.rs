//! Follows a chain: an [`Indexer`] asks a [`Node`] for blocks, has the guest
//! process them, and commits what it writes, through reorganisations, faults
//! and restarts.
//!
//! The crate knows nothing of servers and command lines. It reads the clock only
//! to report and to pause; no time reaches the state.

mod auxpow;
mod bip34;
mod bitcoind;
mod block;
mod branch;
mod commit;
mod downwards;
mod error;
mod execute;
mod failure_kind;
mod fetch;
mod files;
mod identify;
mod indexer;
mod machine;
mod network;
mod node;
mod one_block;
mod options;
mod plan;
mod progress;
mod queue;
mod rates;
mod reorg;
mod round;
mod scouts;
mod seal;
mod status;
mod stop;
mod targets;
mod timing;
mod troubles;
mod wakeups;
mod watchdog;
mod wire;
mod work;
mod zmq;

pub use bitcoind::{
    Auth, BlockTemplate, CookieError, CoreNode, CoreSettings, OtherNetwork, SettingsError,
    SourceCounts, machine_tls,
};
pub use block::{BlockFault, RequiredTarget};
pub use error::IndexError;
pub use failure_kind::FailureKind;
pub use files::{BlockFiles, FilesError};
pub use indexer::{IndexEnd, Indexer};
pub use machine::WaitsFor;
pub use network::{Network, ParseNetworkError};
pub use node::{Accept, Node, NodeBlock, NodeError};
pub use one_block::fetch_block;
pub use options::{Backoff, IndexOptions, ScoutCount};
pub use progress::{Progress, ProgressReport, Running, ScoutReport, WriteKind, Writing};
pub use status::{IndexState, IndexStatus, Reorg};
pub use stop::Stop;
pub use timing::BlockTiming;
pub use zmq::{NewBlocks, SubscribeError, check_endpoint, subscribe};

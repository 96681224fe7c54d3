//! Stateful views: calls answered by instances that persist between them.

mod budget;
mod call;
mod chain;
mod check;
mod counts;
mod engine;
mod failures;
mod kept;
mod key;
mod latency;
mod lease;
mod observe;
mod pending;
mod per_view;
mod pool;
mod queue;
mod record;
mod request;
mod session;
mod shard;
mod sizes;
mod stats;

pub(crate) use budget::Account;
pub use call::{Basis, Route, ViewAnswer, ViewAt, ViewCall};
pub use chain::{CallContext, Chain};
pub(crate) use check::Meter;
pub use check::{CheckCounts, ViewDifference};
pub(crate) use engine::ViewEngine;
pub(crate) use kept::ViewPool;
pub use latency::LatencyHistogram;
pub use pending::{PendingBlock, PendingId, PendingOffer, PendingState};
pub use per_view::ViewCount;
pub use record::Recorded;
pub(crate) use sizes::Sizes;
pub use stats::{CallCounts, CallKind, DropCounts, DropReason, ErrorCounts, ErrorKind, ViewStats};

//! Stateful views: calls answered by instances that persist between them.

mod budget;
mod call;
mod chain;
mod desk;
mod engine;
mod failures;
mod idle;
mod latency;
mod pending;
mod per_view;
mod places;
mod room;
mod session;
mod stats;
mod terms;
mod visit;

pub use call::{Basis, Route, ViewAnswer, ViewAt, ViewCall};
pub use chain::{CallContext, Chain};
pub(crate) use desk::Desk;
pub(crate) use engine::ViewEngine;
pub use latency::LatencyHistogram;
pub use pending::{PendingBlock, PendingId, PendingOffer, PendingState};
pub use per_view::ViewCount;
pub(crate) use room::Room;
pub use stats::{CallCounts, DropCounts, ErrorCounts, ViewStats};

//! Stateful views: calls answered by instances that persist between them.

mod admission;
mod engine;
mod pool;
mod stats;

pub(crate) use engine::{Question, ViewEngine, engine_slots};
pub(crate) use pool::Pool as Budget;
pub use stats::ViewStats;

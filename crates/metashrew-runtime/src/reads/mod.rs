//! What a run read, as sets of keys: single ones, and ranges of which a part was walked over.

mod collector;
mod ranges;
mod view_reads;
mod walk;

pub(crate) use collector::Collector;
pub(crate) use ranges::{Ranges, is_range};
pub use view_reads::ViewReads;
pub(crate) use walk::{Walk, bound};

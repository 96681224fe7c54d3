//! Blocks to be run again elsewhere: a block with all that the guest read in it.
//!
//! A [`Recorder`] watches a run and makes a [`ReadSet`] of what it read: the values of keys, and
//! the ranges of which every key is known. A run on a read set is watched by a [`Guard`], which
//! ends it where it reads what the set does not know: such a read is never answered as absent.
//! A [`Bundle`] is a block, its read set and what came out, as a file (`docs/replay.md`).

mod bundle;
mod codec;
mod guard;
mod read_set;
mod recorder;
mod varint;

pub use bundle::{Bundle, Outcome, ReplayError};
pub use codec::{BundleError, MAX_BUNDLE_BYTES};
pub use guard::NotRecorded;
pub use read_set::{MAX_READ_SET_BYTES, ReadSet, TooLarge};
pub use recorder::{ReadCounts, Recorder};

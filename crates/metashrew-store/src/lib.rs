//! Values by height: what a guest wrote, readable at every block it was written in.
//!
//! A [`Store`] holds a chain of committed blocks and, for every key, each value
//! it ever had together with the height that wrote it. Blocks are committed and
//! rolled back atomically; a [`Snapshot`] stays as it was for as long as it is
//! held; a [`State`] is what a guest reads: one snapshot at one height, possibly
//! under blocks that are not committed yet. A cache of what was read lies above the
//! engine. The bytes on disk are described in `docs/storage.md`.

mod backend;
mod base;
mod block;
mod block_id;
mod block_keys;
mod block_writes;
mod chain;
mod chainwork;
mod claim;
mod commit;
mod counter;
mod directory;
mod disk_usage;
mod error;
mod fork;
mod format_file;
mod hashed_key;
mod history;
mod identity;
mod keys;
mod layer_scan;
mod looked_up;
mod many_reads;
mod memo;
mod older_walk;
mod open;
mod overlay;
mod overlay_index;
mod packed;
mod publication;
mod read_cache;
mod readers;
mod rollback;
mod root;
mod snapshot;
mod state;
mod state_scan;
mod store;
mod touched;
mod undone;
mod verify;
mod write_set;

pub use backend::{
    Backend, BackendError, Batch, BatchNumber, Cursor, Direction, Durability, EngineHealth, Entry,
    ErrorKind, Files, MemoryBackend, Operation, Pending, Read, Scan, Space, Transferred, View,
    wait,
};
pub use base::Base;
pub use block::{BlockHash, BlockRecord, BlockRef, Height, HistoryRoot, ParseHashError};
pub use block_id::{BlockId, ParseBlockIdError, without_hex_prefix};
pub use block_keys::BlockKeys;
pub use block_writes::Below;
pub use chainwork::Chainwork;
pub use claim::{Claim, ClaimError, OtherGuest};
pub use error::{
    CommitError, OpenError, ReadError, ResolveError, RollbackError, VerifyError, WriteError,
};
pub use fork::{ForkError, ForkOptions, ForkStep, ForkWay, Forked};
pub use hashed_key::HashedKey;
pub use identity::{GuestFrom, GuestId, Identity, NetworkId};
pub use keys::{FORMAT, MAX_BLOCK_WRITES, MAX_KEY_LEN, MAX_VALUE_LEN, WRITE_OVERHEAD};
pub use many_reads::ManyReads;
pub use memo::MemoPlace;
pub use open::StoreOptions;
pub use overlay::Overlay;
pub use publication::Registration;
pub use read_cache::CacheStats;
pub use snapshot::Snapshot;
pub use state::State;
pub use state_scan::{StateScan, Step};
pub use store::Store;
pub use undone::{UndoneBlock, UndoneLimits};
pub use verify::{VerifyOptions, VerifyPhase, VerifyProgress, VerifyReport};
pub use write_set::{Version, WriteSet};

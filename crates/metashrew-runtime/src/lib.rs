//! Runs Metashrew guests: `_start` over every block, views over any height.
//!
//! [`MetashrewRuntime`] is the way in. A block's run returns its write set and
//! commits nothing; a view reads one snapshot and writes nothing. Views run on
//! instances that persist between calls (*stateful views*), with answers equal
//! to those of fresh ones for guests whose answers depend on state and input; a sample
//! of answers is checked for it. This crate knows neither nodes nor servers.

mod assemble;
mod clock;
mod context;
mod deadline;
mod description;
mod engine;
mod error;
mod fault;
mod file_kind;
mod guest;
mod host;
mod inspect;
mod instance;
mod limits;
mod logs;
mod memory;
mod nearest;
mod observe;
mod observed;
mod optional;
mod options;
mod prepared;
mod profile;
mod read_time;
mod reads;
mod replay;
mod reply;
mod run;
mod runner;
mod runtime;
mod scout;
mod stack;
mod tables;
mod ticker;
mod view;

pub use assemble::{AssembleError, BlockFrame, assemble_block};
pub use description::ViewDescription;
pub use error::{
    BlockError, GuestBacktrace, GuestFault, GuestFrame, HostFault, LoadError, PendingError,
    SessionLoss, ViewError, Wait,
};
pub use inspect::{Export, Import, MemorySize, ModuleReport, inspect};
pub use logs::{
    BlockLogs, BlockRun, GuestLogs, LogCounts, LogLine, LogOptions, LogRange, LogsFound,
};
pub use nearest::nearest;
pub use observe::{Event, Frames, Observer, Refusal};
pub use options::{
    ModuleCache, RuntimeOptions, Scope, ScoutOptions, ViewCheck, ViewInstances, ViewMode,
    ViewOptions,
};
pub use prepared::PreparedGuest;
pub use profile::{
    MAX_PROFILE_SAMPLES, MIN_PROFILE_INTERVAL, ProfileEnd, ProfileError, ProfileOptions,
    ProfileSummary, ProfiledCall,
};
pub use read_time::BlockReads;
pub use reads::ViewReads;
pub use replay::{
    Bundle, BundleError, MAX_BUNDLE_BYTES, MAX_READ_SET_BYTES, NotRecorded, Outcome, ReadCounts,
    ReadSet, Recorder, ReplayError, TooLarge,
};
pub use runner::BlockRunner;
pub use runtime::MetashrewRuntime;
pub use scout::{ScoutControl, ScoutEnd, Scouted};
pub use view::{
    Basis, CallContext, CallCounts, CallKind, Chain, CheckCounts, DropCounts, DropReason,
    ErrorCounts, ErrorKind, LatencyHistogram, PendingBlock, PendingId, PendingOffer, PendingState,
    Recorded, Route, ViewAnswer, ViewAt, ViewCall, ViewCount, ViewDifference, ViewStats,
};

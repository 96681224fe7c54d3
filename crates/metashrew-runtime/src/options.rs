//! Settings of a runtime.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::logs::LogOptions;

/// Settings of a [`MetashrewRuntime`](crate::MetashrewRuntime).
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// Where compiled guests are kept between runs.
    pub cache: ModuleCache,
    /// How views run.
    pub views: ViewOptions,
    /// What scouts may take.
    pub scouts: ScoutOptions,
    /// How long the guest may take for a block. Default: none, as long as it takes. With a
    /// limit, blocks run on the guest as compiled for views, which can be interrupted: it is
    /// compiled once instead of twice, and runs a sixth to a quarter slower. A block that
    /// takes longer fails with [`HostFault::TimedOut`](crate::HostFault::TimedOut), which
    /// says nothing of other machines: for trying guests out, not for an index to be kept.
    pub block_timeout: Option<Duration>,
    /// How much is kept of what the guest logs while it indexes.
    pub logs: LogOptions,
}

/// Where compiled guests are kept, so that a guest is compiled once a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModuleCache {
    /// In the user's cache directory. The default.
    #[default]
    User,
    /// In this directory.
    At(PathBuf),
    /// Nowhere: every start compiles the guest, seconds for a large one.
    Off,
}

/// Which instances may answer which calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// As [`Scope::Shared`] for a guest that says it keeps its caches apart by
    /// height (it exports `__metashrew_height_partitioned`), else as
    /// [`Scope::Block`]. The default.
    #[default]
    Auto,
    /// An instance answers for the one block it first answered for. Right for any
    /// guest whose answers depend on nothing but the state and the input.
    Block,
    /// An instance answers for every block. Right only if the guest never lets a
    /// value read at one height into an answer at another.
    Shared,
}

/// Which instances answer the calls of one view, sessions left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewInstances {
    /// Those that persist, whichever block a call is about.
    Shared,
    /// Those that persist, each for the block that it first answered for.
    Pinned,
    /// A new one for each call.
    Fresh,
}

impl ViewInstances {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Pinned => "pinned",
            Self::Fresh => "fresh",
        }
    }
}

/// What is done about views that answer from what earlier calls left in their memory. Some
/// calls are run again, on a fresh instance, to find them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ViewCheck {
    /// Nothing; no call is run again.
    Off,
    /// Such a view is named, once, and goes on as it is. Calls are run again after their
    /// answer was given. The default.
    #[default]
    Warn,
    /// Such a view is named, once, and runs on fresh instances from then on. Calls are run
    /// again before their answer is given, which is then the fresh instance's.
    Enforce,
}

/// How one view runs, where that is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewMode {
    /// On instances that persist; its answers are not checked.
    Stateful,
    /// On a fresh instance for each call, but for the calls of sessions.
    Fresh,
}

/// How views run. See `docs/views.md`.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// Whether instances persist between calls (stateful views). Default: true.
    pub enabled: bool,
    /// Calls that may be under way at a time, each on an instance of its own; 1 serialises
    /// them. They share the cores in slices of 2 ms, and the memory budget bounds them too.
    /// Default: 64 for each core, at most 1,024.
    pub instances: NonZeroUsize,
    /// Calls that may wait to run, or for their session's turn; one more is refused as busy.
    /// Default: 1,024.
    pub queue: usize,
    /// Sessions that may be known at a time; one more is refused. Default: 65,536.
    pub sessions: usize,
    /// Which instances may answer which calls. Default: [`Scope::Auto`].
    pub scope: Scope,
    /// How long a call may run. Default: 10 seconds.
    pub timeout: Duration,
    /// How long the guest may take to execute the pending block. Default: 60 seconds.
    pub pending_timeout: Duration,
    /// How long a call may wait to run, for memory, or for its session's turn; then it is
    /// refused as busy. Default: 10 seconds.
    pub max_wait: Duration,
    /// Bytes of memory that all instances may have together. Default: 1 GiB.
    pub memory_budget: usize,
    /// Bytes of memory that one instance may have. Default: the budget.
    pub max_instance_memory: usize,
    /// Bytes of input that a call may have. Default: 16 MiB.
    pub max_input: usize,
    /// Bytes of answer that a call may give. Default: 64 MiB.
    pub max_output: usize,
    /// Bytes that what a [recorded call](crate::MetashrewRuntime::recorded_call) reads may take,
    /// each key and range counted with its allocations. They count as memory of the call's
    /// instance. Default: 256 KiB.
    pub max_recorded_reads: usize,
    /// What is done about views whose answers depend on earlier calls.
    /// Default: [`ViewCheck::Warn`].
    pub check: ViewCheck,
    /// The views of which that is settled, by name. Default: none.
    pub modes: BTreeMap<String, ViewMode>,
}

/// Calls under way for each core: with so many that never end, one that comes runs after at
/// most as many epoch ticks, an eighth of a second.
const CALLS_PER_CORE: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");

/// Calls under way by default however many cores there are: guests written in Rust begin with
/// a MiB or more, and the default budget is 1,024 MiB.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// The number of cores.
pub(crate) fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl Default for ViewOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            enabled: true,
            instances: cores().saturating_mul(CALLS_PER_CORE).min(MAX_CALLS),
            queue: 1024,
            sessions: 65_536,
            scope: Scope::Auto,
            timeout: Duration::from_secs(10),
            pending_timeout: Duration::from_mins(1),
            max_wait: Duration::from_secs(10),
            memory_budget: 1024 * MIB,
            max_instance_memory: 1024 * MIB,
            max_input: 16 * MIB,
            max_output: 64 * MIB,
            max_recorded_reads: 256 << 10,
            check: ViewCheck::Warn,
            modes: BTreeMap::new(),
        }
    }
}

/// What scouts may take: see [`MetashrewRuntime::scout`](crate::MetashrewRuntime::scout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoutOptions {
    /// Scouts that may run at a time. Default: 8.
    pub instances: usize,
    /// Bytes of WebAssembly memory that they may have together, with what stays mapped
    /// for the next ones. A scout for which there is no more ends. Default: 512 MiB.
    pub memory_budget: usize,
    /// How long one may run: nothing else ends a guest's endless loop before the block's
    /// turn. Default: 60 seconds.
    pub timeout: Duration,
}

impl Default for ScoutOptions {
    fn default() -> Self {
        Self {
            instances: 8,
            memory_budget: 512 << 20,
            timeout: Duration::from_mins(1),
        }
    }
}

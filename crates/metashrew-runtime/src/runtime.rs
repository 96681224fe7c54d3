//! The public face: a guest over a store.

mod views;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{GuestId, State, Store, WriteSet};
use wasmtime::Engine;

use crate::context::Call;
use crate::deadline::Deadline;
use crate::description::Description;
use crate::error::{BlockError, LoadError};
use crate::guest::Guest;
use crate::inspect;
use crate::logs::GuestLogs;
use crate::options::{RuntimeOptions, ScoutOptions};
use crate::prepared::PreparedGuest;
use crate::read_time::{BlockReads, ReadTime};
use crate::runner::{self, BlockRunner};
use crate::scout::{self, ScoutControl, ScoutMemory, Scouted};
use crate::ticker::{self, Ticker, Ticking};
use crate::view::{Sizes, ViewEngine};

/// A guest over a store: processes blocks, and answers views and previews.
///
/// Clones share everything. Stateful views are on unless the options say
/// otherwise.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use metashrew_runtime::MetashrewRuntime;
/// use metashrew_store::{BlockHash, BlockId, BlockRef, Store};
///
/// // A guest that writes "v" under the key "k" for every block, and a view that reads it.
/// let wasm = wat::parse_str(r#"(module
///   (import "env" "__flush" (func $flush (param i32)))
///   (import "env" "__get_len" (func $get_len (param i32) (result i32)))
///   (import "env" "__get" (func $get (param i32 i32)))
///   (memory (export "memory") 1)
///   (data (i32.const 0) "\06\00\00\00\0a\01k\0a\01v") ;; a `KeyValueFlush`, its length in front
///   (data (i32.const 16) "\01\00\00\00k")
///   (func (export "_start") (call $flush (i32.const 4)))
///   (func (export "read") (result i32)
///     (i32.store (i32.const 32) (call $get_len (i32.const 20)))
///     (call $get (i32.const 20) (i32.const 36))
///     (i32.const 36)))"#)?;
///
/// let store = Store::in_memory();
/// let runtime = MetashrewRuntime::new(&wasm, store.clone())?;
/// let writes = runtime.process_block(0, b"a block")?;
/// let block = BlockRef::new(0, BlockHash::from_bytes([1; 32]), BlockHash::from_bytes([0; 32]));
/// store.commit(&block, &writes)?;
///
/// let answer = runtime.view_sync("read", b"", &BlockId::Latest)?;
/// assert_eq!(&answer.bytes[..], b"v");
/// assert_eq!(answer.block.height, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MetashrewRuntime {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    guest: Arc<Guest>,
    guest_id: GuestId,
    description: Description,
    views: ViewEngine,
    /// How long guests' reads took while blocks were indexed.
    block_reads: Arc<ReadTime>,
    scouts: ScoutOptions,
    scout_memory: Arc<ScoutMemory>,
    /// How long a block may take.
    block_timeout: Option<Duration>,
    logs: GuestLogs,
}

impl MetashrewRuntime {
    /// Loads the guest in the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read or is no guest.
    pub fn load(path: impl AsRef<Path>, store: Store) -> Result<Self, LoadError> {
        Self::load_with_options(path, store, RuntimeOptions::default())
    }

    /// As [`MetashrewRuntime::load`], with other settings than the default ones.
    ///
    /// # Errors
    /// If the file cannot be read or is no guest.
    pub fn load_with_options(
        path: impl AsRef<Path>,
        store: Store,
        options: RuntimeOptions,
    ) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let wasm = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::with_options(&wasm, store, options)
    }

    /// Loads a guest from the bytes of its module.
    ///
    /// # Errors
    /// If the bytes are no guest.
    pub fn new(wasm: &[u8], store: Store) -> Result<Self, LoadError> {
        Self::with_options(wasm, store, RuntimeOptions::default())
    }

    /// As [`MetashrewRuntime::new`], with other settings than the default ones.
    ///
    /// # Errors
    /// If the bytes are no guest.
    pub fn with_options(
        wasm: &[u8],
        store: Store,
        options: RuntimeOptions,
    ) -> Result<Self, LoadError> {
        PreparedGuest::new(wasm, options)?.over(store)
    }

    pub(crate) fn assemble(
        guest: Arc<Guest>,
        viewing: &Engine,
        store: Store,
        options: RuntimeOptions,
    ) -> Result<Self, LoadError> {
        let enabled = options.views.enabled;
        let mapped = Sizes::of(&options.views).mapped_by(options.scouts.instances);
        let scout_memory = options.scouts.memory_budget.saturating_sub(mapped);
        let ticking = Ticking::default();
        let views = ViewEngine::new(
            Arc::clone(&guest),
            store.clone(),
            options.views,
            ticking.clone(),
        );
        views.keep_epochs(Ticker::start(viewing, ticking, views.at_tick())?);
        let block_timeout = options.block_timeout;
        // Its views' time is bounded, and so is what it takes to ask who it is.
        let _ticking = views.ticking().hold();
        let meta = inspect::description(&guest);
        let runtime = Self {
            shared: Arc::new(Shared {
                guest_id: inspect::identify(&guest, &meta),
                description: Description::of(&guest, meta),
                views,
                store,
                guest,
                block_reads: Arc::default(),
                scout_memory: ScoutMemory::new(scout_memory),
                scouts: options.scouts,
                block_timeout,
                logs: GuestLogs::new(options.logs),
            }),
        };
        if enabled && let Err(error) = runtime.enable_stateful_views_sync() {
            tracing::warn!("Failed to enable stateful views by default: {error}");
        }
        Ok(runtime)
    }

    /// The store that the guest's state lives in.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// SHA-256 of the guest's module.
    pub fn guest_sha256(&self) -> [u8; 32] {
        self.shared.guest.sha256
    }

    /// Who the guest is: its hash, and the name and the version that it tells.
    pub fn guest_id(&self) -> &GuestId {
        &self.shared.guest_id
    }

    /// Runs the guest over `block` on top of the store's newest state, and returns
    /// what it writes. Commits nothing.
    ///
    /// # Errors
    /// If the guest fails or never flushes ([`BlockError::Guest`]), or if the machine
    /// fails ([`BlockError::Host`]), in which case the block may be tried again.
    pub fn process_block(&self, height: u32, block: &[u8]) -> Result<WriteSet, BlockError> {
        let block = Bytes::copy_from_slice(block);
        self.process_block_on(self.shared.store.snapshot().latest(), height, block)
    }

    /// As [`MetashrewRuntime::process_block`], on top of `state`.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::process_block`].
    pub fn process_block_on(
        &self,
        state: State,
        height: u32,
        block: Bytes,
    ) -> Result<WriteSet, BlockError> {
        let call = Call::index(state, height, block).timed(&self.shared.block_reads);
        runner::run_fresh(self, call).map(|(_, writes)| writes)
    }

    /// Runs the guest over the blocks of a chain, one after the other, and keeps its memory
    /// from one to the next if it asks for that.
    pub fn block_runner(&self) -> BlockRunner {
        BlockRunner::new(self.clone())
    }

    pub(crate) fn view_engine(&self) -> &ViewEngine {
        &self.shared.views
    }

    /// How long a block may take.
    pub(crate) fn block_timeout(&self) -> Option<Duration> {
        self.shared.block_timeout
    }

    /// When a block that begins now must have ended.
    pub(crate) fn block_deadline(&self) -> Deadline {
        let timeout = self.shared.block_timeout;
        timeout.map_or_else(Deadline::default, |limit| Deadline::after(limit, false))
    }

    /// Has the epochs advance for as long as it is held, if blocks may be interrupted.
    pub(crate) fn ticks_for_block(&self) -> Option<ticker::Running> {
        let is_needed = self.shared.block_timeout.is_some();
        is_needed.then(|| self.shared.views.ticking().hold())
    }

    /// What the guest logged while a [`BlockRunner`] ran it over blocks, as far as it is kept
    /// ([`RuntimeOptions::logs`]).
    pub fn logs(&self) -> &GuestLogs {
        &self.shared.logs
    }

    pub(crate) fn description(&self) -> &Description {
        &self.shared.description
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.shared.guest
    }

    pub(crate) fn read_time(&self) -> &Arc<ReadTime> {
        &self.shared.block_reads
    }

    /// Runs the guest over a block that is not due yet, on the state as it is, for what it
    /// reads: then that is in the store's caches when the block's turn comes. Nothing else
    /// is left of it, however it ends. It ends early once `control` says so, within an
    /// epoch tick (2 ms) and the read that it is at.
    ///
    /// Takes the time of the caller's thread. At most [`ScoutOptions::instances`] run at a
    /// time; one more fails.
    pub fn scout(&self, height: u32, block: Bytes, control: &Arc<dyn ScoutControl>) -> Scouted {
        let shared = &self.shared;
        let (guest, memory) = (&shared.guest.viewing, &shared.scout_memory);
        let _ticking = shared.views.ticking().hold();
        scout::run(guest, memory, &shared.scouts, (height, block), control)
    }

    /// What scouts may take.
    pub fn scout_options(&self) -> ScoutOptions {
        self.shared.scouts
    }

    /// Bytes of WebAssembly memory that scouts have now.
    pub fn scout_memory(&self) -> usize {
        self.shared.scout_memory.used()
    }

    /// What guests read, since the runtime was made, while they ran over blocks to be
    /// indexed, and how long that took. Part of the time that the blocks took; that of a
    /// block counts when its run is over.
    pub fn block_reads(&self) -> BlockReads {
        self.shared.block_reads.total()
    }
}

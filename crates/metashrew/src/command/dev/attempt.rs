//! One try after an edit: build, load, index all blocks. Another edit ends it, wherever it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use metashrew_runtime::{
    MetashrewRuntime, PreparedGuest, RuntimeOptions, ScoutOptions, ViewOptions,
};
use metashrew_store::{Durability, StoreOptions};
use metashrew_sync::{CoreSettings, IndexEnd, IndexOptions, Progress, ScoutCount, Stop};
use parking_lot::Mutex;

use super::build;
use super::form::Form;
use super::logs::Logs;
use super::state::{Checkpoint, StateDirectory, Temporary};
use super::tell::{Teller, Told};
use crate::command::database;
use crate::command::source::Source;
use crate::memory::Memory;

/// Where the blocks are.
#[derive(Debug, Clone)]
pub(super) enum Blocks {
    Node(Box<CoreSettings>),
    Files(PathBuf),
}

/// How often the node is asked for new blocks: one that is mined shows at once.
const POLL: Duration = Duration::from_millis(100);

/// How long a commit under way may hold up the next try.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Instances that views have: one person calls them.
const INSTANCES: usize = 16;

/// What all tries have in common.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) build_command: Option<String>,
    pub(super) module: PathBuf,
    pub(super) blocks: Blocks,
    pub(super) start_height: Option<u32>,
    pub(super) checkpoint: Option<u32>,
    pub(super) block_timeout: Duration,
    pub(super) memory: Memory,
    pub(super) state: StateDirectory,
    pub(super) logs: Arc<Logs>,
    pub(super) teller: Teller,
    /// What is indexing now.
    pub(super) progress: Mutex<Option<Arc<Progress>>>,
}

/// What a try needs to know.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) setup: Arc<Setup>,
    /// The guest that is served.
    pub(super) served: Option<Identity>,
    /// Whether to make the checkpoint anew.
    pub(super) from_scratch: bool,
    /// Whether to index even with the guest that is served.
    pub(super) anew: bool,
    pub(super) stop: Stop,
}

/// Which guest, and what it tells of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) sha256: [u8; 32],
    pub(super) form: Form,
}

impl Identity {
    /// The beginning of its hash.
    pub(super) fn short(&self) -> String {
        let start = self.sha256.first_chunk::<6>();
        start.map(hex::encode).unwrap_or_default()
    }
}

/// What came of it.
pub(super) enum Outcome {
    /// A guest that got through all blocks.
    Candidate(Box<Candidate>),
    /// The module is the one that is served.
    Unchanged,
    Stopped,
    /// There is no guest.
    Unusable(anyhow::Error),
    /// Blocks could not be indexed with it.
    Failed(anyhow::Error),
}

/// A guest over the state that it made of all blocks.
pub(super) struct Candidate {
    pub(super) identity: Identity,
    pub(super) live: Arc<Live>,
    pub(super) source: Source,
    pub(super) took: Duration,
}

/// A guest over its database, which goes with the last owner.
pub(super) struct Live {
    pub(super) runtime: MetashrewRuntime,
    /// Below the runtime: it is dropped after it.
    _database: Temporary,
}

/// A database to begin with, and what is told of it.
struct Beginning {
    database: Temporary,
    why: Option<String>,
}

impl Setup {
    pub(super) fn index_options(&self, follow: bool) -> IndexOptions {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        IndexOptions {
            start_height: self.start_height,
            // The state at the checkpoint is another guest's.
            accept_guest_change: true,
            // The node is the user's own: its word counts.
            accept_less_work: true,
            follow,
            poll_interval: Some(POLL),
            stop_grace: STOP_GRACE,
            max_fetched_bytes: bytes(self.memory.fetched),
            max_uncommitted_bytes: bytes(self.memory.uncommitted),
            scouts: ScoutCount::Exactly(0),
            ..IndexOptions::default()
        }
    }

    fn runtime_options(&self) -> RuntimeOptions {
        // The guest that is served and the one to come have half of it each.
        let memory = usize::try_from(self.memory.views / 2).unwrap_or(usize::MAX);
        RuntimeOptions {
            views: ViewOptions {
                instances: std::num::NonZeroUsize::new(INSTANCES)
                    .unwrap_or(std::num::NonZeroUsize::MIN),
                memory_budget: memory,
                max_instance_memory: memory,
                ..ViewOptions::default()
            },
            scouts: ScoutOptions {
                instances: 0,
                memory_budget: 0,
                ..ScoutOptions::default()
            },
            block_timeout: Some(self.block_timeout),
            ..RuntimeOptions::default()
        }
    }

    fn store_options(&self) -> StoreOptions {
        StoreOptions {
            // It is made anew if it is lost.
            durability: Durability::Buffered,
            ..StoreOptions::default().with_cache(self.memory.cache / 2)
        }
    }

    fn prepare(&self, wasm: &[u8]) -> Result<PreparedGuest> {
        let is_none = || format!("`{}` is no guest", self.module.display());
        let guest = PreparedGuest::new(wasm, self.runtime_options()).with_context(is_none)?;
        guest.check_start().with_context(is_none)?;
        Ok(guest)
    }

    fn source(&self) -> Result<Source> {
        match &self.blocks {
            Blocks::Node(settings) => Source::node_at(settings, None),
            Blocks::Files(path) => Source::files(path, self.start_height, None),
        }
    }
}

impl Attempt {
    pub(super) fn run(&self) -> Outcome {
        let begun = Instant::now();
        let guest = match self.guest() {
            Ok(Some(guest)) => guest,
            Ok(None) => return Outcome::Stopped,
            Err(error) => return Outcome::Unusable(error),
        };
        let (wasm, guest, identity) = guest;
        if self.served.as_ref() == Some(&identity) && !self.anew && !self.from_scratch {
            return Outcome::Unchanged;
        }
        self.setup.logs.hold();
        let indexed = self.index(&wasm, guest, &identity);
        *self.setup.progress.lock() = None;
        match indexed {
            Ok(Some((live, source))) => Outcome::Candidate(Box::new(Candidate {
                identity,
                live: Arc::new(live),
                source,
                took: begun.elapsed(),
            })),
            _ if self.stop.is_requested() => Outcome::Stopped,
            Ok(None) => Outcome::Stopped,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Builds the guest, and loads it. None if it was to stop before.
    fn guest(&self) -> Result<Option<(Vec<u8>, PreparedGuest, Identity)>> {
        let setup = &self.setup;
        if let Some(command) = &setup.build_command
            && !build::run(command, &self.stop, setup.teller)?
        {
            return Ok(None);
        }
        let wasm = database::read_guest(&setup.module)?;
        let guest = setup.prepare(&wasm)?;
        let form = match guest.metadata()? {
            Some(Ok(meta)) => Form::of(&meta),
            Some(Err(error)) => {
                let error = format!("what the guest tells of itself cannot be had: {error}");
                setup.teller.tell(&Told::Output { line: &error });
                Form::default()
            }
            None => Form::default(),
        };
        let identity = Identity {
            sha256: guest.sha256(),
            form,
        };
        Ok((!self.stop.is_requested()).then_some((wasm, guest, identity)))
    }

    /// Indexes all blocks that there are. None if it was to stop before.
    fn index(
        &self,
        wasm: &[u8],
        guest: PreparedGuest,
        identity: &Identity,
    ) -> Result<Option<(Live, Source)>> {
        let source = self.setup.source()?;
        let Some(Beginning { database, why }) = self.begin(wasm, &source, identity)? else {
            return Ok(None);
        };
        let runtime = self.over(guest, &database)?;
        self.tell_beginning(&runtime, identity, why.as_deref());
        let end = self.run_to_the_end(&runtime, &source, self.setup.index_options(false))?;
        let live = Live {
            runtime,
            _database: database,
        };
        Ok((end != IndexEnd::Stopped).then_some((live, source)))
    }

    fn over(&self, guest: PreparedGuest, database: &Temporary) -> Result<MetashrewRuntime> {
        let store = database::open_or_create(&database.database(), self.setup.store_options())?;
        Ok(guest.over(store)?)
    }

    fn run_to_the_end(
        &self,
        runtime: &MetashrewRuntime,
        source: &Source,
        options: IndexOptions,
    ) -> Result<IndexEnd> {
        let indexer = source.indexer(runtime.clone(), options);
        *self.setup.progress.lock() = Some(indexer.progress());
        Ok(indexer.run(&self.stop)?)
    }

    fn tell_beginning(&self, runtime: &MetashrewRuntime, identity: &Identity, why: Option<&str>) {
        let tip = runtime.store().snapshot().tip().copied();
        self.setup.teller.tell(&Told::Indexing {
            guest: &identity.short(),
            after: tip.map(|tip| tip.height),
            why,
        });
    }

    /// The database to index into: a copy of that at the checkpoint, or an empty one. None if it
    /// was to stop before.
    fn begin(
        &self,
        wasm: &[u8],
        source: &Source,
        identity: &Identity,
    ) -> Result<Option<Beginning>> {
        let empty = |why| {
            let database = self.setup.state.new_database()?;
            Ok(Some(Beginning { database, why }))
        };
        let Some(height) = self.setup.checkpoint else {
            let before = self.served.as_ref();
            return empty(before.and_then(|before| identity.form.difference(&before.form)));
        };
        let Some(hash) = source.blocks().hash_at(height)? else {
            return empty(Some(format!(
                "there is no block {height} yet, so there is no state to be kept there"
            )));
        };
        let kept = self.setup.state.checkpoint();
        let wanted = Checkpoint::new(height, hash, identity.form.clone());
        let why = match kept {
            _ if self.from_scratch => Some("so it was asked".to_owned()),
            None => Some("there is none yet".to_owned()),
            Some(kept) if (kept.height, &kept.hash) != (wanted.height, &wanted.hash) => {
                Some("the one that is kept is at another block".to_owned())
            }
            Some(kept) => wanted.form.difference(&kept.form),
        };
        if let Some(why) = why
            && !self.make_checkpoint(wasm, source, identity, &wanted, &why)?
        {
            return Ok(None);
        }
        let database = self.setup.state.copy_checkpoint()?;
        Ok(Some(Beginning {
            database,
            why: None,
        }))
    }

    /// Makes the state at the checkpoint with the guest; false if it was to stop before.
    fn make_checkpoint(
        &self,
        wasm: &[u8],
        source: &Source,
        identity: &Identity,
        wanted: &Checkpoint,
        why: &str,
    ) -> Result<bool> {
        let database = self.setup.state.new_database()?;
        let runtime = self.over(self.setup.prepare(wasm)?, &database)?;
        let height = wanted.height;
        let why = format!("the state at the checkpoint, block {height}, is made: {why}");
        self.tell_beginning(&runtime, identity, Some(&why));
        let options = IndexOptions {
            exit_at: Some(height),
            ..self.setup.index_options(false)
        };
        match self.run_to_the_end(&runtime, source, options)? {
            IndexEnd::Stopped => return Ok(false),
            IndexEnd::Exit => {}
            IndexEnd::Tip => {
                return Err(anyhow!("the chain has become shorter than block {height}"));
            }
        }
        runtime.store().close()?;
        drop(runtime);
        self.setup.state.keep(&database, wanted)?;
        Ok(true)
    }
}

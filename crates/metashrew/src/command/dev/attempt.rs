//! One try after an edit: build, load, index all blocks. Another edit ends it, wherever it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use metashrew_runtime::{MetashrewRuntime, PreparedGuest};
use metashrew_store::{CommitError, ErrorKind, ReadError, RollbackError, Store};
use metashrew_sync::{IndexEnd, IndexOptions, Stop};

use super::build;
use super::form::Form;
use super::setup::Setup;
use super::state::{Checkpoint, Temporary};
use super::tell::Told;
use crate::command::database;
use crate::command::source::Source;

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
    database: Temporary,
}

impl Drop for Live {
    fn drop(&mut self) {
        // A view under way may still hold the store: it writes nothing any more once it is
        // closed, and so does not miss its files.
        if let Err(error) = self.runtime.store().close() {
            tracing::debug!(%error, "a database that goes could not be closed");
        }
    }
}

/// A database to begin with, and what is told of it.
struct Beginning {
    store: Store,
    /// Below the store: it is dropped after it.
    database: Temporary,
    why: Option<String>,
    /// Whether it is a copy of the checkpoint.
    is_copy: bool,
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
        let wasm = read_module(&setup.module)?;
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
        let Some(beginning) = self.begin(wasm, &source, identity)? else {
            return Ok(None);
        };
        let (why, is_copy) = (beginning.why, beginning.is_copy);
        let live = Live {
            runtime: guest.over(beginning.store)?,
            database: beginning.database,
        };
        self.tell_beginning(&live.runtime, identity, why.as_deref());
        match self.run_to_the_end(&live.runtime, &source, self.setup.index_options(false)) {
            Ok(IndexEnd::Stopped) => Ok(None),
            Ok(_) => Ok(Some((live, source))),
            Err(error) if is_copy && is_damage(&error) => {
                Err(self.setup.state.forget_checkpoint(&error))
            }
            Err(error) => Err(error),
        }
    }

    fn empty(&self, why: Option<String>) -> Result<Beginning> {
        let database = self.setup.state.new_database()?;
        Ok(Beginning {
            store: database::open_or_create(&database.database(), self.setup.store_options())?,
            database,
            why,
            is_copy: false,
        })
    }

    /// A copy of the checkpoint that is kept; in words what is wrong with it, if it is of no use.
    fn copy(&self, wanted: &Checkpoint) -> Result<Result<Beginning, String>> {
        let state = &self.setup.state;
        let database = state.copy_checkpoint()?;
        let path = database.database();
        let store = match Store::open_existing(&path, self.setup.store_options()) {
            Ok(store) => store,
            Err(error) if error.is_transient() => {
                return Err(error).context("the state at the checkpoint cannot be opened");
            }
            Err(error) => return Ok(Err(state.of_no_use(&error.into()))),
        };
        let tip = store.snapshot().tip().map(|tip| (tip.height, tip.hash));
        if tip.is_none_or(|(height, hash)| !wanted.is_at(height, hash)) {
            let error = anyhow!("it does not end at that block");
            return Ok(Err(state.of_no_use(&error)));
        }
        Ok(Ok(Beginning {
            store,
            database,
            why: None,
            is_copy: true,
        }))
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
        let Some(height) = self.setup.checkpoint else {
            let before = self.served.as_ref();
            let why = before.and_then(|before| identity.form.difference(&before.form));
            return self.empty(why).map(Some);
        };
        let Some(hash) = source.blocks().hash_at(height)? else {
            let why =
                format!("there is no block {height} yet, so there is no state to be kept there");
            return self.empty(Some(why)).map(Some);
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
        let why = match why {
            Some(why) => why,
            None => match self.copy(&wanted)? {
                Ok(copy) => return Ok(Some(copy)),
                Err(damage) => damage,
            },
        };
        if !self.make_checkpoint(wasm, source, identity, &wanted, &why)? {
            return Ok(None);
        }
        let copy = self.copy(&wanted)?;
        copy.map(Some).map_err(anyhow::Error::msg)
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
        let guest = self.setup.prepare(wasm)?;
        if self.stop.is_requested() {
            return Ok(false);
        }
        let Beginning {
            store, database, ..
        } = self.empty(None)?;
        let live = Live {
            runtime: guest.over(store)?,
            database,
        };
        let runtime = &live.runtime;
        let height = wanted.height;
        let why = format!("the state at the checkpoint, block {height}, is made: {why}");
        self.tell_beginning(runtime, identity, Some(&why));
        let options = IndexOptions {
            exit_at: Some(height),
            ..self.setup.index_options(false)
        };
        match self.run_to_the_end(runtime, source, options)? {
            IndexEnd::Stopped => return Ok(false),
            IndexEnd::Exit => {}
            IndexEnd::Tip => {
                return Err(anyhow!("the chain has become shorter than block {height}"));
            }
        }
        runtime.store().close()?;
        self.setup.state.keep(&live.database, wanted)?;
        Ok(true)
    }
}

/// The bytes of the module, which is a file: it is read at every edit, and a pipe or a device may
/// never end.
fn read_module(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("the guest `{}` cannot be read", path.display());
    let about = std::fs::metadata(path).with_context(failed)?;
    ensure!(about.is_file(), "`{}` is no file", path.display());
    database::read_guest(path)
}

/// Whether what failed is that the database contradicts itself.
fn is_damage(error: &anyhow::Error) -> bool {
    let kind_of = |cause: &(dyn std::error::Error + 'static)| {
        let read = cause.downcast_ref().map(ReadError::kind);
        let commit = || cause.downcast_ref().map(CommitError::kind);
        let rollback = || cause.downcast_ref().map(RollbackError::kind);
        read.or_else(commit).or_else(rollback)
    };
    error
        .chain()
        .filter_map(kind_of)
        .any(|kind| kind == ErrorKind::Damage)
}

#[cfg(test)]
mod tests {
    use metashrew_runtime::RuntimeOptions;
    use metashrew_store::{BlockHash, BlockRef, StoreOptions};
    use metashrew_testing::guests;

    use super::*;
    use crate::command::dev::state::StateDirectory;

    /// Else its threads would miss their files.
    #[test]
    fn nothing_is_written_to_a_database_that_is_gone() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDirectory::take(project.path()).unwrap();
        let database = state.new_database().unwrap();
        let path = database.database();
        let store = database::open_or_create(&path, StoreOptions::default()).unwrap();
        let guest = PreparedGuest::new(&guests::chained(), RuntimeOptions::default()).unwrap();
        let runtime = guest.over(store.clone()).unwrap();
        let writes = runtime.process_block(0, &[0; 100]).unwrap();
        let [hash, parent] = [1, 0].map(|byte| BlockHash::from_bytes([byte; 32]));
        store
            .commit(&BlockRef::new(0, hash, parent), &writes)
            .unwrap();
        let to_be_written = || store.engine_health().unwrap().dirty_bytes;
        assert!(to_be_written() > 0);
        // As a view under way, `store` outlives it.
        drop(Live { runtime, database });
        assert!(!path.exists());
        assert_eq!(to_be_written(), 0);
    }
}

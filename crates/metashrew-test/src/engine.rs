//! Runs a built module in the real engine, over a store in memory.

use crate::following::{Following, Indexed};
use crate::{Block, Chain, Failed, snapshot};
use metashrew_abi::proto::Storage;
use metashrew_runtime::{BlockRunner, MetashrewRuntime, RuntimeOptions, ViewCheck, ViewOptions};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store, WriteSet};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Indexes chains with a guest's module, and asks its views, as a server does.
///
/// Each block runs twice: on memory kept from the block before, if the guest asks for
/// that, and on a fresh instance; both have to write the same.
pub struct Engine {
    store: Store,
    /// Its views run on instances that persist.
    kept: MetashrewRuntime,
    /// Its views run on a fresh instance each.
    fresh: MetashrewRuntime,
    runner: BlockRunner,
    blocks: Indexed,
    tables: Vec<Storage>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tip = self.blocks.last().map(|(height, _)| height);
        f.debug_struct("Engine")
            .field("tip", &tip)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine for a module's bytes.
    ///
    /// # Errors
    /// If they are not a guest that can run.
    pub fn new(wasm: &[u8]) -> Result<Self, Failed> {
        let store = Store::in_memory();
        let views = |enabled| RuntimeOptions {
            views: ViewOptions {
                enabled,
                check: ViewCheck::Off,
                ..ViewOptions::default()
            },
            ..RuntimeOptions::default()
        };
        let load = |enabled| MetashrewRuntime::with_options(wasm, store.clone(), views(enabled));
        let kept = load(true).map_err(failed)?;
        let fresh = load(false).map_err(failed)?;
        Ok(Self {
            runner: kept.block_runner(),
            kept,
            fresh,
            store,
            blocks: Vec::new(),
            tables: Vec::new(),
        })
    }

    /// An engine for a module in a file: what `cargo build --release --target
    /// wasm32-unknown-unknown` makes.
    ///
    /// # Errors
    /// If there is no guest that can run.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Failed> {
        let path = path.as_ref();
        let wasm = std::fs::read(path);
        Self::new(&wasm.map_err(|error| Failed::new(format!("{}: {error}", path.display())))?)
    }

    /// Indexes a block, which leaves no trace if it fails.
    ///
    /// # Errors
    /// If it fails.
    ///
    /// # Panics
    /// If kept memory and a fresh instance write different things.
    pub fn try_index(&mut self, block: &Block) -> Result<(), Failed> {
        let parent = self.blocks.last().map_or([0; 32], |(_, hash)| *hash);
        let [hash, parent] = [block.hash, parent].map(BlockHash::from_bytes);
        let reference = BlockRef::new(block.height, hash, parent);
        let state = self.store.snapshot().latest();
        let bytes = block.bytes.clone().into();
        let writes = self.runner.process(state, &reference, bytes);
        let fresh = self.fresh.process_block(block.height, &block.bytes);
        assert_eq!(
            writes.as_ref().map(pairs).map_err(ToString::to_string),
            fresh.as_ref().map(pairs).map_err(ToString::to_string),
            "block {}: with memory kept (left) the guest writes otherwise than without",
            block.height
        );
        let committed = self.store.commit(&reference, &writes.map_err(failed)?);
        committed.map_err(failed)?;
        self.blocks.push((block.height, block.hash));
        Ok(())
    }

    /// Indexes what a chain has and this has not; first, blocks that are in the chain no
    /// longer are taken back.
    ///
    /// # Panics
    /// If a block fails.
    pub fn follow(&mut self, chain: &Chain) {
        if let Err(error) = self.try_follow(chain) {
            panic!("{error}");
        }
    }

    /// As [`follow`](Self::follow), up to the block that fails.
    ///
    /// # Errors
    /// If a block fails.
    pub fn try_follow(&mut self, chain: &Chain) -> Result<(), Failed> {
        self.come_to(chain)
    }

    /// Asks a view about the state after a height.
    ///
    /// # Panics
    /// If it fails; with the guest's text.
    pub fn view(&self, height: u32, view: &str, input: impl AsRef<[u8]>) -> Vec<u8> {
        let answer = self.try_view(height, view, input);
        answer.unwrap_or_else(|error| panic!("{view} at height {height}: {error}"))
    }

    /// As [`view`](Self::view); an error is a value.
    ///
    /// # Errors
    /// If the view fails.
    pub fn try_view(
        &self,
        height: u32,
        view: &str,
        input: impl AsRef<[u8]>,
    ) -> Result<Vec<u8>, Failed> {
        ask(&self.kept, height, view, input.as_ref())
    }

    /// Checks that answers do not depend on what instances remember: asks each question
    /// of a fresh instance, and of those that are kept, first to last and last to first.
    /// Answers those.
    ///
    /// # Panics
    /// If two answers differ.
    pub fn check<I: AsRef<[u8]>>(
        &self,
        view: &str,
        questions: impl IntoIterator<Item = (u32, I)>,
    ) -> Vec<Result<Vec<u8>, Failed>> {
        let questions: Vec<_> = questions.into_iter().collect();
        let fresh = questions
            .iter()
            .map(|(height, input)| ask(&self.fresh, *height, view, input.as_ref()));
        let fresh: Vec<_> = fresh.collect();
        let again = questions.iter().zip(&fresh);
        for ((height, input), fresh) in again.clone().chain(again.rev()) {
            let input = input.as_ref();
            assert_eq!(
                &ask(&self.kept, *height, view, input),
                fresh,
                "{view} at height {height}, input {input:?}: an instance that remembers answers otherwise (left) than a fresh one"
            );
        }
        fresh
    }

    /// The state after a height: keys and values; nothing below the first block.
    ///
    /// # Panics
    /// If the store cannot be read, which one in memory can.
    pub fn state(&self, height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let all = self.store.snapshot().at(height).scan_prefix(b"");
        let pairs = all.map(|entry| {
            let (key, version) = entry.expect("a store in memory can be read");
            (key.to_vec(), version.value.to_vec())
        });
        pairs.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Has [`snapshot`](Self::snapshot) show keys of these tables by their names: those
    /// that `storage! { pub fn tables; … }` makes.
    #[must_use]
    pub fn tables(mut self, tables: Vec<Storage>) -> Self {
        self.tables = tables;
        self
    }

    /// The state after a height as text, for [`assert_snapshot`](crate::assert_snapshot).
    pub fn snapshot(&self, height: u32) -> String {
        snapshot::text(&self.state(height), &self.tables)
    }
}

impl Following for Engine {
    fn indexed(&mut self) -> &mut Indexed {
        &mut self.blocks
    }

    fn index_next(&mut self, block: &Block) -> Result<(), Failed> {
        self.try_index(block)
    }

    fn roll_back(&mut self, tip: Option<u32>) -> Result<(), Failed> {
        let left = self.store.rollback(tip);
        left.map(drop).map_err(failed)
    }
}

fn ask(
    runtime: &MetashrewRuntime,
    height: u32,
    view: &str,
    input: &[u8],
) -> Result<Vec<u8>, Failed> {
    let answer = runtime.view_sync(view, input, &BlockId::Height(height));
    answer.map(|answer| answer.bytes.to_vec()).map_err(failed)
}

fn pairs(writes: &WriteSet) -> Vec<(Vec<u8>, Vec<u8>)> {
    let sorted = writes.sorted();
    sorted
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

/// An error with its causes.
fn failed(error: impl Error) -> Failed {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    Failed { message }
}

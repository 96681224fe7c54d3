//! One tree of lsm-tree, used directly: sorted tables are ingested, and compacted by
//! whoever owns the tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use lsm_tree::compaction::Leveled;
use lsm_tree::config::{CompressionPolicy, HashRatioPolicy, PinningPolicy};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, CompressionType, Config, Guard as _, SequenceNumberCounter,
};

/// A sorted list without repeated keys.
pub type Sorted = Vec<(Bytes, Bytes)>;

#[derive(Clone)]
pub struct Lsm {
    pub path: PathBuf,
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    cache: Arc<Cache>,
    compressed: bool,
    runs_to_compact: u8,
}

impl Lsm {
    pub fn open(path: &Path, cache: &Arc<Cache>, compressed: bool) -> Result<Self> {
        let (seqno, visible) = (
            SequenceNumberCounter::default(),
            SequenceNumberCounter::default(),
        );
        let compression = if compressed {
            CompressionPolicy::all(CompressionType::Lz4)
        } else {
            CompressionPolicy::disabled()
        };
        let tree = Config::new(path, seqno.clone(), visible)
            .use_cache(Arc::clone(cache))
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_pinning_policy(PinningPolicy::all(true))
            .data_block_hash_ratio_policy(HashRatioPolicy::all(1.33))
            .data_block_compression_policy(compression)
            .open()?;
        if let Some(highest) = tree.get_highest_seqno() {
            seqno.fetch_max(highest + 1);
        }
        let path = path.to_owned();
        let cache = Arc::clone(cache);
        Ok(Self {
            path,
            tree,
            seqno,
            cache,
            compressed,
            runs_to_compact: 4,
        })
    }

    /// So many new runs are compacted at once (default: 4); the first level is larger by
    /// as much.
    pub fn compacting_runs(mut self, runs: u8) -> Self {
        self.runs_to_compact = runs;
        self
    }

    /// Opens the tree once more, in place of itself.
    pub fn reopen(&mut self) -> Result<()> {
        let again = Self::open(&self.path, &self.cache, self.compressed)?;
        *self = again.compacting_runs(self.runs_to_compact);
        Ok(())
    }

    pub fn ingest(&self, entries: impl Iterator<Item = Result<(Bytes, Bytes)>>) -> Result<()> {
        let mut ingestion = self.tree.ingestion()?;
        for entry in entries {
            let (key, value) = entry?;
            ingestion.write(key, value)?;
        }
        Ok(ingestion.finish()?)
    }

    /// Does the next step of compaction; false if there was none to do.
    pub fn compact(&self) -> Result<bool> {
        let shape = || {
            (0..7)
                .map(|level| self.tree.level_table_count(level))
                .collect::<Vec<_>>()
        };
        let strategy = Leveled::default().with_l0_threshold(self.runs_to_compact);
        let before = (shape(), self.tree.next_table_id());
        self.tree.compact(Arc::new(strategy), self.seqno.get())?;
        Ok(before != (shape(), self.tree.next_table_id()))
    }

    pub fn new_runs(&self) -> usize {
        self.tree.l0_run_count()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.tree.get(key, self.seqno.get())?;
        Ok(value.map(Bytes::from))
    }

    /// The first entry from one key to another, both included.
    pub fn seek(&self, from: &[u8], to: &[u8]) -> Result<Option<(Bytes, Bytes)>> {
        let mut found = self.tree.range(from..=to, self.seqno.get(), None);
        let entry = found.next().map(lsm_tree::Guard::into_inner).transpose()?;
        Ok(entry.map(|(key, value)| (key.into(), value.into())))
    }

    pub fn entries(&self) -> impl Iterator<Item = Result<(Bytes, Bytes)>> + use<> {
        let entries = self.tree.iter(self.seqno.get(), None);
        entries.map(|entry| {
            let (key, value) = entry.into_inner().context("a table cannot be read")?;
            Ok((key.into(), value.into()))
        })
    }
}

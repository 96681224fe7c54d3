//! The engine's key spaces, opened one by one before the engine is.
//!
//! fjall replays its journals into memory whenever it opens, and keeps nothing of
//! that work: a process that is killed before it is done begins anew, for ever. So
//! long journals are replayed here, into the same trees (lsm-tree's), which are
//! written out after every few megabytes: what was written out is skipped next time.
//!
//! It also shows what the tables alone hold, without the journals: whether a
//! journal between the two is missing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use fjall::config::PinningPolicy;
use fjall::{AbstractTree, AnyTree};
use lsm_tree::{Cache, Config, DescriptorTable, SeqNo, SequenceNumberCounter};

use super::damage::corrupt;
use super::disk::{STAMP_KEY, Stamp};
use super::engine::{cached_files, failed, keyspace_options, panic_message};
use super::journals::{Batches, JournalBatch, Journals, content};
use super::{Space, files};
use crate::error::OpenError;

/// The memory for blocks of tables while the trees are open.
const CACHE_BYTES: u64 = 16 << 20;
/// Trees are written out after so many bytes were replayed into them. It bounds what
/// a killed process has to do again; much less would leave many small tables.
pub(super) const REPLAY_STEP: u64 = 16 << 20;

/// The trees of our key spaces.
pub(super) struct Trees(Vec<Tree>);

struct Tree {
    space: Space,
    entries: AnyTree,
    /// The last batch whose entries are in tables.
    persisted: Option<SeqNo>,
}

impl Trees {
    /// Opens the trees of the engine at `engine`, whose files have been checked.
    pub(super) fn open(engine: &Path) -> Result<Self, OpenError> {
        catch_unwind(|| open_trees(engine)).unwrap_or_else(|panic| {
            Err(corrupt(format!(
                "the engine's recovery panicked: {}",
                panic_message(panic.as_ref())
            )))
        })
    }

    /// The number of the last batch, which all key spaces reach by their tables and the
    /// journals together.
    pub(super) fn last_stamp(&self, journals: &Journals) -> Result<Stamp, OpenError> {
        let mut reached: Option<(Stamp, Space)> = None;
        for tree in &self.0 {
            let (stamp, space) = (tree.reach(journals)?, tree.space);
            match reached {
                Some((other, ahead)) if other > stamp => {
                    return Err(apart(space, stamp, ahead, other));
                }
                Some((other, behind)) if other < stamp => {
                    return Err(apart(behind, other, space, stamp));
                }
                _ => reached = Some((stamp, space)),
            }
        }
        reached
            .map(|(stamp, _)| stamp)
            .ok_or_else(|| corrupt("there is no key space"))
    }

    /// Replays what the tables do not hold yet, in steps that are each kept.
    pub(super) fn replay(&mut self, journals: &Journals) -> Result<(), OpenError> {
        catch_unwind(AssertUnwindSafe(|| self.replay_all(journals))).unwrap_or_else(|panic| {
            Err(corrupt(format!(
                "replaying the engine's journals panicked: {}",
                panic_message(panic.as_ref())
            )))
        })
    }

    fn replay_all(&mut self, journals: &Journals) -> Result<(), OpenError> {
        let mut unwritten = 0;
        for journal in &journals.files {
            let bytes = content(&journal.path).map_err(super::disk::io("reading a journal"))?;
            for batch in Batches::new(&bytes) {
                unwritten += self.apply(&batch)?;
                if unwritten >= REPLAY_STEP {
                    self.write_out()?;
                    unwritten = 0;
                }
            }
        }
        self.write_out()
    }

    /// Adds a batch's entries to the trees that do not hold them; returns their size.
    fn apply(&self, batch: &JournalBatch<'_>) -> Result<u64, OpenError> {
        let mut added = 0;
        for entry in &batch.entries {
            let tree = usize::try_from(entry.keyspace)
                .ok()
                .and_then(|id| self.0.get(id.checked_sub(1)?))
                .ok_or_else(|| corrupt("a journal names a key space that there is not"))?;
            if tree.persisted.is_some_and(|last| batch.seqno <= last) {
                continue;
            }
            let (size, _) = match &entry.value {
                Some(value) => {
                    let value = value
                        .decode()
                        .ok_or_else(|| corrupt("a value in a journal cannot be decompressed"))?;
                    tree.entries.insert(entry.key, value, batch.seqno)
                }
                None => tree.entries.remove(entry.key, batch.seqno),
            };
            added += size;
        }
        Ok(added)
    }

    fn write_out(&mut self) -> Result<(), OpenError> {
        for tree in &mut self.0 {
            // No reader holds a snapshot, so only the newest version of a key is kept.
            tree.entries
                .flush_active_memtable(SeqNo::MAX)
                .map_err(|error| failed(error.into()))?;
            tree.persisted = tree.entries.get_highest_persisted_seqno();
        }
        Ok(())
    }
}

fn open_trees(engine: &Path) -> Result<Trees, OpenError> {
    let cache = Arc::new(Cache::with_capacity_bytes(CACHE_BYTES));
    let descriptors = Arc::new(DescriptorTable::new(cached_files()));
    let config = |id| {
        Config::new(
            files::keyspace(engine, id),
            SequenceNumberCounter::default(),
            SequenceNumberCounter::default(),
        )
        .use_cache(Arc::clone(&cache))
        .use_descriptor_table(Some(Arc::clone(&descriptors)))
        .index_block_pinning_policy(PinningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(false))
    };
    let open = |config: Config| config.open().map_err(|error| failed(error.into()));
    let names = open(config(0))?;
    let mut trees = Vec::with_capacity(Space::ALL.len());
    for (id, space) in files::keyspace_ids().skip(1).zip(Space::ALL) {
        let mut key = vec![b'n'];
        key.extend(id.to_be_bytes());
        let found = names
            .get(key, SeqNo::MAX)
            .map_err(|error| failed(error.into()))?;
        if found.as_deref() != Some(space.name().as_bytes()) {
            return Err(corrupt(format!(
                "the engine does not know its key space {}",
                space.name()
            )));
        }
        let options = keyspace_options(space);
        // What the engine's own tables of these key spaces are made with.
        let config = config(id)
            .data_block_size_policy(options.data_block_size_policy)
            .data_block_hash_ratio_policy(options.data_block_hash_ratio_policy)
            .data_block_restart_interval_policy(options.data_block_restart_interval_policy)
            .data_block_compression_policy(options.data_block_compression_policy)
            .index_block_compression_policy(options.index_block_compression_policy)
            .filter_policy(options.filter_policy);
        let tree = open(config)?;
        let persisted = tree.get_highest_persisted_seqno();
        trees.push(Tree {
            space,
            entries: tree,
            persisted,
        });
    }
    Ok(Trees(trees))
}

impl Tree {
    /// The number of the last batch that this key space has, by tables and journals.
    fn reach(&self, journals: &Journals) -> Result<Stamp, OpenError> {
        let persisted = self
            .entries
            .get(STAMP_KEY, SeqNo::MAX)
            .map_err(|error| failed(error.into()))?
            .map(|bytes| <[u8; 8]>::try_from(bytes.as_ref()).map(Stamp::from_be_bytes))
            .transpose()
            .map_err(|_| corrupt(format!("the stamp of {} is malformed", self.space.name())))?;
        match (persisted, journals.stamps) {
            (None, None) => Err(corrupt(format!(
                "the stamp of {} is missing",
                self.space.name()
            ))),
            (Some(persisted), None) => Ok(persisted),
            (persisted, Some((first, last))) => {
                let next = persisted.map_or(0, |persisted| persisted + 1);
                if next < first {
                    return Err(corrupt(format!(
                        "{} has been written out up to batch {next}, exclusive, but the journals begin at batch {first}: the journal between them is lost",
                        self.space.name()
                    )));
                }
                Ok(last.max(persisted.unwrap_or(0)))
            }
        }
    }
}

fn apart(behind: Space, least: Stamp, ahead: Space, most: Stamp) -> OpenError {
    corrupt(format!(
        "{} stands at batch {least}, but {} at batch {most}: the journal between them is lost",
        behind.name(),
        ahead.name()
    ))
}

//! The block that is run, and what it stands on in a database.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use metashrew_store::{Below, BlockRecord, BlockRef, Store};
use metashrew_sync::fetch_block;

use crate::cli::ReplayedBlock;
use crate::command::{blocks, database};

/// A block that a database holds, or the next one.
pub(in crate::command) struct Located {
    pub(in crate::command) store: Store,
    pub(in crate::command) block: BlockRef,
    pub(in crate::command) bytes: Bytes,
    /// What it stands on.
    pub(in crate::command) below: Below,
    /// The database's record of it, if it is held.
    pub(in crate::command) stored: Option<BlockRecord>,
}

impl ReplayedBlock {
    /// The guest's file.
    pub(in crate::command) fn indexer(&self) -> Result<&Path> {
        self.indexer.as_deref().context("no --indexer is given")
    }
}

impl Located {
    /// Opens the database that the flags name, for reading only, and fetches the block.
    pub(in crate::command) fn find(args: &ReplayedBlock) -> Result<Self> {
        let height = args.height.context("no --height is given")?;
        let db = args.db.as_deref().context("no --db is given")?;
        let store = database::open_to_read(db, args.cache.size)?;
        let snapshot = store.snapshot();
        let below = snapshot
            .below(height)
            .with_context(|| format!("there is no state for block {height} to stand on"))?;
        let stored = snapshot.block(height)?;
        let node = blocks::open(&args.blocks, db)?;
        let hash = match &stored {
            Some(stored) => stored.hash,
            None => node
                .hash_at(height)
                .with_context(|| format!("block {height} cannot be had"))?
                .with_context(|| {
                    format!("where the blocks are to come from has no block {height}")
                })?,
        };
        let (block, bytes) = fetch_block(node.as_ref(), height, &hash)
            .with_context(|| format!("block {height} ({hash}) cannot be had"))?;
        if let Some(base) = &below.base
            && base.hash != block.parent
        {
            bail!(
                "block {height} ({hash}) stands on {}, and what is below it in the database is {}",
                block.parent,
                base.hash
            );
        }
        Ok(Self {
            store,
            block,
            bytes,
            below,
            stored,
        })
    }
}

//! A second database that holds another one's blocks up to a height, and shares its tables.
//!
//! The files of the other one are taken as they are at one moment, whoever has it open, and
//! the blocks above the height are dropped from them. All of that happens beside the new
//! database's place, see `place.rs`.

mod copy;
mod error;
mod place;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

pub use self::error::ForkError;
use self::place::Place;
pub(crate) use self::place::{MARKER, is_unfinished};
use crate::backend::{Backend, Disk, Durability, Space, Transferred, View, capture};
use crate::block::{BlockRecord, Height};
use crate::chain;
use crate::claim::Claimed;
use crate::format_file;
use crate::identity::GuestId;
use crate::keys::StoredBlock;
use crate::open::StoreOptions;
use crate::store::Store;

/// Where the original's files are taken to, in the fork's directory.
const TAKEN: &str = "taken";

/// From so many dropped keys for each one that is kept, what is kept is written anew. Measured by
/// `benches/fork.rs`, that pays from 1.1 on in bytes that the fork has to itself, and from 1.3 on in
/// time; links are worth a margin, since what they share stays shared for a while.
const DROPPED_FOR_ONE_KEPT: u64 = 2;

/// What a fork is to be.
#[derive(Debug, Clone, Default)]
pub struct ForkOptions {
    /// The last block that it keeps. Default: the last one there is.
    pub at: Option<Height>,
    /// The guest that is to go on with it, and no other. Default: whoever might go on with the
    /// original after that block.
    pub guest: Option<GuestId>,
    /// How it gets rid of the blocks above. Default: the cheaper way, by how many keys they
    /// wrote, and those that are kept.
    pub way: Option<ForkWay>,
    /// How the new database is opened while that happens.
    pub store: StoreOptions,
}

/// How a fork gets rid of the blocks above its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkWay {
    /// By a rollback: it costs as much as those blocks wrote, and all tables stay linked.
    Drop,
    /// What is kept is written anew: it costs as much as that is, and no table is linked.
    Rewrite,
}

/// What a fork does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkStep {
    /// Takes the files.
    Take,
    /// Opens what was taken, and gets rid of the blocks above the last one to keep.
    Cut,
    /// Makes it durable, and notes what it is.
    Finish,
    /// Gives it its name.
    Name,
}

/// A fork that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    /// Its last block.
    pub tip: BlockRecord,
    /// The last block of the original when its files were taken.
    pub original_tip: Height,
    /// How the tables were taken.
    pub tables: Transferred,
    /// The bytes of the log, which were copied.
    pub log_bytes: u64,
    /// How many versions were written anew, if it was made by [`ForkWay::Rewrite`]: no file
    /// was taken over then.
    pub rewritten: Option<u64>,
}

impl Store {
    /// Makes the database `to`, which must not be there yet, of the blocks of the database
    /// `from` up to a height: their values, their history, their roots. `on_step` is told what
    /// comes next.
    ///
    /// Tables are linked where both are on one file system, so that the fork takes no more
    /// space than what it drops and what either writes from then on. Nothing at `from` is
    /// changed, and it may be open, also for writing: the fork then has the blocks that were
    /// committed at some moment in between. Across file systems, where tables are copied,
    /// nobody may write meanwhile.
    ///
    /// The fork appears whole or not at all. Until then it is in a directory beside `to`, with
    /// `.new` behind the name, which is no database to anybody. It is removed when this fails,
    /// and by the next fork to `to` if the process is killed.
    ///
    /// It costs what a [rollback](Store::rollback) of the blocks above costs, or what it takes to
    /// write the others anew, whichever is less: see [`ForkWay`]. Either way the blocks above are
    /// recorded as undone, after those that the original has recorded: whoever followed the
    /// original can go on with the fork.
    ///
    /// # Errors
    /// See [`ForkError`].
    ///
    /// # Examples
    /// ```
    /// use metashrew_store::{BlockHash, BlockRef, ForkOptions, Store, StoreOptions, WriteSet};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let directory = tempfile::tempdir()?;
    /// let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    /// let store = Store::open(&from, StoreOptions::default())?;
    /// let mut parent = BlockHash::from_bytes([0; 32]);
    /// for height in 0..5u8 {
    ///     let hash = BlockHash::from_bytes([height + 1; 32]);
    ///     store.commit(&BlockRef::new(height.into(), hash, parent), &WriteSet::default())?;
    ///     parent = hash;
    /// }
    /// let options = ForkOptions { at: Some(2), ..ForkOptions::default() };
    /// let forked = Store::fork(&from, &to, &options, |_| ())?;
    /// assert_eq!((forked.tip.height, forked.original_tip), (2, 4));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fork(
        from: &Path,
        to: &Path,
        options: &ForkOptions,
        mut on_step: impl FnMut(ForkStep),
    ) -> Result<Forked, ForkError> {
        // What is no database is told before anything is made.
        Self::identity_of(from)?;
        let place = Place::begin(from, to)?;
        on_step(ForkStep::Take);
        let taken = place.make(TAKEN)?;
        let captured = capture(from, &taken)?;
        on_step(ForkStep::Cut);
        let cut = cut(&taken, place.path(), options)?;
        place.remove(TAKEN)?;
        on_step(ForkStep::Finish);
        let identity = captured
            .identity
            .forked(cut.tip.height, options.guest.as_ref());
        format_file::write(place.path(), &identity)
            .map_err(ForkError::io("writing the FORMAT file", place.path()))?;
        on_step(ForkStep::Name);
        place.finish()?;
        let (tables, log_bytes) = match cut.rewritten {
            None => (captured.tables, captured.log_bytes),
            Some(_) => Default::default(),
        };
        Ok(Forked {
            tip: cut.tip,
            original_tip: cut.original_tip,
            tables,
            log_bytes,
            rewritten: cut.rewritten,
        })
    }
}

/// A chain that was cut to what is kept.
struct Cut {
    tip: BlockRecord,
    original_tip: Height,
    rewritten: Option<u64>,
}

/// Makes the engine in the directory `place` of what was taken into `taken`: without the blocks
/// above the last one to keep. When this returns, all of it is durable, and nobody has it open.
fn cut(taken: &Path, place: &Path, options: &ForkOptions) -> Result<Cut, ForkError> {
    let backend = Arc::new(Disk::open_unfinished(taken, &options.store)?);
    // What a power cut takes meanwhile is taken from a fork that is not there yet. Whose it is
    // to be is noted at the end.
    let engine = Arc::<Disk>::clone(&backend);
    let store = Store::check_and_open(engine, Durability::Buffered, 0, Claimed::default())?;
    let snapshot = store.snapshot();
    let (Some(tip), Some(first)) = (snapshot.tip().copied(), snapshot.first()) else {
        return Err(ForkError::Empty);
    };
    let original_tip = tip.height;
    let at = options.at.unwrap_or(original_tip);
    if at > original_tip {
        return Err(ForkError::AboveTip {
            at,
            tip: original_tip,
        });
    }
    if at < first {
        return Err(ForkError::BelowFirst { at, first });
    }
    store.set_undone_limits(options.store.undone);
    let view = Arc::clone(&store.published().view);
    let way = match options.way {
        Some(way) => way,
        None => cheaper(view.as_ref(), at)?,
    };
    drop(snapshot);
    let block = chain::held_block(view.as_ref(), at)?;
    let rewritten = match way {
        ForkWay::Drop => {
            drop(view);
            store.rollback(Some(at))?;
            finish(backend.as_ref())?;
            None
        }
        ForkWay::Rewrite => {
            let target = Disk::open_unfinished(place, &options.store)?;
            let versions = copy::copy(view.as_ref(), &block, &target)?;
            if at < original_tip {
                let heights = at + 1..=original_tip;
                copy::record_undone(view.as_ref(), heights, &target, options.store.undone)?;
            }
            finish(&target)?;
            Some(versions)
        }
    };
    // The engine is let go when the last that has it is.
    drop((store, backend));
    if way == ForkWay::Drop {
        Disk::rename(taken, place).map_err(ForkError::io("moving the fork's engine", place))?;
    }
    Ok(Cut {
        tip: block.record,
        original_tip,
        rewritten,
    })
}

/// Makes durable what an engine holds, and has it written out.
fn finish(backend: &dyn Backend) -> Result<(), ForkError> {
    backend.sync(backend.view().batch()).wait()?;
    backend.close()?;
    Ok(())
}

/// Which way is cheaper, by how many keys the blocks wrote that are kept and that are dropped.
fn cheaper(view: &dyn View, at: Height) -> Result<ForkWay, ForkError> {
    let (mut kept, mut dropped) = (0_u64, 0_u64);
    for entry in view.scan(Space::HeightToBlock, Bound::Unbounded, Bound::Unbounded) {
        let block = StoredBlock::decode(&entry?.1)?;
        let sum = if block.record.height <= at {
            &mut kept
        } else {
            &mut dropped
        };
        *sum += u64::from(block.keys);
    }
    Ok(if dropped / DROPPED_FOR_ONE_KEPT > kept {
        ForkWay::Rewrite
    } else {
        ForkWay::Drop
    })
}

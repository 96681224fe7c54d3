//! The store: one writer, any number of readers.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::backend::BackendError;
use crate::backend::{Backend, Batch, Durability, EngineHealth, Space, View, get_all};
use crate::base::Base;
use crate::block::Height;
use crate::chain;
use crate::claim::Claimed;
use crate::error::ReadError;
use crate::keys::StoredBlock;
use crate::open::{self, StoreOptions};
use crate::publication::{Listeners, WriteGuard};
use crate::read_cache::{CacheStats, ReadCache};
use crate::readers;
use crate::snapshot::{Published, Snapshot};
use crate::touched::read_keys;
use crate::undone::UndoneLimits;

/// When a store follows another one, the cache keeps what it knows over so many blocks: to
/// learn what more of them wrote would take longer than to begin anew.
const MAX_FOLLOWED_BLOCKS: usize = 16;

/// A database of values by height. Cloning one is cheap; clones share the database.
///
/// Readers take [`snapshot`](Self::snapshot)s and never wait for a writer. A
/// commit or rollback becomes visible when, and only when, it is durable.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) durability: Durability,
    /// How many threads a commit or rollback may read with.
    pub(crate) readers: usize,
    /// None if it is switched off.
    pub(crate) cache: Option<Arc<ReadCache>>,
    /// Whose it is.
    pub(crate) claimed: Claimed,
    /// How it was opened, if it is on disk.
    pub(crate) options: OnceLock<StoreOptions>,
    /// Those who are told when readers see something new.
    pub(crate) listeners: Arc<Listeners>,
    published: ArcSwap<Published>,
    writer: Mutex<Writer>,
}

/// What only whoever changes the store may see.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Whether a write failed, so that the engine may hold what is not published.
    in_doubt: bool,
    /// How many undone blocks a rollback leaves recorded.
    pub(crate) undone: UndoneLimits,
}

impl Store {
    /// A store over `backend`, whose chain has been checked, as it stands.
    pub(crate) fn over(
        backend: Arc<dyn Backend>,
        durability: Durability,
        read_cache_bytes: u64,
        claimed: Claimed,
    ) -> Result<Self, ReadError> {
        let view = backend.view();
        let cache = (read_cache_bytes > 0).then(|| Arc::new(ReadCache::new(read_cache_bytes)));
        let published = Published {
            tip: chain::tip(view.as_ref())?,
            base: chain::base(view.as_ref())?,
            view,
            generation: 0,
            number: 0,
            cache: cache.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                durability,
                readers: readers::count(),
                cache,
                claimed,
                options: OnceLock::new(),
                listeners: Arc::default(),
                published: ArcSwap::from_pointee(published),
                writer: Mutex::default(),
            }),
        })
    }

    /// Whether reads of the engine may take a while, and are to be awaited.
    pub fn reads_may_wait(&self) -> bool {
        self.inner.backend.reads_may_wait()
    }

    /// The state of the store as of the last commit or rollback.
    ///
    /// This is one reference count: it asks nothing of the engine.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.published())
    }

    /// How much the read cache holds, and how well it did. All zero without one.
    pub fn cache_stats(&self) -> CacheStats {
        self.inner
            .cache
            .as_ref()
            .map_or_else(CacheStats::default, |cache| cache.stats())
    }

    /// Writes out what the engine holds in memory only, so that the next opening has nothing
    /// to read again: for an end that has the time. Without it nothing is lost that a commit
    /// had promised. Waits for a commit or rollback that is under way.
    ///
    /// # Errors
    /// If the machine kept it from being written out.
    pub fn close(&self) -> Result<(), BackendError> {
        let _writer = self.inner.writer.lock();
        self.inner.backend.close()
    }

    /// How it was opened; none if it is not on disk.
    pub fn options(&self) -> Option<&StoreOptions> {
        self.inner.options.get()
    }

    /// Sets how many undone blocks are recorded. What is too much goes at the next rollback.
    /// Waits for a commit or rollback that is under way.
    ///
    /// A database on disk is opened with [`StoreOptions::undone`].
    pub fn set_undone_limits(&self, limits: UndoneLimits) {
        self.inner.writer.lock().undone = limits;
    }

    /// How the engine below is doing; none if it does not tell, as in memory.
    pub fn engine_health(&self) -> Option<EngineHealth> {
        self.inner.backend.health()
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.inner.published.load_full()
    }

    /// Waits until no one else changes the store.
    fn lock(&self) -> WriteGuard<'_> {
        WriteGuard::new(self.inner.writer.lock(), &self.inner.listeners)
    }

    /// Waits until no one else changes the store, and shows the chain as it then is.
    pub(crate) fn begin_write(&self) -> Result<(WriteGuard<'_>, Arc<Published>), ReadError> {
        let mut guard = self.lock();
        if guard.writer.in_doubt {
            self.recover(&mut guard)?;
            guard.writer.in_doubt = false;
        }
        Ok((guard, self.published()))
    }

    /// After a write that failed, nobody knows whether the engine has it, and the
    /// engine may take no more: it is opened again if so, and looked at.
    fn recover(&self, guard: &mut WriteGuard<'_>) -> Result<(), ReadError> {
        self.inner.backend.reopen_if_failed()?;
        let view = self.inner.backend.view();
        open::check(view.as_ref())?;
        let extends = self.extends_published(view.as_ref())?;
        self.publish_unknown(guard, view, extends)
    }

    /// Looks whether another store has changed the database since, and shows readers what
    /// it then holds; tells whether that is something else than before.
    ///
    /// For a store that only reads what a single other one writes, as an engine allows it.
    pub fn follow(&self) -> Result<bool, ReadError> {
        let mut guard = self.lock();
        self.inner.backend.refresh().wait()?;
        let view = self.inner.backend.view();
        let published = self.published();
        if view.batch() == published.view.batch() {
            return Ok(false);
        }
        let extends = self.extends_published(view.as_ref())?;
        let tip = chain::tip(view.as_ref())?;
        let blocks = match (published.tip, tip) {
            (Some(old), Some(new)) if extends => old.record.height + 1..=new.record.height,
            _ => {
                return self
                    .publish_unknown(&mut guard, view, extends)
                    .map(|()| true);
            }
        };
        if blocks.clone().count() > MAX_FOLLOWED_BLOCKS {
            return self
                .publish_unknown(&mut guard, view, extends)
                .map(|()| true);
        }
        let changes = changes_of(view.as_ref(), blocks)?;
        let base = chain::base(view.as_ref())?;
        self.publish(&mut guard, view, tip, base, &Change::Extended(changes));
        Ok(true)
    }

    /// Whether `view` holds every block that readers see.
    fn extends_published(&self, view: &dyn View) -> Result<bool, ReadError> {
        Ok(match self.published().tip {
            Some(tip) => chain::block(view, tip.record.height)? == Some(tip),
            None => true,
        })
    }

    fn publish_unknown(
        &self,
        guard: &mut WriteGuard<'_>,
        view: Arc<dyn View>,
        extends: bool,
    ) -> Result<(), ReadError> {
        let tip = chain::tip(view.as_ref())?;
        let base = chain::base(view.as_ref())?;
        self.publish(guard, view, tip, base, &Change::Unknown { extends });
        Ok(())
    }

    /// Writes `batch` and then, once it is as durable as it has to be, shows readers the
    /// chain that it leaves.
    pub(crate) fn write_and_publish(
        &self,
        guard: &mut WriteGuard<'_>,
        batch: Batch,
        tip: Option<StoredBlock>,
        base: Option<Base>,
    ) -> Result<(), BackendError> {
        guard.writer.in_doubt = true;
        // Without a cache nobody asks.
        let cache = self.inner.cache.as_ref();
        let changes = cache.map_or_else(Vec::new, |_| newest_changes(&batch));
        let written = self.inner.backend.write(batch)?;
        if self.inner.durability == Durability::Synced {
            self.inner.backend.sync(written).wait()?;
        }
        let view = self.inner.backend.view();
        let height = |tip: Option<StoredBlock>| tip.map(|tip| tip.record.height);
        let change = if height(tip) >= height(self.published().tip) {
            Change::Extended(changes)
        } else {
            Change::RolledBack(changes)
        };
        self.publish(guard, view, tip, base, &change);
        guard.writer.in_doubt = false;
        Ok(())
    }

    /// Shows readers `view`, which differs by `change` from what they saw.
    fn publish(
        &self,
        guard: &mut WriteGuard<'_>,
        view: Arc<dyn View>,
        tip: Option<StoredBlock>,
        base: Option<Base>,
        change: &Change,
    ) {
        let before = self.published();
        let number = before.number + 1;
        let generation = before.generation + u64::from(!change.extends());
        let cache = self.inner.cache.clone();
        match (&cache, change) {
            (Some(cache), Change::Extended(changes) | Change::RolledBack(changes)) => {
                cache.supersede(changes, number, generation);
            }
            (Some(cache), Change::Unknown { .. }) => cache.forget(number),
            (None, _) => {}
        }
        let published = Arc::new(Published {
            view,
            tip,
            base,
            generation,
            number,
            cache,
        });
        let superseded = self.inner.published.swap(published);
        guard.note_published();
        // The engine may have work to do when a view goes; readers need not wait.
        drop(superseded);
    }
}

/// How what readers are to see differs from what they saw.
enum Change {
    /// Blocks came on top.
    Extended(NewestChanges),
    /// Blocks went.
    RolledBack(NewestChanges),
    /// Nobody knows which keys changed.
    Unknown {
        /// Whether every block that they saw is still there.
        extends: bool,
    },
}

impl Change {
    fn extends(&self) -> bool {
        match self {
            Self::Extended(_) => true,
            Self::RolledBack(_) => false,
            Self::Unknown { extends } => *extends,
        }
    }
}

/// Keys whose newest version changes, each with the record that is then stored.
type NewestChanges = Vec<(Bytes, Option<Bytes>)>;

fn newest_changes(batch: &Batch) -> NewestChanges {
    batch
        .operations()
        .iter()
        .filter(|operation| operation.space == Space::KeyToNewest)
        .map(|operation| (operation.key.clone(), operation.value.clone()))
        .collect()
}

/// What these blocks, the last ones of `view`, have changed.
fn changes_of(view: &dyn View, blocks: RangeInclusive<Height>) -> Result<NewestChanges, ReadError> {
    let mut keys = Vec::new();
    for height in blocks {
        let touched = read_keys(view, height, |_, _| ())?;
        keys.extend(touched.into_iter().map(|touched| touched.key));
    }
    keys.sort_unstable();
    keys.dedup();
    let sought: Vec<_> = keys.iter().map(Bytes::as_ref).collect();
    let records = get_all(view, Space::KeyToNewest, &sought)?;
    Ok(keys.into_iter().zip(records).collect())
}

//! The store: one writer, any number of readers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use crate::backend::BackendError;
use crate::backend::{Backend, Batch, Durability, EngineHealth, Space, View};
use crate::base::Base;
use crate::chain;
use crate::claim::Claimed;
use crate::error::ReadError;
use crate::keys::StoredBlock;
use crate::open;
use crate::read_cache::{CacheStats, ReadCache};
use crate::readers;
use crate::snapshot::{Published, Snapshot};

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
    published: ArcSwap<Published>,
    writer: Mutex<Writer>,
}

/// What whoever changes the store holds.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Whether a write failed, so that the engine may hold what is not published.
    in_doubt: bool,
}

impl Store {
    /// A store over `backend`, whose chain has been checked, as it stands.
    pub(crate) fn over(
        backend: Arc<dyn Backend>,
        durability: Durability,
        read_cache_bytes: u64,
        claimed: Claimed,
    ) -> Result<Self, ReadError> {
        let view = backend.view()?;
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
                published: ArcSwap::from_pointee(published),
                writer: Mutex::default(),
            }),
        })
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

    /// How the engine below is doing; none if it does not tell, as in memory.
    pub fn engine_health(&self) -> Option<EngineHealth> {
        self.inner.backend.health()
    }

    /// Lets the read cache hold `bytes` at most from now on, if it may hold more: for
    /// whoever has a budget that covers it.
    pub fn limit_read_cache(&self, bytes: u64) {
        if let Some(cache) = &self.inner.cache {
            cache.limit(bytes);
        }
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.inner.published.load_full()
    }

    /// Waits until no one else changes the store, and shows the chain as it then is.
    ///
    /// After a write that failed, nobody knows whether the engine has it, and the
    /// engine may take no more: the next writer has it opened again if so, and looks
    /// before it builds on what it sees.
    pub(crate) fn begin_write(
        &self,
    ) -> Result<(MutexGuard<'_, Writer>, Arc<Published>), ReadError> {
        let mut writer = self.inner.writer.lock();
        if writer.in_doubt {
            self.inner.backend.reopen_if_failed()?;
            let view = self.inner.backend.view()?;
            open::check(view.as_ref())?;
            let tip = chain::tip(view.as_ref())?;
            let base = chain::base(view.as_ref())?;
            let extends = match self.published().tip {
                Some(tip) => chain::block(view.as_ref(), tip.record.height)? == Some(tip),
                None => true,
            };
            self.publish(view, tip, base, extends, None);
            writer.in_doubt = false;
        }
        Ok((writer, self.published()))
    }

    /// Writes `batch` and then shows readers the chain that it leaves.
    pub(crate) fn write_and_publish(
        &self,
        writer: &mut Writer,
        batch: Batch,
        tip: Option<StoredBlock>,
        base: Option<Base>,
    ) -> Result<(), BackendError> {
        writer.in_doubt = true;
        let changes = newest_changes(&batch);
        self.inner.backend.write(batch, self.inner.durability)?;
        let view = self.inner.backend.view()?;
        let height = |tip: Option<StoredBlock>| tip.map(|tip| tip.record.height);
        let extends = height(tip) >= height(self.published().tip);
        self.publish(view, tip, base, extends, Some(&changes));
        writer.in_doubt = false;
        Ok(())
    }

    /// Shows readers `view`; `extends` says that it holds every block they saw, and
    /// `changes` are the newest versions that they did not, if that is known.
    fn publish(
        &self,
        view: Arc<dyn View>,
        tip: Option<StoredBlock>,
        base: Option<Base>,
        extends: bool,
        changes: Option<&NewestChanges>,
    ) {
        let before = self.published();
        let number = before.number + 1;
        let generation = before.generation + u64::from(!extends);
        let cache = self.inner.cache.clone();
        match (&cache, changes) {
            (Some(cache), Some(changes)) => cache.supersede(changes, number, generation),
            (Some(cache), None) => cache.forget(number),
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
        // The engine may have work to do when a view goes; readers need not wait.
        drop(superseded);
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

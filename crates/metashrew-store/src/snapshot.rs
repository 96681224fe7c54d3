//! The chain as it stood after one commit.

use std::sync::Arc;

use crate::backend::View;
use crate::base::Base;
use crate::block::{BlockHash, BlockRecord, Height};
use crate::block_id::BlockId;
use crate::chain;
use crate::error::{ReadError, ResolveError};
use crate::hashed_key::HashedKey;
use crate::history;
use crate::keys::StoredBlock;
use crate::looked_up::LookedUp;
use crate::read_cache::{Position, ReadCache};
use crate::state::State;
use crate::write_set::Version;

/// What readers see: one view of the backend, and the ends of its chain.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) view: Arc<dyn View>,
    pub(crate) tip: Option<StoredBlock>,
    /// None as long as there is no tip.
    pub(crate) base: Option<Base>,
    /// How many rollbacks there were since the store was opened.
    pub(crate) generation: u64,
    /// How many publications there were before since the store was opened.
    pub(crate) number: u64,
    pub(crate) cache: Option<Arc<ReadCache>>,
}

/// A consistent view of the store, unchanged for as long as it is held.
///
/// Cloning one is cheap. The engine keeps what a snapshot may still read, so one
/// held for ever keeps old data from being compacted away.
#[derive(Debug, Clone)]
pub struct Snapshot {
    published: Arc<Published>,
}

impl Snapshot {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Self { published }
    }

    pub(crate) fn view(&self) -> &dyn View {
        self.published.view.as_ref()
    }

    /// The newest version of `key` at or below `height`, which is not above the tip.
    pub(crate) async fn version_at(
        &self,
        key: HashedKey<'_>,
        height: Height,
    ) -> Result<Option<Version>, ReadError> {
        match self.cache() {
            Some(cache) => cache.read(self.view(), self.position(height), key).await,
            None => history::at_or_below(self.view(), key.key(), height).await,
        }
    }

    /// What is known of that version without the engine.
    pub(crate) fn look_up(&self, key: HashedKey<'_>, height: Height) -> LookedUp {
        match self.cache() {
            Some(cache) => cache.look_up(self.position(height), key),
            None => LookedUp::Newest,
        }
    }

    /// The same, after the newest version of `key` was read from this snapshot's view.
    pub(crate) fn found_newest(
        &self,
        key: HashedKey<'_>,
        height: Height,
        newest: Option<Version>,
    ) -> LookedUp {
        match self.cache() {
            Some(cache) => cache.found_newest(self.position(height), key, newest),
            None => LookedUp::newest(newest, height),
        }
    }

    /// That version, read from the engine, where the newest one is above `height`.
    pub(crate) async fn older(
        &self,
        key: HashedKey<'_>,
        height: Height,
    ) -> Result<Option<Version>, ReadError> {
        match self.cache() {
            Some(cache) => cache.older(self.view(), self.position(height), key).await,
            None => history::older(self.view(), key.key(), height).await,
        }
    }

    fn cache(&self) -> Option<&ReadCache> {
        self.published.cache.as_deref()
    }

    /// Where a reader at `height` stands.
    fn position(&self, height: Height) -> Position {
        let published = self.published.as_ref();
        Position {
            publication: published.number,
            generation: published.generation,
            tip: published.tip.map_or(height, |tip| tip.record.height),
            height,
        }
    }

    /// The last committed block.
    pub fn tip(&self) -> Option<&BlockRecord> {
        self.published.tip.as_ref().map(|tip| &tip.record)
    }

    /// The lowest height held.
    pub fn first(&self) -> Option<Height> {
        self.base().and_then(Base::first)
    }

    /// What is below the lowest block held; none as long as no block is.
    pub fn base(&self) -> Option<&Base> {
        self.published.base.as_ref()
    }

    /// Which generation of the chain this is: every rollback starts a new one.
    /// Counted from the opening of the store; what was derived from a snapshot of an
    /// older generation may belong to blocks that are gone.
    pub fn generation(&self) -> u64 {
        self.published.generation
    }

    /// The block at `height`, if it is held.
    pub fn block(&self, height: Height) -> Result<Option<BlockRecord>, ReadError> {
        match self.tip() {
            Some(tip) if tip.height == height => Ok(Some(*tip)),
            _ => Ok(chain::block(self.view(), height)?.map(|stored| stored.record)),
        }
    }

    /// The height of the block with this hash, if it is in the chain.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, ReadError> {
        chain::height_of(self.view(), hash)
    }

    /// The block that `id` names.
    ///
    /// To be awaited, or [waited for](crate::wait): an engine may take a while to look.
    pub async fn resolve(&self, id: &BlockId) -> Result<BlockRecord, ResolveError> {
        let (Some(tip), Some(first)) = (self.tip(), self.first()) else {
            return Err(ResolveError::Empty);
        };
        match *id {
            BlockId::Latest => Ok(*tip),
            BlockId::Height(height) => self.resolve_height(height, first, tip).await,
            BlockId::Hash(hash) => {
                let height = chain::height_of_hash(self.view(), &hash)
                    .await?
                    .ok_or(ResolveError::UnknownHash { hash })?;
                self.resolve_height(height, first, tip).await
            }
            BlockId::Anchored { height, hash } if height > tip.height => {
                Err(ResolveError::NotInChain {
                    height,
                    hash,
                    actual: None,
                })
            }
            BlockId::Anchored { height, hash } => {
                let record = self.resolve_height(height, first, tip).await?;
                if record.hash == hash {
                    Ok(record)
                } else {
                    Err(ResolveError::NotInChain {
                        height,
                        hash,
                        actual: Some(record.hash),
                    })
                }
            }
        }
    }

    async fn resolve_height(
        &self,
        height: Height,
        first: Height,
        tip: &BlockRecord,
    ) -> Result<BlockRecord, ResolveError> {
        if height > tip.height {
            return Err(ResolveError::NotIndexed {
                height,
                tip: tip.height,
            });
        }
        if height < first {
            return Err(ResolveError::BelowFirst { height, first });
        }
        if height == tip.height {
            return Ok(*tip);
        }
        Ok(chain::held_block_at(self.view(), height).await?.record)
    }

    /// The state after the last committed block.
    pub fn latest(&self) -> State {
        State::new(self.clone(), self.tip().map(|tip| tip.height))
    }

    /// The state after the block at `height`.
    ///
    /// Above the tip that is the state after the tip; below the lowest block held
    /// it is the empty state.
    pub fn at(&self, height: Height) -> State {
        self.clone().into_at(height)
    }

    /// As [`Snapshot::at`], of a snapshot that is not needed any more.
    pub fn into_at(self, height: Height) -> State {
        let tip = self.tip().map(|tip| tip.height);
        let held = self.first().is_some_and(|first| first <= height);
        let base = tip.filter(|_| held).map(|tip| tip.min(height));
        State::new(self, base)
    }
}

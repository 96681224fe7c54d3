//! One block looked at again: what it stands on, and what it wrote.

use crate::backend::wait;
use crate::base::Base;
use crate::block::Height;
use crate::block_id::BlockId;
use crate::chain;
use crate::error::ResolveError;
use crate::history;
use crate::keys::corrupt;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::touched::each_key;
use crate::verify::missing;
use crate::write_set::WriteSet;

/// What a block stands on.
#[derive(Debug, Clone)]
pub struct Below {
    /// The state below it.
    pub state: State,
    /// The block below it; none as long as no block is held: then any block is the first.
    pub base: Option<Base>,
}

impl Snapshot {
    /// What the block at `height` stands on: one that is held, or the next one.
    ///
    /// ```
    /// use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
    ///
    /// let store = Store::in_memory();
    /// let hash = |number| BlockHash::from_bytes([number; 32]);
    /// let mut writes = WriteSet::default();
    /// writes.insert("key", "value")?;
    /// store.commit(&BlockRef::new(7, hash(7), hash(6)), &writes)?;
    ///
    /// let snapshot = store.snapshot();
    /// assert_eq!(snapshot.below(7)?.state.get("key")?, None);
    /// let next = snapshot.below(8)?;
    /// assert_eq!(next.state.get("key")?.unwrap().value, "value");
    /// assert_eq!(next.base.unwrap().hash, hash(7));
    /// assert!(snapshot.below(9).is_err() && snapshot.below(6).is_err());
    /// assert_eq!(snapshot.writes_of(7)?.get("key"), Some(&b"value"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the block is neither held nor the next one, or the database cannot be read.
    pub fn below(&self, height: Height) -> Result<Below, ResolveError> {
        let (Some(tip), Some(base)) = (self.tip(), self.base()) else {
            let state = State::new(self.clone(), None);
            return Ok(Below { state, base: None });
        };
        let (tip, first) = (tip.height, base.first().unwrap_or_default());
        if height < first {
            return Err(ResolveError::BelowFirst { height, first });
        }
        if height.checked_sub(1) > Some(tip) {
            return Err(ResolveError::NotIndexed { height, tip });
        }
        let under = height.checked_sub(1).filter(|_| height > first);
        let state = State::new(self.clone(), under);
        let base = Some(chain::below(self.view(), base, height)?);
        Ok(Below { state, base })
    }

    /// What the block at `height`, which is held, wrote. All of it is read into memory: 1 GiB
    /// at most.
    ///
    /// # Errors
    /// If the block is not held, or the database cannot be read.
    pub fn writes_of(&self, height: Height) -> Result<WriteSet, ResolveError> {
        wait(self.resolve(&BlockId::Height(height)))?;
        let view = self.view();
        let mut writes = WriteSet::default();
        each_key(view, height, |key, _| {
            let version = wait(history::at_or_below(view, key, height))?;
            let value = version.filter(|version| version.height == height);
            let value = value.ok_or_else(|| missing(height, key))?.value;
            writes
                .insert(key, value)
                .map_err(|error| corrupt(format!("of block {height}: {error}")))?;
            Ok(true)
        })?;
        Ok(writes)
    }
}

//! The older versions of one key after the other, for a walk over keys: beside it goes a walk
//! over the superseded versions, so that few keys cost a seek of their own.

use std::ops::Bound;

use bytes::Bytes;

use crate::backend::{Direction, Entry, Scan, Space, View};
use crate::block::Height;
use crate::error::ReadError;
use crate::history::{self, superseded};
use crate::keys::{history_key, history_prefix};
use crate::write_set::Version;

/// Versions that are walked over before a seek is the shorter way: a seek in the engine on disk
/// costs some ten steps. A key that has no older version costs no step.
const STEPS: usize = 4;

pub(crate) struct OlderWalk {
    direction: Direction,
    /// The history keys that the range of keys has.
    bounds: (Bound<Bytes>, Bound<Bytes>),
    /// None before the first key is asked for.
    scan: Option<Scan>,
    /// The version that it has come to.
    head: Option<Entry>,
}

impl OlderWalk {
    /// For keys from `start` to `end`, which are asked for in the order of `direction`.
    pub(crate) fn new((start, end): (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Self {
        let first = |key: &[u8]| history_prefix(key).freeze();
        let start = match start {
            Bound::Included(key) | Bound::Excluded(key) => Bound::Included(first(key)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let end = match end {
            Bound::Included(key) => Bound::Included(history_key(&first(key), 0)),
            Bound::Excluded(key) => Bound::Excluded(first(key)),
            Bound::Unbounded => Bound::Unbounded,
        };
        Self {
            direction,
            bounds: (start, end),
            scan: None,
            head: None,
        }
    }

    /// The newest superseded version of `key` that was written at or below `height`. Each key
    /// comes after the one before.
    pub(crate) async fn version(
        &mut self,
        view: &dyn View,
        key: &[u8],
        height: Height,
    ) -> Result<Option<Version>, ReadError> {
        let prefix = history_prefix(key).freeze();
        let sought = history_key(&prefix, height);
        if self.direction == Direction::Forward {
            return self.forward(view, &prefix, &sought).await;
        }
        if let Some(found) = self.back(view, &prefix, &sought).await? {
            return Ok(found);
        }
        // It goes on below the many versions of this key.
        self.go_back(view, Bound::Excluded(&prefix)).await?;
        history::older(view, key, height).await
    }

    /// Newer versions come first: the one that is sought is the first from there on.
    async fn forward(
        &mut self,
        view: &dyn View,
        prefix: &[u8],
        sought: &[u8],
    ) -> Result<Option<Version>, ReadError> {
        let is_before = |head: &Entry| head.0 < sought;
        let mut steps = 0;
        while steps < STEPS && self.scan.is_some() && self.head.as_ref().is_some_and(is_before) {
            self.advance().await?;
            steps += 1;
        }
        if self.scan.is_none() || self.head.as_ref().is_some_and(is_before) {
            let end = self.bounds.1.as_ref().map(Bytes::as_ref);
            let from = Bound::Included(sought);
            self.scan = Some(view.scan(Space::KeyHeightToOlder, from, end));
            self.advance().await?;
        }
        let head = self.head.as_ref().filter(|head| head.0.starts_with(prefix));
        head.cloned().map(superseded).transpose()
    }

    /// The one that is sought is the last one down to there; none if that is too far.
    async fn back(
        &mut self,
        view: &dyn View,
        prefix: &[u8],
        sought: &[u8],
    ) -> Result<Option<Option<Version>>, ReadError> {
        let oldest = history_key(prefix, 0);
        if self.scan.is_none() {
            self.go_back(view, Bound::Included(&oldest)).await?;
        }
        let mut found = None;
        for _ in 0..=STEPS {
            match self.head.take_if(|head| head.0 >= sought) {
                // What is above are versions of a key that came before.
                Some(head) if head.0 <= oldest => found = Some(head),
                Some(_) => {}
                None => return Ok(Some(found.map(superseded).transpose()?)),
            }
            self.advance().await?;
        }
        Ok(None)
    }

    async fn go_back(&mut self, view: &dyn View, end: Bound<&[u8]>) -> Result<(), ReadError> {
        let start = self.bounds.0.as_ref().map(Bytes::as_ref);
        self.scan = Some(view.scan_back(Space::KeyHeightToOlder, start, end));
        self.advance().await
    }

    async fn advance(&mut self) -> Result<(), ReadError> {
        self.head = match &mut self.scan {
            Some(scan) => scan.next_entry().await?,
            None => None,
        };
        Ok(())
    }
}

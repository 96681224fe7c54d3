//! Ranges of a table's records.

use super::codec::Native;
use super::key::{AsKey, CompoundKey, Key, TextKey, encoded};
use super::place::{Place, Types};
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

/// Records of a table whose keys lie in a range, in the order of the keys.
///
/// Narrowing it costs nothing; what reads is [`iter`](Self::iter), [`page`](Self::page) and the
/// like. Each narrowing is of what is left:
///
/// ```
/// use metashrew_core::storage::Map;
///
/// const TRADES: Map<(String, u32, u32), u64> = Map::new("trades");
/// for (market, height, index) in [("a", 1, 0), ("a", 2, 0), ("a", 2, 1), ("b", 2, 0)] {
///     TRADES.set((market, height, index), &7)?;
/// }
/// let keys: Result<Vec<_>, _> = TRADES.prefix("a").keys().collect();
/// assert_eq!(keys?, [(1, 0), (2, 0), (2, 1)]);
/// let keys: Result<Vec<_>, _> = TRADES.prefix("a").prefix(2).range(1..).keys().collect();
/// assert_eq!(keys?, [1]);
/// let keys: Result<Vec<_>, _> = TRADES.prefix("a").prefix_range(2..).reverse().keys().collect();
/// assert_eq!(keys?, [(2, 1), (2, 0)]);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is read before it is iterated"]
pub struct Rows<K, V, E = Native> {
    /// Where the keys that are left begin.
    pub(super) place: Place,
    /// The least stored key, included.
    pub(super) start: Vec<u8>,
    /// Where they end, excluded.
    pub(super) end: Vec<u8>,
    pub(super) reverse: bool,
    types: Types<(K, V, E)>,
}

impl<K, V, E> Rows<K, V, E> {
    /// All below a place.
    pub(super) fn new(place: Place) -> Self {
        let start = place.prefix();
        Self {
            end: behind(start.clone()),
            start,
            place,
            reverse: false,
            types: PhantomData,
        }
    }

    /// The last one first.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// const HEIGHTS: Set<u32> = Set::new("heights");
    /// HEIGHTS.insert(1)?;
    /// HEIGHTS.insert(2)?;
    /// assert_eq!(HEIGHTS.rows().reverse().keys().next(), Some(Ok(2)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn reverse(self) -> Self {
        Self {
            reverse: !self.reverse,
            ..self
        }
    }

    /// Only what is within both.
    fn narrowed(mut self, start: Vec<u8>, end: Vec<u8>) -> Self {
        self.start = self.start.max(start);
        self.end = self.end.min(end);
        self
    }
}

impl<K: Key, V, E> Rows<K, V, E> {
    /// Those whose key is in a range.
    ///
    /// ```
    /// use metashrew_core::storage::Set;
    /// use std::ops::Bound::{Excluded, Unbounded};
    ///
    /// const HEIGHTS: Set<i32> = Set::new("heights");
    /// for height in [-1, 0, 1, 2] {
    ///     HEIGHTS.insert(height)?;
    /// }
    /// let some = HEIGHTS.range(..=1).range((Excluded(-1), Unbounded));
    /// let keys: Result<Vec<_>, _> = some.keys().collect();
    /// assert_eq!(keys?, [0, 1]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn range(self, keys: impl RangeBounds<K>) -> Self {
        // No key is another's beginning: what stands directly behind one is it and a zero byte.
        let behind = |mut key: Vec<u8>| {
            key.push(0);
            key
        };
        self.bounded(&keys, behind)
    }

    /// Those whose key begins with a part in a range.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// const TRANSFERS: Set<(u32, String)> = Set::new("transfers");
    /// for transfer in [(1, "ann"), (2, "ben"), (3, "eve")] {
    ///     TRANSFERS.insert(transfer)?;
    /// }
    /// assert_eq!(TRANSFERS.rows().prefix_range(2..=3).keys().count(), 2);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn prefix_range(self, firsts: impl RangeBounds<K::First>) -> Self
    where
        K: CompoundKey,
    {
        self.bounded(&firsts, behind)
    }

    /// Those whose key has a first part, by the other parts.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// const TRANSFERS: Set<(u32, String)> = Set::new("transfers");
    /// TRANSFERS.insert((1, "ann"))?;
    /// TRANSFERS.insert((2, "ben"))?;
    /// let names: Vec<_> = TRANSFERS.rows().prefix(2).keys().collect::<Result<_, _>>()?;
    /// assert_eq!(names, ["ben"]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn prefix(self, first: impl AsKey<K::First>) -> Rows<K::Rest, V, E>
    where
        K: CompoundKey,
    {
        let place = self.place.below(|prefix| first.encode(prefix));
        let rows = Rows {
            reverse: self.reverse,
            ..Rows::new(place)
        };
        rows.narrowed(self.start, self.end)
    }

    /// Those whose key, or its first part, begins with a text or with bytes.
    ///
    /// ```
    /// use metashrew_core::storage::Set;
    ///
    /// const NAMES: Set<(u8, String)> = Set::new("names");
    /// for name in ["ann", "anton", "ben"] {
    ///     NAMES.insert((1, name))?;
    /// }
    /// let found: Result<Vec<_>, _> = NAMES.prefix(1).starting_with("an").keys().collect();
    /// assert_eq!(found?, ["ann", "anton"]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn starting_with(self, beginning: &K::Start) -> Self
    where
        K: TextKey,
    {
        let start = self.place.key(|key| K::encode_start(beginning, key));
        let end = behind(start.clone());
        self.narrowed(start, end)
    }

    /// Narrowed to bounds, where `behind` is the least that is more than all of one key.
    fn bounded<Q: Key>(
        self,
        bounds: &impl RangeBounds<Q>,
        behind: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> Self {
        let key = |part: &Q| self.place.key(|key| key.extend(encoded::<Q>(part)));
        let start = match bounds.start_bound() {
            Bound::Included(part) => key(part),
            Bound::Excluded(part) => behind(key(part)),
            Bound::Unbounded => self.start.clone(),
        };
        let end = match bounds.end_bound() {
            Bound::Included(part) => behind(key(part)),
            Bound::Excluded(part) => key(part),
            Bound::Unbounded => self.end.clone(),
        };
        self.narrowed(start, end)
    }
}

/// The least key that is more than all that begin with `prefix`. There is one: a table's name has
/// fewer than 255 bytes.
fn behind(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            break;
        }
    }
    prefix
}

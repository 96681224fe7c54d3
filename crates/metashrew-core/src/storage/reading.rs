//! What reads a range of a table's records: one by one, or page by page.

use super::Rows;
use super::codec::Encoding;
use super::error::StorageError;
use super::key::Key;
use super::place::{Place, Types};
use crate::range::{Cursor, Entries, Entry, Range, RangeError};
use std::marker::PhantomData;

/// Some records of a range, in its order.
///
/// See [`Rows::page`].
///
/// ```
/// # use metashrew_core::storage::Map;
/// # const FEES: Map<u32, u64> = Map::new("fees");
/// # FEES.set(1, &10)?;
/// # FEES.set(2, &20)?;
/// let page = FEES.rows().page(5, None)?;
/// assert_eq!(page.rows.len(), 2);
/// assert_eq!(page.next, None);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage<R> {
    /// The records.
    pub rows: Vec<R>,
    /// Where the next page begins; `None` if nothing follows.
    pub next: Option<Cursor>,
}

impl<K: Key, V, E> Rows<K, V, E> {
    /// The stored keys that it is over.
    fn source(&self) -> Range {
        // An end before the start has nothing between, as one at the start.
        let end = self.end.clone().max(self.start.clone());
        let range = Range::between(self.start.clone(), end);
        if self.reverse { range.reverse() } else { range }
    }

    /// The keys, without their values.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const FEES: Map<u32, u64> = Map::new("fees");
    /// # FEES.set(1, &10)?;
    /// # FEES.set(2, &20)?;
    /// let heights: Vec<_> = FEES.rows().keys().collect::<Result<_, _>>()?;
    /// assert_eq!(heights, [1, 2]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn keys(&self) -> Keys<K> {
        Keys {
            place: self.place.clone(),
            entries: self.source().keys_only().iter(),
            types: PhantomData,
        }
    }

    /// A page of keys, without their values, as [`page`](Self::page) gives records.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const FEES: Map<u32, u64> = Map::new("fees");
    /// # FEES.set(1, &10)?;
    /// # FEES.set(2, &20)?;
    /// let page = FEES.rows().key_page(1, None)?;
    /// assert_eq!(page.rows, [1]);
    /// let page = FEES.rows().key_page(1, page.next.as_ref())?;
    /// assert_eq!(page.rows, [2]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub fn key_page(
        &self,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<RowPage<K>, StorageError> {
        let range = self.source().keys_only();
        page(&self.place, range, limit, after, |entry| {
            decode_key(&self.place, &entry.key)
        })
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const FEES: Map<u32, u64> = Map::new("fees");
    /// # FEES.set(1, &10)?;
    /// # FEES.set(2, &20)?;
    /// assert!(!FEES.rows().is_empty()?);
    /// assert!(FEES.range(3..).is_empty()?);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the first stored key is none of the table's.
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.keys().next().transpose()?.is_none())
    }
}

impl<K: Key, V, E: Encoding<V>> Rows<K, V, E> {
    /// The records one by one, as they are when it comes to them: what the guest changes in front of
    /// it is seen. After an error that is the host's or the range's, it ends.
    ///
    /// ```
    /// use metashrew_core::storage::Map;
    ///
    /// const FEES: Map<u32, u64> = Map::new("fees");
    /// FEES.set(1, &10)?;
    /// FEES.set(2, &20)?;
    /// let mut sum = 0;
    /// for row in FEES.rows().iter() {
    ///     let (_height, fee) = row?;
    ///     sum += fee;
    /// }
    /// assert_eq!(sum, 30);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn iter(&self) -> Iter<K, V, E> {
        Iter {
            place: self.place.clone(),
            entries: self.source().iter(),
            types: PhantomData,
        }
    }

    /// A page of at most `limit` records, behind a cursor or from the beginning.
    ///
    /// ```
    /// use metashrew_core::range::Cursor;
    /// use metashrew_core::storage::Map;
    ///
    /// const FEES: Map<u32, u64> = Map::new("fees");
    /// for height in 1..=3 {
    ///     FEES.set(height, &7)?;
    /// }
    /// let page = FEES.rows().page(2, None)?;
    /// assert_eq!(page.rows, [(1, 7), (2, 7)]);
    ///
    /// // As bytes it goes to a client and comes back.
    /// let cursor = page.next.expect("there is a third").to_bytes();
    /// let page = FEES.rows().page(2, Some(&Cursor::from_bytes(cursor)))?;
    /// assert_eq!(page.rows, [(3, 7)]);
    /// assert_eq!(page.next, None);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the cursor is none of this range, the limit is 0 or too large, or stored bytes are no such
    /// key or value.
    pub fn page(
        &self,
        limit: usize,
        after: Option<&Cursor>,
    ) -> Result<RowPage<(K, V)>, StorageError> {
        page(&self.place, self.source(), limit, after, |entry| {
            decode_row::<K, V, E>(&self.place, &entry)
        })
    }

    /// The first record; the last one if it is [reversed](Self::reverse).
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const FEES: Map<u32, u64> = Map::new("fees");
    /// # FEES.set(1, &10)?;
    /// # FEES.set(2, &20)?;
    /// assert_eq!(FEES.rows().first()?, Some((1, 10)));
    /// assert_eq!(FEES.rows().reverse().first()?, Some((2, 20)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If its stored bytes are no such key or value.
    pub fn first(&self) -> Result<Option<(K, V)>, StorageError> {
        self.iter().next().transpose()
    }
}

fn page<R>(
    place: &Place,
    range: Range,
    limit: usize,
    after: Option<&Cursor>,
    decode: impl Fn(Entry) -> Result<R, StorageError>,
) -> Result<RowPage<R>, StorageError> {
    let mut range = range.limit(limit);
    if let Some(cursor) = after {
        range = range.after(cursor);
    }
    let page = range.page().map_err(|error| failed(place, error))?;
    let rows: Result<_, _> = page.entries.into_iter().map(decode).collect();
    Ok(RowPage {
        rows: rows?,
        next: page.next,
    })
}

fn failed(place: &Place, error: RangeError) -> StorageError {
    StorageError::Range {
        table: place.name(),
        error,
    }
}

fn decode_key<K: Key>(place: &Place, key: &[u8]) -> Result<K, StorageError> {
    let decoded = place.strip(key).and_then(|mut rest| {
        let key = K::decode(&mut rest)?;
        rest.is_empty().then_some(key)
    });
    decoded.ok_or_else(|| place.bad_key::<K>(key.to_vec()))
}

fn decode_row<K: Key, V, E: Encoding<V>>(
    place: &Place,
    entry: &Entry,
) -> Result<(K, V), StorageError> {
    let key = decode_key(place, &entry.key)?;
    let value = place.decode::<V, E>(&entry.key, &entry.value)?;
    Ok((key, value))
}

/// The keys of a range: made by [`Rows::keys`].
///
/// ```
/// # use metashrew_core::storage::Map;
/// # const FEES: Map<u32, u64> = Map::new("fees");
/// # FEES.set(1, &10)?;
/// # FEES.set(2, &20)?;
/// let mut heights = FEES.rows().reverse().keys();
/// assert_eq!(heights.next(), Some(Ok(2)));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug)]
pub struct Keys<K> {
    place: Place,
    entries: Entries,
    types: Types<K>,
}

impl<K: Key> Iterator for Keys<K> {
    type Item = Result<K, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(match entry {
            Ok(entry) => decode_key(&self.place, &entry.key),
            Err(error) => Err(failed(&self.place, error)),
        })
    }
}

/// The records of a range: made by [`Rows::iter`].
///
/// ```
/// # use metashrew_core::storage::Map;
/// # const FEES: Map<u32, u64> = Map::new("fees");
/// # FEES.set(1, &10)?;
/// # FEES.set(2, &20)?;
/// let mut rows = FEES.rows().iter();
/// rows.next();
/// // It sees what is removed in front of it.
/// FEES.remove(2);
/// assert_eq!(rows.next(), None);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug)]
pub struct Iter<K, V, E> {
    place: Place,
    entries: Entries,
    types: Types<(K, V, E)>,
}

impl<K: Key, V, E: Encoding<V>> Iterator for Iter<K, V, E> {
    type Item = Result<(K, V), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(match entry {
            Ok(entry) => decode_row::<K, V, E>(&self.place, &entry),
            Err(error) => Err(failed(&self.place, error)),
        })
    }
}

impl<K: Key, V, E: Encoding<V>> IntoIterator for Rows<K, V, E> {
    type Item = Result<(K, V), StorageError>;
    type IntoIter = Iter<K, V, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Key, V, E: Encoding<V>> IntoIterator for &Rows<K, V, E> {
    type Item = Result<(K, V), StorageError>;
    type IntoIter = Iter<K, V, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

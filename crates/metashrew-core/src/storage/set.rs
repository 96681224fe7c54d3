//! Keys without values.

use super::error::StorageError;
use super::key::{AsKey, CompoundKey, Key};
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::Place;
use super::{Map, Rows};
use std::ops::RangeBounds;

/// Keys that are there or are not.
///
/// ```
/// use metashrew_core::storage::Set;
///
/// /// Who holds what.
/// const HOLDERS: Set<(u32, String)> = Set::new("holders");
///
/// assert!(HOLDERS.insert((7, "ann"))?);
/// assert!(!HOLDERS.insert((7, "ann"))?);
/// assert!(HOLDERS.contains((7, "ann")));
/// let of_7: Result<Vec<_>, _> = HOLDERS.prefix(7).keys().collect();
/// assert_eq!(of_7?, ["ann"]);
/// assert!(HOLDERS.remove((7, "ann")));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Set<K>(Map<K, ()>);

impl<K> Set<K> {
    /// The set of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// const HOLDERS: Set<String> = Set::new("holders");
    /// assert!(!HOLDERS.contains("ann"));
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self(Map::new(name))
    }

    /// Its name.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// assert_eq!(HOLDERS.name(), "holders");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.0.name()
    }
}

impl<K: Key> Set<K> {
    /// The key under which a key is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// assert_eq!(HOLDERS.stored_key("ann"), b"\xff\x07holdersann\0\0");
    /// ```
    pub fn stored_key(&self, key: impl AsKey<K>) -> Vec<u8> {
        self.0.stored_key(key)
    }

    /// Whether a key is there.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// HOLDERS.insert("ann")?;
    /// assert!(HOLDERS.contains("ann") && !HOLDERS.contains("an"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn contains(&self, key: impl AsKey<K>) -> bool {
        self.0.has(key)
    }

    /// Puts a key in: whether it was not there.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// assert!(HOLDERS.insert("ann")?);
    /// assert!(!HOLDERS.insert("ann")?);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the key is too long.
    pub fn insert(&self, key: impl AsKey<K>) -> Result<bool, StorageError> {
        if self.contains(&key) {
            return Ok(false);
        }
        self.0.set(key, &())?;
        Ok(true)
    }

    /// Takes a key out: whether it was there.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// HOLDERS.insert("ann")?;
    /// assert!(HOLDERS.remove("ann"));
    /// assert!(!HOLDERS.contains("ann"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn remove(&self, key: impl AsKey<K>) -> bool {
        self.0.remove(key)
    }

    /// All keys, in order: [`Rows::keys`].
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// HOLDERS.insert("ben")?;
    /// HOLDERS.insert("ann")?;
    /// let all: Vec<_> = HOLDERS.rows().keys().collect::<Result<_, _>>()?;
    /// assert_eq!(all, ["ann", "ben"]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn rows(&self) -> Rows<K, ()> {
        self.0.rows()
    }

    /// The keys of a range, in order.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// # const HOLDERS: Set<String> = Set::new("holders");
    /// HOLDERS.insert("ann")?;
    /// HOLDERS.insert("ben")?;
    /// let from_b: Vec<_> = HOLDERS.range("b".to_owned()..).keys().collect::<Result<_, _>>()?;
    /// assert_eq!(from_b, ["ben"]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn range(&self, keys: impl RangeBounds<K>) -> Rows<K, ()> {
        self.0.range(keys)
    }

    /// The keys that have a first part, by their other parts.
    ///
    /// ```
    /// # use metashrew_core::storage::Set;
    /// const HOLDERS: Set<(u32, String)> = Set::new("holders");
    /// HOLDERS.insert((7, "ann"))?;
    /// HOLDERS.insert((8, "ben"))?;
    /// assert_eq!(HOLDERS.prefix(8).keys().next(), Some(Ok("ben".to_owned())));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn prefix(&self, first: impl AsKey<K::First>) -> Rows<K::Rest, ()>
    where
        K: CompoundKey,
    {
        self.0.prefix(first)
    }
}

impl<K: Key> Container for Set<K> {
    fn within(place: Place) -> Self {
        Self(Map::at(place))
    }

    fn describe_inner() -> Described {
        Described::new("set", String::new()).keyed::<K>()
    }
}

impl<K: Key> Table for Set<K> {
    fn describe(&self) -> Vec<Described> {
        self.0
            .describe()
            .into_iter()
            .map(|described| Described {
                kind: "set",
                value: String::new(),
                ..described
            })
            .collect()
    }
}

//! Values by key.

use super::Rows;
use super::codec::{Encoding, Native};
use super::error::StorageError;
use super::key::{AsKey, CompoundKey, Key};
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::{Place, Types};
use std::marker::PhantomData;
use std::ops::RangeBounds;

/// Values by key, in the order of the keys.
///
/// ```
/// use metashrew_core::storage::Map;
///
/// /// What an owner holds of a token.
/// const BALANCES: Map<(String, u32), u128> = Map::new("balances");
///
/// BALANCES.set(("ann", 1), &10)?;
/// BALANCES.set(("ann", 7), &70)?;
/// BALANCES.set(("ben", 1), &30)?;
/// assert_eq!(BALANCES.get(("ann", 7))?, Some(70));
/// assert!(BALANCES.remove(("ben", 1)));
///
/// let of_ann: Result<Vec<_>, _> = BALANCES.prefix("ann").iter().collect();
/// assert_eq!(of_ann?, [(1, 10), (7, 70)]);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Map<K, V, E = Native> {
    place: Place,
    types: Types<(K, V, E)>,
}

impl<K, V, E> Map<K, V, E> {
    /// The map of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// const AGES: Map<String, u8> = Map::new("ages");
    /// assert!(!AGES.has("ann"));
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self::at(Place::new(name))
    }

    pub(super) const fn at(place: Place) -> Self {
        Self {
            place,
            types: PhantomData,
        }
    }

    /// Its name.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// assert_eq!(AGES.name(), "ages");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }
}

impl<K: Key, V, E> Map<K, V, E> {
    /// The key under which a value is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// assert_eq!(AGES.stored_key("ann"), b"\xff\x04agesann\0\0");
    /// ```
    pub fn stored_key(&self, key: impl AsKey<K>) -> Vec<u8> {
        self.place.key(|bytes| key.encode(bytes))
    }

    /// Whether a key has a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ann", &0)?;
    /// assert!(AGES.has("ann"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn has(&self, key: impl AsKey<K>) -> bool {
        Place::has(self.stored_key(key))
    }

    /// Makes a key absent: whether it had a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ann", &30)?;
    /// assert!(AGES.remove("ann"));
    /// assert!(!AGES.remove("ann"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn remove(&self, key: impl AsKey<K>) -> bool {
        Place::remove(self.stored_key(key))
    }
}

impl<K: Key, V, E: Encoding<V>> Map<K, V, E> {
    /// The value of a key, if it has one.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ann", &30)?;
    /// assert_eq!((AGES.get("ann")?, AGES.get("ben")?), (Some(30), None));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn get(&self, key: impl AsKey<K>) -> Result<Option<V>, StorageError> {
        self.place.read::<V, E>(self.stored_key(key))
    }

    /// Gives a key a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ann", &30)?;
    /// AGES.set("ann", &31)?;
    /// assert_eq!(AGES.get("ann")?, Some(31));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be encoded, or the key is too long.
    pub fn set(&self, key: impl AsKey<K>, value: &V) -> Result<(), StorageError> {
        self.place.write::<V, E>(self.stored_key(key), value)
    }

    /// Makes a key absent: the value that it had.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ann", &30)?;
    /// assert_eq!((AGES.take("ann")?, AGES.take("ann")?), (Some(30), None));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value; they are then kept.
    pub fn take(&self, key: impl AsKey<K>) -> Result<Option<V>, StorageError> {
        let value = self.get(&key)?;
        if value.is_some() {
            self.remove(key);
        }
        Ok(value)
    }

    /// Gives a key the value that `change` makes of what it has; with `None` it is removed.
    ///
    /// ```
    /// use metashrew_core::storage::{Map, StorageError};
    ///
    /// const VISITS: Map<String, u32> = Map::new("visits");
    /// for _ in 0..2 {
    ///     VISITS.update("ann", |visits| Ok::<_, StorageError>(Some(visits.unwrap_or(0) + 1)))?;
    /// }
    /// assert_eq!(VISITS.get("ann")?, Some(2));
    /// # Ok::<_, StorageError>(())
    /// ```
    ///
    /// # Errors
    /// Those of `change`, after which the value is as before, and those of `get` and `set`.
    pub fn update<F: From<StorageError>>(
        &self,
        key: impl AsKey<K>,
        change: impl FnOnce(Option<V>) -> Result<Option<V>, F>,
    ) -> Result<(), F> {
        match change(self.get(&key)?)? {
            Some(value) => self.set(key, &value)?,
            None => drop(self.remove(key)),
        }
        Ok(())
    }

    /// All keys and values, in order.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// # const AGES: Map<String, u8> = Map::new("ages");
    /// AGES.set("ben", &40)?;
    /// AGES.set("ann", &30)?;
    /// assert_eq!(AGES.rows().first()?, Some(("ann".to_owned(), 30)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn rows(&self) -> Rows<K, V, E> {
        Rows::new(self.place.clone())
    }

    /// The keys of a range and their values, in order.
    ///
    /// ```
    /// use metashrew_core::storage::Map;
    ///
    /// const SIZES: Map<u32, u64> = Map::new("sizes");
    /// for height in 1..=5 {
    ///     SIZES.set(height, &(100 * u64::from(height)))?;
    /// }
    /// let some: Result<Vec<_>, _> = SIZES.range(2..4).iter().collect();
    /// assert_eq!(some?, [(2, 200), (3, 300)]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn range(&self, keys: impl RangeBounds<K>) -> Rows<K, V, E> {
        self.rows().range(keys)
    }

    /// What has a first part, by the other parts.
    ///
    /// ```
    /// # use metashrew_core::storage::Map;
    /// const FEES: Map<(u32, u16), u64> = Map::new("fees");
    /// FEES.set((1, 9), &10)?;
    /// FEES.set((2, 3), &20)?;
    /// assert_eq!(FEES.prefix(2).first()?, Some((3, 20)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn prefix(&self, first: impl AsKey<K::First>) -> Rows<K::Rest, V, E>
    where
        K: CompoundKey,
    {
        self.rows().prefix(first)
    }
}

impl<K: Key, V, E: Encoding<V>> Container for Map<K, V, E> {
    fn within(place: Place) -> Self {
        Self::at(place)
    }

    fn describe_inner() -> Described {
        Described::new("map", E::type_name()).keyed::<K>()
    }
}

impl<K: Key, V, E: Encoding<V>> Table for Map<K, V, E> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

//! One value.

use super::codec::{Encoding, Native};
use super::error::StorageError;
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::{Place, Types};
use std::marker::PhantomData;

/// One value under one key.
///
/// ```
/// use metashrew_core::storage::Item;
///
/// const TIP: Item<(u32, [u8; 32])> = Item::new("tip");
///
/// assert_eq!(TIP.get()?, None);
/// TIP.set(&(840_000, [7; 32]))?;
/// assert_eq!(TIP.get()?, Some((840_000, [7; 32])));
/// assert!(TIP.remove());
/// assert_eq!(TIP.get()?, None);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Item<V, E = Native> {
    place: Place,
    types: Types<(V, E)>,
}

impl<V, E> Item<V, E> {
    /// The item of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// const TIP: Item<u32> = Item::new("tip");
    /// assert!(!TIP.exists());
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self::at(Place::new(name))
    }

    const fn at(place: Place) -> Self {
        Self {
            place,
            types: PhantomData,
        }
    }

    /// Its name.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// assert_eq!(TIP.name(), "tip");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }

    /// The key under which it is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// assert_eq!(TIP.stored_key(), b"\xff\x03tip");
    /// ```
    pub fn stored_key(&self) -> Vec<u8> {
        self.place.prefix()
    }

    /// Whether it has a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// TIP.set(&0)?;
    /// assert!(TIP.exists());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn exists(&self) -> bool {
        Place::has(self.stored_key())
    }

    /// Makes it absent: whether it had a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// TIP.set(&7)?;
    /// assert!(TIP.remove());
    /// assert!(!TIP.remove());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn remove(&self) -> bool {
        Place::remove(self.stored_key())
    }
}

impl<V, E: Encoding<V>> Item<V, E> {
    /// Its value, if it has one.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// assert_eq!(TIP.get()?, None);
    /// metashrew_core::set(TIP.stored_key().into(), vec![1].into());
    /// assert!(TIP.get().is_err());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn get(&self) -> Result<Option<V>, StorageError> {
        self.place.read::<V, E>(self.stored_key())
    }

    /// Gives it a value.
    ///
    /// ```
    /// # use metashrew_core::storage::Item;
    /// # const TIP: Item<u32> = Item::new("tip");
    /// TIP.set(&7)?;
    /// TIP.set(&8)?;
    /// assert_eq!(TIP.get()?, Some(8));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn set(&self, value: &V) -> Result<(), StorageError> {
        self.place.write::<V, E>(self.stored_key(), value)
    }

    /// Gives it the value that `change` makes of what it has; with `None` it is removed.
    ///
    /// ```
    /// use metashrew_core::storage::{Item, StorageError};
    ///
    /// const HIGHEST: Item<u64> = Item::new("highest");
    /// HIGHEST.update(|highest| Ok::<_, StorageError>(highest.max(Some(7))))?;
    /// HIGHEST.update(|highest| Ok::<_, StorageError>(highest.max(Some(5))))?;
    /// assert_eq!(HIGHEST.get()?, Some(7));
    /// # Ok::<_, StorageError>(())
    /// ```
    ///
    /// # Errors
    /// Those of `change`, after which the value is as before, and those of `get` and `set`.
    pub fn update<F: From<StorageError>>(
        &self,
        change: impl FnOnce(Option<V>) -> Result<Option<V>, F>,
    ) -> Result<(), F> {
        match change(self.get()?)? {
            Some(value) => self.set(&value)?,
            None => drop(self.remove()),
        }
        Ok(())
    }
}

impl<V, E: Encoding<V>> Container for Item<V, E> {
    fn within(place: Place) -> Self {
        Self::at(place)
    }

    fn describe_inner() -> Described {
        Described::new("item", E::type_name())
    }
}

impl<V, E: Encoding<V>> Table for Item<V, E> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

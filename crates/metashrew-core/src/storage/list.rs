//! A list that grows and shrinks at its end.

use super::codec::{Encoding, Native};
use super::error::StorageError;
use super::key::encoded;
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::{Place, Types};
use super::{EncodingError, Rows};
use std::marker::PhantomData;
use std::ops::RangeBounds;

/// Values by their index, from 0 on.
///
/// ```
/// use metashrew_core::storage::List;
///
/// const BLOCKS: List<[u8; 32]> = List::new("blocks");
///
/// assert_eq!(BLOCKS.push(&[1; 32])?, 0);
/// assert_eq!(BLOCKS.push(&[2; 32])?, 1);
/// assert_eq!(BLOCKS.get(1)?, Some([2; 32]));
/// assert_eq!(BLOCKS.pop()?, Some([2; 32]));
/// assert_eq!(BLOCKS.len()?, 1);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// Each operation but [`truncate`](Self::truncate) costs the same at every length. Nothing is moved
/// up: an element leaves the middle by [`swap_remove`](Self::swap_remove) alone, which puts the
/// last one in its place. What is taken away is absent, and so is the length of an empty list.
#[derive(Debug, Clone)]
pub struct List<V, E = Native> {
    place: Place,
    types: Types<(V, E)>,
}

impl<V, E> List<V, E> {
    /// The list of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// const NAMES: List<String> = List::new("names");
    /// assert_eq!(NAMES.get(0), Ok(None));
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
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// assert_eq!(NAMES.name(), "names");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }

    /// How many elements it has.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// assert_eq!(NAMES.len()?, 0);
    /// NAMES.push(&"ann".to_owned())?;
    /// assert_eq!(NAMES.len()?, 1);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored length is none.
    pub fn len(&self) -> Result<u64, StorageError> {
        let length = self.place.read::<u64, Native>(self.place.prefix())?;
        Ok(length.unwrap_or_default())
    }

    /// Whether it has none.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// assert!(NAMES.is_empty()?);
    /// NAMES.push(&String::new())?;
    /// assert!(!NAMES.is_empty()?);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.len()? == 0)
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        let key = self.place.prefix();
        if length == 0 {
            Place::remove(key);
            return Ok(());
        }
        self.place.write::<u64, Native>(key, &length)
    }

    /// The key under which an element is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// assert_eq!(*metashrew_core::get(NAMES.stored_key(0).into()), b"ann");
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn stored_key(&self, index: u64) -> Vec<u8> {
        self.place.key(|key| key.extend(encoded::<u64>(&index)))
    }

    /// Shortens it to `length` elements; each that goes costs a write.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// NAMES.push(&"ben".to_owned())?;
    /// NAMES.truncate(1)?;
    /// assert_eq!(NAMES.last()?.as_deref(), Some("ann"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn truncate(&self, length: u64) -> Result<(), StorageError> {
        let old = self.len()?;
        if length >= old {
            return Ok(());
        }
        for index in length..old {
            Place::remove(self.stored_key(index));
        }
        self.set_len(length)
    }
}

impl<V, E: Encoding<V>> List<V, E> {
    /// The element at an index; `None` behind the end.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// assert_eq!(NAMES.get(0)?.as_deref(), Some("ann"));
    /// assert_eq!(NAMES.get(1)?, None);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn get(&self, index: u64) -> Result<Option<V>, StorageError> {
        self.place.read::<V, E>(self.stored_key(index))
    }

    /// The last element, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// NAMES.push(&"ben".to_owned())?;
    /// assert_eq!(NAMES.last()?.as_deref(), Some("ben"));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn last(&self) -> Result<Option<V>, StorageError> {
        match self.len()?.checked_sub(1) {
            Some(index) => self.element(index).map(Some),
            None => Ok(None),
        }
    }

    /// Adds an element at the end: its index.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// let ann = NAMES.push(&"ann".to_owned())?;
    /// let ben = NAMES.push(&"ben".to_owned())?;
    /// assert_eq!((ann, ben), (0, 1));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn push(&self, value: &V) -> Result<u64, StorageError> {
        let index = self.len()?;
        let length = index
            .checked_add(1)
            .ok_or(StorageError::Overflow { table: self.name() })?;
        self.place.write::<V, E>(self.stored_key(index), value)?;
        self.set_len(length)?;
        Ok(index)
    }

    /// Takes the last element away, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// assert_eq!(NAMES.pop()?.as_deref(), Some("ann"));
    /// assert_eq!(NAMES.pop()?, None);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value; the list is then as before.
    pub fn pop(&self) -> Result<Option<V>, StorageError> {
        let Some(index) = self.len()?.checked_sub(1) else {
            return Ok(None);
        };
        let value = self.element(index)?;
        Place::remove(self.stored_key(index));
        self.set_len(index)?;
        Ok(Some(value))
    }

    /// Replaces the element at an index.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// NAMES.set(0, &"eve".to_owned())?;
    /// assert_eq!(NAMES.get(0)?.as_deref(), Some("eve"));
    /// assert!(NAMES.set(1, &"ben".to_owned()).is_err());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the value cannot be encoded.
    pub fn set(&self, index: u64, value: &V) -> Result<(), StorageError> {
        self.check(index)?;
        self.place.write::<V, E>(self.stored_key(index), value)
    }

    /// Takes the element at an index away and puts the last one in its place.
    ///
    /// ```
    /// use metashrew_core::storage::List;
    ///
    /// const QUEUE: List<u8> = List::new("queue");
    /// for value in [1, 2, 3] {
    ///     QUEUE.push(&value)?;
    /// }
    /// assert_eq!(QUEUE.swap_remove(0)?, 1);
    /// assert_eq!((QUEUE.get(0)?, QUEUE.len()?), (Some(3), 2));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or stored bytes are no such value; the list is then as before.
    pub fn swap_remove(&self, index: u64) -> Result<V, StorageError> {
        let last = self.check(index)? - 1;
        let value = self.element(index)?;
        // First what can fail: an error leaves the list as it was.
        if index < last {
            let moved = self.element(last)?;
            self.place.write::<V, E>(self.stored_key(index), &moved)?;
        }
        Place::remove(self.stored_key(last));
        self.set_len(last)?;
        Ok(value)
    }

    /// All elements with their indexes, in order.
    ///
    /// ```
    /// use metashrew_core::storage::List;
    ///
    /// const NAMES: List<String> = List::new("names");
    /// NAMES.push(&"ann".to_owned())?;
    /// NAMES.push(&"ben".to_owned())?;
    /// let backwards: Result<Vec<_>, _> = NAMES.rows().reverse().iter().collect();
    /// assert_eq!(backwards?, [(1, "ben".to_owned()), (0, "ann".to_owned())]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn rows(&self) -> Rows<u64, V, E> {
        // From the least index on: the length stands before it, under the bare prefix.
        Rows::new(self.place.clone()).range(0..)
    }

    /// The elements of some indexes, in order.
    ///
    /// ```
    /// # use metashrew_core::storage::List;
    /// # const NAMES: List<String> = List::new("names");
    /// for name in ["ann", "ben", "eve"] {
    ///     NAMES.push(&name.to_owned())?;
    /// }
    /// let some: Vec<_> = NAMES.range(1..2).iter().collect::<Result<_, _>>()?;
    /// assert_eq!(some, [(1, "ben".to_owned())]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn range(&self, indexes: impl RangeBounds<u64>) -> Rows<u64, V, E> {
        self.rows().range(indexes)
    }

    /// The length, of which the index is below.
    fn check(&self, index: u64) -> Result<u64, StorageError> {
        let length = self.len()?;
        if index < length {
            return Ok(length);
        }
        Err(StorageError::OutOfBounds {
            table: self.name(),
            index,
            length,
        })
    }

    /// An element that must be there.
    fn element(&self, index: u64) -> Result<V, StorageError> {
        self.get(index)?.ok_or_else(|| StorageError::Value {
            table: self.name(),
            key: self.stored_key(index),
            expected: E::type_name(),
            error: EncodingError::new("it is absent"),
        })
    }
}

impl<V, E: Encoding<V>> Container for List<V, E> {
    fn within(place: Place) -> Self {
        Self::at(place)
    }

    fn describe_inner() -> Described {
        Described::new("list", E::type_name()).part("index", "u64")
    }
}

impl<V, E: Encoding<V>> Table for List<V, E> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

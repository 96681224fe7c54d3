//! A list that grows and shrinks at both ends.

use super::codec::{Encoding, Native};
use super::error::StorageError;
use super::key::encoded;
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::{Place, Types};
use super::{EncodingError, Rows};
use std::marker::PhantomData;

/// Values in a row, to which both ends are open.
///
/// ```
/// use metashrew_core::storage::Deque;
///
/// const PENDING: Deque<u32> = Deque::new("pending");
///
/// PENDING.push_back(&2)?;
/// PENDING.push_back(&3)?;
/// PENDING.push_front(&1)?;
/// assert_eq!(PENDING.get(0)?, Some(1));
/// assert_eq!(PENDING.pop_front()?, Some(1));
/// assert_eq!(PENDING.pop_back()?, Some(3));
/// assert_eq!(PENDING.len()?, 1);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// Each operation costs the same at every length. What is taken away is absent; an empty deque
/// leaves nothing behind. Elements are stored under positions that start in the middle of the
/// `u64`s, so that both ends have room for 2^63.
#[derive(Debug, Clone)]
pub struct Deque<V, E = Native> {
    place: Place,
    types: Types<(V, E)>,
}

/// The position of the first element of a deque that was empty.
const MIDDLE: u64 = 1 << 63;

/// Where the elements are.
#[derive(Clone, Copy)]
struct Span {
    front: u64,
    length: u64,
}

impl Span {
    /// The position of an element.
    fn position(self, index: u64) -> Option<u64> {
        (index < self.length).then(|| self.front.wrapping_add(index))
    }

    /// With one more in front.
    fn before(self) -> Option<Self> {
        Some(Self {
            front: self.front.checked_sub(1)?,
            length: self.length.checked_add(1)?,
        })
    }

    /// With one more at the back.
    fn behind(self) -> Option<Self> {
        let length = self.length.checked_add(1)?;
        self.front.checked_add(length)?;
        Some(Self { length, ..self })
    }
}

impl<V, E> Deque<V, E> {
    /// The deque of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// const QUEUE: Deque<u32> = Deque::new("queue");
    /// assert_eq!(QUEUE.len(), Ok(0));
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
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// assert_eq!(QUEUE.name(), "queue");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }

    /// How many elements it has.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_front(&0)?;
    /// assert_eq!(QUEUE.len()?, 2);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored length is none.
    pub fn len(&self) -> Result<u64, StorageError> {
        Ok(self.span()?.length)
    }

    /// Whether it has none.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// assert!(QUEUE.is_empty()?);
    /// QUEUE.push_back(&1)?;
    /// assert!(!QUEUE.is_empty()?);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.len()? == 0)
    }

    fn span(&self) -> Result<Span, StorageError> {
        let stored = self.place.read::<(u64, u64), Native>(self.place.prefix())?;
        let (front, length) = stored.unwrap_or((MIDDLE, 0));
        Ok(Span { front, length })
    }

    fn set_span(&self, span: Span) -> Result<(), StorageError> {
        let key = self.place.prefix();
        if span.length == 0 {
            Place::remove(key);
            return Ok(());
        }
        let stored = (span.front, span.length);
        self.place.write::<_, Native>(key, &stored)
    }

    /// The key under which the element at a position is stored.
    fn key(&self, position: u64) -> Vec<u8> {
        self.place.key(|key| key.extend(encoded::<u64>(&position)))
    }

    fn full(&self) -> StorageError {
        StorageError::Overflow { table: self.name() }
    }
}

impl<V, E: Encoding<V>> Deque<V, E> {
    /// The element at an index, counted from the front; `None` behind the end.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_front(&0)?;
    /// assert_eq!((QUEUE.get(1)?, QUEUE.get(2)?), (Some(1), None));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn get(&self, index: u64) -> Result<Option<V>, StorageError> {
        let position = self.span()?.position(index);
        position.map(|at| self.element(at)).transpose()
    }

    /// The first element, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_back(&2)?;
    /// assert_eq!(QUEUE.front()?, Some(1));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn front(&self) -> Result<Option<V>, StorageError> {
        self.get(0)
    }

    /// The last element, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_back(&2)?;
    /// assert_eq!(QUEUE.back()?, Some(2));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn back(&self) -> Result<Option<V>, StorageError> {
        match self.len()?.checked_sub(1) {
            Some(index) => self.get(index),
            None => Ok(None),
        }
    }

    /// Replaces the element at an index.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.set(0, &7)?;
    /// assert_eq!(QUEUE.front()?, Some(7));
    /// assert!(QUEUE.set(1, &8).is_err());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the value cannot be encoded.
    pub fn set(&self, index: u64, value: &V) -> Result<(), StorageError> {
        let span = self.span()?;
        let position = span.position(index).ok_or(StorageError::OutOfBounds {
            table: self.name(),
            index,
            length: span.length,
        })?;
        self.place.write::<V, E>(self.key(position), value)
    }

    /// Adds an element at the end.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_back(&2)?;
    /// assert_eq!(QUEUE.pop_front()?, Some(1));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn push_back(&self, value: &V) -> Result<(), StorageError> {
        let span = self.span()?;
        let longer = span.behind().ok_or_else(|| self.full())?;
        let position = span.front.wrapping_add(span.length);
        self.place.write::<V, E>(self.key(position), value)?;
        self.set_span(longer)
    }

    /// Adds an element in front.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_front(&1)?;
    /// QUEUE.push_front(&2)?;
    /// assert_eq!(QUEUE.pop_front()?, Some(2));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn push_front(&self, value: &V) -> Result<(), StorageError> {
        let longer = self.span()?.before().ok_or_else(|| self.full())?;
        self.place.write::<V, E>(self.key(longer.front), value)?;
        self.set_span(longer)
    }

    /// Takes the last element away, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// assert_eq!((QUEUE.pop_back()?, QUEUE.pop_back()?), (Some(1), None));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value; the deque is then as before.
    pub fn pop_back(&self) -> Result<Option<V>, StorageError> {
        let span = self.span()?;
        let Some(length) = span.length.checked_sub(1) else {
            return Ok(None);
        };
        let value = self.take(span.front.wrapping_add(length))?;
        self.set_span(Span { length, ..span })?;
        Ok(Some(value))
    }

    /// Takes the first element away, if there is one.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_back(&2)?;
    /// assert_eq!((QUEUE.pop_front()?, QUEUE.len()?), (Some(1), 1));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value; the deque is then as before.
    pub fn pop_front(&self) -> Result<Option<V>, StorageError> {
        let span = self.span()?;
        let Some(length) = span.length.checked_sub(1) else {
            return Ok(None);
        };
        let value = self.take(span.front)?;
        let front = span.front.wrapping_add(1);
        self.set_span(Span { front, length })?;
        Ok(Some(value))
    }

    /// All elements with their positions, in order. A position is no index: the difference between
    /// two is.
    ///
    /// ```
    /// # use metashrew_core::storage::Deque;
    /// # const QUEUE: Deque<u32> = Deque::new("queue");
    /// QUEUE.push_back(&1)?;
    /// QUEUE.push_back(&2)?;
    /// let rows: Vec<_> = QUEUE.rows().iter().collect::<Result<_, _>>()?;
    /// let [(first, 1), (second, 2)] = rows[..] else { panic!("{rows:?}") };
    /// assert_eq!(second - first, 1);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn rows(&self) -> Rows<u64, V, E> {
        // From the least position on: the length stands before it, under the bare prefix.
        Rows::new(self.place.clone()).range(0..)
    }

    fn take(&self, position: u64) -> Result<V, StorageError> {
        let value = self.element(position)?;
        Place::remove(self.key(position));
        Ok(value)
    }

    /// An element that must be there.
    fn element(&self, position: u64) -> Result<V, StorageError> {
        let key = self.key(position);
        let value = self.place.read::<V, E>(key.clone())?;
        value.ok_or_else(|| StorageError::Value {
            table: self.name(),
            key,
            expected: E::type_name(),
            error: EncodingError::new("it is absent"),
        })
    }
}

impl<V, E: Encoding<V>> Container for Deque<V, E> {
    fn within(place: Place) -> Self {
        Self::at(place)
    }

    fn describe_inner() -> Described {
        Described::new("deque", E::type_name()).part("position", "u64")
    }
}

impl<V, E: Encoding<V>> Table for Deque<V, E> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

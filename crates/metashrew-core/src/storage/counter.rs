//! A number that is added to and subtracted from.

use super::Value;
use super::codec::Native;
use super::error::StorageError;
use super::layout::{Described, Table};
use super::nested::Container;
use super::place::{Place, Types};
use std::marker::PhantomData;

/// What a [`Counter`] counts in: an integer of either sign, up to 128 bits.
///
/// ```
/// use metashrew_core::storage::Count;
///
/// assert_eq!(u8::checked_sub(1, 2), None);
/// assert_eq!(<u8 as Count>::subtract(1, 2), None);
/// assert_eq!(<i8 as Count>::subtract(1, 2), Some(-1));
/// ```
pub trait Count: Value + Copy + Default + PartialEq {
    /// The sum; `None` if the type does not hold it.
    ///
    /// ```
    /// # use metashrew_core::storage::Count;
    /// assert_eq!(<u8 as Count>::add(250, 5), Some(255));
    /// assert_eq!(<u8 as Count>::add(250, 6), None);
    /// ```
    fn add(self, other: Self) -> Option<Self>;
    /// The difference; `None` if the type does not hold it.
    ///
    /// ```
    /// # use metashrew_core::storage::Count;
    /// assert_eq!(<u8 as Count>::subtract(5, 5), Some(0));
    /// ```
    fn subtract(self, other: Self) -> Option<Self>;
}

macro_rules! counts {
    ($($integer:ident),*) => {$(
        impl Count for $integer {
            fn add(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }

            fn subtract(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
        }
    )*};
}

counts!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// A number, at first zero. What its type does not hold is an error, and changes nothing.
///
/// ```
/// use metashrew_core::storage::{Counter, StorageError};
///
/// const SUPPLY: Counter<u128> = Counter::new("supply");
///
/// assert_eq!(SUPPLY.add(21)?, 21);
/// assert_eq!(SUPPLY.subtract(1)?, 20);
/// assert_eq!(SUPPLY.subtract(21), Err(StorageError::Overflow { table: "supply" }));
/// assert_eq!(SUPPLY.get()?, 20);
/// # Ok::<_, StorageError>(())
/// ```
///
/// Zero is stored as absent.
#[derive(Debug, Clone)]
pub struct Counter<T = u64> {
    place: Place,
    types: Types<T>,
}

impl<T> Counter<T> {
    /// The counter of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const TRANSFERS: Counter = Counter::new("transfers");
    /// assert_eq!(TRANSFERS.get(), Ok(0));
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
    /// # use metashrew_core::storage::Counter;
    /// assert_eq!(Counter::<u32>::new("transfers").name(), "transfers");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }

    /// The key under which it is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const TRANSFERS: Counter = Counter::new("transfers");
    /// assert_eq!(TRANSFERS.stored_key(), b"\xff\x09transfers");
    /// ```
    pub fn stored_key(&self) -> Vec<u8> {
        self.place.prefix()
    }
}

impl<T: Count> Counter<T> {
    /// The number.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const TRANSFERS: Counter = Counter::new("transfers");
    /// TRANSFERS.add(7)?;
    /// assert_eq!(TRANSFERS.get()?, 7);
    /// metashrew_core::set(TRANSFERS.stored_key().into(), vec![1].into());
    /// assert!(TRANSFERS.get().is_err());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are none.
    pub fn get(&self) -> Result<T, StorageError> {
        let stored = self.place.read::<T, Native>(self.stored_key())?;
        Ok(stored.unwrap_or_default())
    }

    /// Sets the number.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const TRANSFERS: Counter = Counter::new("transfers");
    /// TRANSFERS.set(7)?;
    /// assert_eq!(TRANSFERS.add(1)?, 8);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// None today.
    pub fn set(&self, number: T) -> Result<(), StorageError> {
        let key = self.stored_key();
        if number == T::default() {
            Place::remove(key);
            return Ok(());
        }
        self.place.write::<T, Native>(key, &number)
    }

    /// Adds: the sum.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const BLOCKS: Counter<u8> = Counter::new("blocks");
    /// assert_eq!(BLOCKS.add(255)?, 255);
    /// assert!(BLOCKS.add(1).is_err());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the type does not hold the sum.
    pub fn add(&self, number: T) -> Result<T, StorageError> {
        self.change(self.get()?.add(number))
    }

    /// Subtracts: the difference.
    ///
    /// ```
    /// # use metashrew_core::storage::Counter;
    /// const CHANGE: Counter<i64> = Counter::new("change");
    /// assert_eq!(CHANGE.subtract(7)?, -7);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the type does not hold the difference.
    pub fn subtract(&self, number: T) -> Result<T, StorageError> {
        self.change(self.get()?.subtract(number))
    }

    fn change(&self, number: Option<T>) -> Result<T, StorageError> {
        let table = self.name();
        let number = number.ok_or(StorageError::Overflow { table })?;
        self.set(number)?;
        Ok(number)
    }
}

impl<T: Count> Container for Counter<T> {
    fn within(place: Place) -> Self {
        Self::at(place)
    }

    fn describe_inner() -> Described {
        Described::new("counter", T::type_name())
    }
}

impl<T: Count> Table for Counter<T> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

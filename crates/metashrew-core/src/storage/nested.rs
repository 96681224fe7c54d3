//! A container for each key.

use super::key::{AsKey, Key};
use super::layout::{Described, Table};
use super::place::{Place, Types};
use std::marker::PhantomData;

/// What a [`Nested`] has one of for each key: [`Item`](super::Item), [`Map`](super::Map),
/// [`Set`](super::Set), [`List`](super::List), [`Deque`](super::Deque),
/// [`Counter`](super::Counter), or another `Nested`.
///
/// ```
/// use metashrew_core::storage::{Container, Counter, Nested};
/// fn of_ann<C: Container>(all: &Nested<String, C>) -> C {
///     all.at("ann")
/// }
/// const TRANSFERS: Nested<String, Counter> = Nested::new("transfers");
/// assert_eq!(of_ann(&TRANSFERS).add(2)?, 2);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait Container: Sized {
    /// The one at a place.
    #[doc(hidden)]
    fn within(place: Place) -> Self;

    /// What its keys and values are, without where.
    #[doc(hidden)]
    fn describe_inner() -> Described;
}

/// A list, a counter or another container for each key.
///
/// ```
/// use metashrew_core::storage::{Counter, List, Nested};
///
/// const HISTORY: Nested<[u8; 20], List<u32>> = Nested::new("history");
/// const SUPPLY: Nested<String, Counter<u128>> = Nested::new("supply");
///
/// HISTORY.at([7; 20]).push(&840_000)?;
/// HISTORY.at([8; 20]).push(&840_001)?;
/// assert_eq!(HISTORY.at([7; 20]).len()?, 1);
/// assert_eq!(SUPPLY.at("RARE").add(21)?, 21);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Nested<K, C> {
    place: Place,
    types: Types<(K, C)>,
}

impl<K, C> Nested<K, C> {
    /// The containers of a name: 1 to 64 bytes, which no other table of the guest has.
    ///
    /// ```
    /// # use metashrew_core::storage::{Counter, Nested};
    /// const VOTES: Nested<(u32, String), Counter> = Nested::new("votes");
    /// assert_eq!(VOTES.at((7, "ann")).get()?, 0);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self::in_place(Place::new(name))
    }

    const fn in_place(place: Place) -> Self {
        Self {
            place,
            types: PhantomData,
        }
    }

    /// Its name.
    ///
    /// ```
    /// # use metashrew_core::storage::{Counter, Nested};
    /// const VOTES: Nested<u32, Counter> = Nested::new("votes");
    /// assert_eq!(VOTES.name(), "votes");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }
}

impl<K: Key, C: Container> Nested<K, C> {
    /// The container of a key.
    ///
    /// ```
    /// # use metashrew_core::storage::{Counter, Nested};
    /// const VOTES: Nested<u32, Counter> = Nested::new("votes");
    /// VOTES.at(1).add(5)?;
    /// assert_eq!((VOTES.at(1).get()?, VOTES.at(2).get()?), (5, 0));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn at(&self, key: impl AsKey<K>) -> C {
        C::within(self.place.below(|prefix| key.encode(prefix)))
    }
}

impl<K: Key, C: Container> Container for Nested<K, C> {
    fn within(place: Place) -> Self {
        Self::in_place(place)
    }

    fn describe_inner() -> Described {
        C::describe_inner().keyed::<K>()
    }
}

impl<K: Key, C: Container> Table for Nested<K, C> {
    fn describe(&self) -> Vec<Described> {
        vec![Self::describe_inner().at(&self.place)]
    }
}

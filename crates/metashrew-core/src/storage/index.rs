//! The indexes of an indexed map.

use super::codec::{Encoding, EncodingError, Native};
use super::error::StorageError;
use super::key::{AsKey, Key, encoded};
use super::layout::{Described, types};
use super::place::Place;
use metashrew_abi::layout::MAX_NAME_BYTES;
use std::marker::PhantomData;

/// An index over values of type `V` under keys of type `K`: a [`MultiIndex`] or a
/// [`UniqueIndex`].
///
/// ```
/// use metashrew_core::storage::{Index, MultiIndex, UniqueIndex};
/// let odd = MultiIndex::<bool, u32, u64>::new("odd", |_, number| number % 2 == 1);
/// let number = UniqueIndex::<u64, u32, u64>::new("number", |_, number| *number);
/// let names = [&odd as &dyn Index<u32, u64>, &number].map(Index::name);
/// assert_eq!(names, ["odd", "number"]);
/// ```
pub trait Index<K, V> {
    /// Its name, which no other index of the map has.
    ///
    /// ```
    /// # use metashrew_core::storage::{Index, MultiIndex};
    /// let odd = MultiIndex::<bool, u32, u64>::new("odd", |_, number| number % 2 == 1);
    /// assert_eq!(odd.name(), "odd");
    /// ```
    fn name(&self) -> &'static str;

    /// Refuses a value that it cannot take.
    #[doc(hidden)]
    fn check(&self, table: &Place, key: &K, new: &V) -> Result<(), StorageError>;

    /// Writes what is different with another value.
    #[doc(hidden)]
    fn change(
        &self,
        table: &Place,
        key: &K,
        old: Option<&V>,
        new: Option<&V>,
    ) -> Result<(), StorageError>;

    #[doc(hidden)]
    fn describe(&self, table: &Place) -> Described;
}

/// The indexes of an [`IndexedMap`](super::IndexedMap): a struct of the guest's that lists them, or a
/// tuple.
///
/// ```
/// use metashrew_core::storage::{IndexedMap, MultiIndex};
///
/// type ByParity = (MultiIndex<bool, u32, u64>,);
/// const NUMBERS: IndexedMap<u32, u64, ByParity> = IndexedMap::new(
///     "numbers",
///     (MultiIndex::new("is_odd", |_, number| number % 2 == 1),),
/// );
///
/// for (key, number) in [(1, 7), (2, 8), (3, 9)] {
///     NUMBERS.set(key, &number)?;
/// }
/// let odd: Result<Vec<_>, _> = NUMBERS.multi(|by| &by.0).prefix(true).keys().collect();
/// assert_eq!(odd?, [1, 3]);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
pub trait Indexes<K: 'static, V: 'static> {
    /// All of them.
    ///
    /// ```
    /// # use metashrew_core::storage::{Indexes, MultiIndex};
    /// let odd = MultiIndex::<bool, u32, u64>::new("odd", |_, number| number % 2 == 1);
    /// assert_eq!(Indexes::<u32, u64>::all(&(odd,)).count(), 1);
    /// ```
    fn all(&self) -> impl Iterator<Item = &dyn Index<K, V>>;
}

macro_rules! tuples_of_indexes {
    ($(($($index:ident $at:tt),+))*) => {$(
        impl<K: 'static, V: 'static, $($index: Index<K, V>),+> Indexes<K, V> for ($($index,)+) {
            fn all(&self) -> impl Iterator<Item = &dyn Index<K, V>> {
                [$(&self.$at as &dyn Index<K, V>),+].into_iter()
            }
        }
    )*};
}

tuples_of_indexes! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// An index under whose entries many values can be.
///
/// `Q` is what it is over, made of each key and value by a function. The function must make the
/// same of the same; to change it needs a new state, or an index of another name.
///
/// ```
/// use metashrew_core::storage::{IndexedMap, MultiIndex};
/// /// Names by their length.
/// type ByLength = (MultiIndex<u64, u32, String>,);
/// const NAMES: IndexedMap<u32, String, ByLength> = IndexedMap::new(
///     "names",
///     (MultiIndex::new("length", |_, name| name.len() as u64),),
/// );
/// NAMES.set(1, &"ann".to_owned())?;
/// NAMES.set(2, &"ben".to_owned())?;
/// assert_eq!(NAMES.multi(|by| &by.0).prefix(3).keys().count(), 2);
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiIndex<Q, K, V> {
    name: &'static str,
    entry: fn(&K, &V) -> Q,
}

/// An index under whose entries one value can be. A second one is
/// [`NotUnique`](StorageError::NotUnique).
///
/// `Q` is what it is over, as for a [`MultiIndex`].
///
/// ```
/// use metashrew_core::storage::{IndexedMap, UniqueIndex};
/// /// Names, each once.
/// type ByName = (UniqueIndex<String, u32, String>,);
/// const NAMES: IndexedMap<u32, String, ByName> = IndexedMap::new(
///     "names",
///     (UniqueIndex::new("name", |_, name| name.clone()),),
/// );
/// NAMES.set(1, &"ann".to_owned())?;
/// assert!(NAMES.set(2, &"ann".to_owned()).is_err());
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct UniqueIndex<Q, K, V> {
    name: &'static str,
    entry: fn(&K, &V) -> Q,
}

const fn checked(name: &'static str) -> &'static str {
    assert!(!name.is_empty(), "an index needs a name");
    assert!(
        name.len() <= MAX_NAME_BYTES,
        "an index's name has at most 64 bytes"
    );
    name
}

/// Where an index's entries are: behind its name in the table's keys.
fn place(table: &Place, name: &str) -> Place {
    table.below(|prefix| {
        // It has 1 to 64 bytes: so it is told from another index's, and from the values' zero.
        prefix.push(u8::try_from(name.len()).unwrap_or_default());
        prefix.extend_from_slice(name.as_bytes());
    })
}

impl<Q, K, V> MultiIndex<Q, K, V> {
    /// The index of a name, 1 to 64 bytes, which no other of the map has.
    ///
    /// ```
    /// # use metashrew_core::storage::{Index, MultiIndex};
    /// const BY_OWNER: MultiIndex<String, u32, (String, u64)> =
    ///     MultiIndex::new("owner", |_id, (owner, _amount)| owner.clone());
    /// assert_eq!(BY_OWNER.name(), "owner");
    /// ```
    pub const fn new(name: &'static str, entry: fn(&K, &V) -> Q) -> Self {
        let name = checked(name);
        Self { name, entry }
    }

    pub(super) fn place(&self, table: &Place) -> Place {
        place(table, self.name)
    }
}

impl<Q: Key, K: Key, V> MultiIndex<Q, K, V> {
    fn key(&self, table: &Place, key: &K, value: &V) -> Vec<u8> {
        let entry = (self.entry)(key, value);
        self.place(table).key(|bytes| {
            entry.encode(bytes);
            key.encode(bytes);
        })
    }
}

impl<Q: Key, K: Key, V> Index<K, V> for MultiIndex<Q, K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, table: &Place, key: &K, new: &V) -> Result<(), StorageError> {
        table.check_key(&self.key(table, key, new))
    }

    fn change(
        &self,
        table: &Place,
        key: &K,
        old: Option<&V>,
        new: Option<&V>,
    ) -> Result<(), StorageError> {
        let old = old.map(|old| self.key(table, key, old));
        let new = new.map(|new| self.key(table, key, new));
        if old == new {
            return Ok(());
        }
        old.map(Place::remove);
        new.map_or(Ok(()), |new| table.write::<(), Native>(new, &()))
    }

    fn describe(&self, table: &Place) -> Described {
        let described = Described::new("multi_index", String::new()).keyed::<K>();
        let place = self.place(table);
        described
            .keyed_by::<Q>(self.name)
            .at(&place)
            .of_index(self.name)
    }
}

impl<Q, K, V> UniqueIndex<Q, K, V> {
    /// The index of a name, 1 to 64 bytes, which no other of the map has.
    ///
    /// ```
    /// # use metashrew_core::storage::{Index, UniqueIndex};
    /// const BY_SYMBOL: UniqueIndex<String, u32, (String, u64)> =
    ///     UniqueIndex::new("symbol", |_id, (symbol, _supply)| symbol.clone());
    /// assert_eq!(BY_SYMBOL.name(), "symbol");
    /// ```
    pub const fn new(name: &'static str, entry: fn(&K, &V) -> Q) -> Self {
        let name = checked(name);
        Self { name, entry }
    }

    pub(super) fn place(&self, table: &Place) -> Place {
        place(table, self.name)
    }
}

impl<Q: Key, K: Key, V> UniqueIndex<Q, K, V> {
    fn key(&self, table: &Place, entry: &impl AsKey<Q>) -> Vec<u8> {
        self.place(table).key(|bytes| entry.encode(bytes))
    }

    /// The key of the value that has an entry.
    pub(super) fn holder(
        &self,
        table: &Place,
        entry: impl AsKey<Q>,
    ) -> Result<Option<K>, StorageError> {
        table.read::<K, PrimaryKey>(self.key(table, &entry))
    }
}

impl<Q: Key, K: Key, V> Index<K, V> for UniqueIndex<Q, K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, table: &Place, key: &K, new: &V) -> Result<(), StorageError> {
        let entry = (self.entry)(key, new);
        table.check_key(&self.key(table, &entry))?;
        let holder = self.holder(table, &entry)?;
        let holder = holder.map(|holder| encoded::<K>(&holder));
        match holder {
            Some(holder) if holder != encoded::<K>(key) => Err(StorageError::NotUnique {
                table: table.name(),
                index: self.name,
                holder,
            }),
            _ => Ok(()),
        }
    }

    fn change(
        &self,
        table: &Place,
        key: &K,
        old: Option<&V>,
        new: Option<&V>,
    ) -> Result<(), StorageError> {
        let entry_key = |value| self.key(table, &(self.entry)(key, value));
        let (old, new) = (old.map(entry_key), new.map(entry_key));
        if old == new {
            return Ok(());
        }
        old.map(Place::remove);
        new.map_or(Ok(()), |new| table.write::<K, PrimaryKey>(new, key))
    }

    fn describe(&self, table: &Place) -> Described {
        let value = types::<K>().join(", ");
        let described = Described::new("unique_index", value);
        let place = self.place(table);
        described
            .keyed_by::<Q>(self.name)
            .at(&place)
            .of_index(self.name)
    }
}

/// The encoding of the values of a unique index: the key of a record.
///
/// ```
/// # use metashrew_core::storage::{Encoding, PrimaryKey};
/// let mut bytes = Vec::new();
/// PrimaryKey::encode(&7u32, &mut bytes)?;
/// assert_eq!(bytes, [0, 0, 0, 7]);
/// # Ok::<_, metashrew_core::storage::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PrimaryKey(PhantomData<()>);

impl<K: Key> Encoding<K> for PrimaryKey {
    fn encode(key: &K, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
        key.encode(bytes);
        Ok(())
    }

    fn decode(mut bytes: &[u8]) -> Result<K, EncodingError> {
        let key = K::decode(&mut bytes).filter(|_| bytes.is_empty());
        key.ok_or_else(|| EncodingError::new("it is no key of a record"))
    }

    fn type_name() -> String {
        types::<K>().join(", ")
    }
}

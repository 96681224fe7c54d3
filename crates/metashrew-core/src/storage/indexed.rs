//! A map with indexes over its values.

use super::codec::{Encoding, Native};
use super::error::StorageError;
use super::index::{Indexes, MultiIndex, PrimaryKey, UniqueIndex};
use super::key::{AsKey, CompoundKey, Key, encoded};
use super::layout::{Described, Table};
use super::place::{Place, Types};
use super::{Map, Rows};
use std::marker::PhantomData;
use std::ops::RangeBounds;

/// A [`Map`] that can be asked by what is in its values: who has it, what it is called.
///
/// ```
/// use metashrew_core::storage::{
///     Index, IndexedMap, Indexes, MultiIndex, StorageError, UniqueIndex,
/// };
///
/// metashrew_core::record! {
///     #[derive(Debug, Clone, PartialEq)]
///     struct Token { owner: String, symbol: String }
/// }
///
/// struct TokenIndexes {
///     owner: MultiIndex<String, u32, Token>,
///     symbol: UniqueIndex<String, u32, Token>,
/// }
///
/// impl Indexes<u32, Token> for TokenIndexes {
///     fn all(&self) -> impl Iterator<Item = &dyn Index<u32, Token>> {
///         [&self.owner as &dyn Index<_, _>, &self.symbol].into_iter()
///     }
/// }
///
/// const TOKENS: IndexedMap<u32, Token, TokenIndexes> = IndexedMap::new("tokens", TokenIndexes {
///     owner: MultiIndex::new("owner", |_, token| token.owner.clone()),
///     symbol: UniqueIndex::new("symbol", |_, token| token.symbol.clone()),
/// });
///
/// let token = |owner: &str, symbol: &str| Token { owner: owner.into(), symbol: symbol.into() };
/// TOKENS.set(1, &token("ann", "RARE"))?;
/// TOKENS.set(2, &token("ben", "ODD"))?;
/// TOKENS.set(3, &token("ann", "EVEN"))?;
///
/// let of_ann: Result<Vec<u32>, _> = TOKENS.multi(|by| &by.owner).prefix("ann").keys().collect();
/// assert_eq!(of_ann?, [1, 3]);
/// assert_eq!(TOKENS.find(|by| &by.symbol, "ODD")?, Some((2, token("ben", "ODD"))));
///
/// let taken = TOKENS.set(4, &token("eve", "ODD"));
/// assert!(matches!(taken, Err(StorageError::NotUnique { index: "symbol", .. })));
/// # Ok::<_, StorageError>(())
/// ```
///
/// A change writes the value and the entries of the indexes that change with it. An error leaves all
/// as it was. Indexes may be given as a tuple, too.
#[derive(Debug, Clone)]
pub struct IndexedMap<K, V, I, E = Native> {
    place: Place,
    indexes: I,
    types: Types<(K, V, E)>,
}

impl<K, V, I, E> IndexedMap<K, V, I, E> {
    /// The map of a name, 1 to 64 bytes, which no other table of the guest has; with its indexes.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex};
    /// const NUMBERS: IndexedMap<u32, u64, (MultiIndex<bool, u32, u64>,)> = IndexedMap::new(
    ///     "numbers",
    ///     (MultiIndex::new("odd", |_, number| number % 2 == 1),),
    /// );
    /// assert!(!NUMBERS.has(1));
    /// ```
    pub const fn new(name: &'static str, indexes: I) -> Self {
        Self {
            place: Place::new(name),
            indexes,
            types: PhantomData,
        }
    }

    /// Its name.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// assert_eq!(NUMBERS.name(), "numbers");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.place.name()
    }

    /// The values: where an index has its name's length stands a zero.
    fn primary(&self) -> Map<K, V, E> {
        Map::at(self.place.below(|prefix| prefix.push(0)))
    }
}

impl<K: Key + 'static, V: 'static, I: Indexes<K, V>, E: Encoding<V>> IndexedMap<K, V, I, E> {
    /// The key under which a value is stored.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// let stored = metashrew_core::get(NUMBERS.stored_key(1).into());
    /// assert_eq!(*stored, 7u64.to_le_bytes());
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn stored_key(&self, key: impl AsKey<K>) -> Vec<u8> {
        self.primary().stored_key(key)
    }

    /// Whether a key has a value.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// assert!(NUMBERS.has(1) && !NUMBERS.has(7));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn has(&self, key: impl AsKey<K>) -> bool {
        self.primary().has(key)
    }

    /// The value of a key, if it has one.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// assert_eq!((NUMBERS.get(1)?, NUMBERS.get(2)?), (Some(7), None));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the stored bytes are no such value.
    pub fn get(&self, key: impl AsKey<K>) -> Result<Option<V>, StorageError> {
        self.primary().get(key)
    }

    /// Gives a key a value.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// NUMBERS.set(1, &8)?;
    /// // The entries of 7 are gone from the indexes.
    /// assert_eq!(NUMBERS.find(|by| &by.1, 7)?, None);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If another key has the same entry in a unique index; if the value cannot be encoded, a key is
    /// too long, or the value that was there cannot be decoded.
    pub fn set(&self, key: impl AsKey<K>, value: &V) -> Result<(), StorageError> {
        let old = self.get(&key)?;
        let owned = self.owned(&key)?;
        for index in self.indexes.all() {
            index.check(&self.place, &owned, value)?;
        }
        // Nothing else can fail from here on: what the indexes write, they checked.
        self.primary().set(key, value)?;
        for index in self.indexes.all() {
            index.change(&self.place, &owned, old.as_ref(), Some(value))?;
        }
        Ok(())
    }

    /// Makes a key absent: the value that it had.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// assert_eq!(NUMBERS.remove(1)?, Some(7));
    /// assert!(NUMBERS.unique(|by| &by.1).is_empty()?);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If the value that was there cannot be decoded.
    pub fn remove(&self, key: impl AsKey<K>) -> Result<Option<V>, StorageError> {
        let old = self.get(&key)?;
        if let Some(old) = &old {
            let owned = self.owned(&key)?;
            for index in self.indexes.all() {
                index.change(&self.place, &owned, Some(old), None)?;
            }
            self.primary().remove(key);
        }
        Ok(old)
    }

    /// Gives a key the value that `change` makes of what it has; with `None` it is removed.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// NUMBERS.update(1, |number| Ok::<_, StorageError>(number.map(|number| number + 1)))?;
    /// assert_eq!(NUMBERS.find(|by| &by.1, 8)?, Some((1, 8)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// Those of `change`, after which the value is as before, and those of [`set`](Self::set).
    pub fn update<F: From<StorageError>>(
        &self,
        key: impl AsKey<K>,
        change: impl FnOnce(Option<&V>) -> Result<Option<V>, F>,
    ) -> Result<(), F> {
        // What `change` itself writes to the map is looked at anew.
        match change(self.get(&key)?.as_ref())? {
            Some(value) => self.set(key, &value)?,
            None => drop(self.remove(key)?),
        }
        Ok(())
    }

    /// What stands for a key, as a key.
    fn owned(&self, key: &impl AsKey<K>) -> Result<K, StorageError> {
        let bytes = encoded::<K>(key);
        let owned = K::decode(&mut &bytes[..]);
        owned.ok_or_else(|| self.place.bad_key::<K>(bytes))
    }

    /// All keys and values, in order.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(2, &7)?;
    /// NUMBERS.set(1, &8)?;
    /// assert_eq!(NUMBERS.rows().first()?, Some((1, 8)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn rows(&self) -> Rows<K, V, E> {
        self.primary().rows()
    }

    /// The keys of a range and their values, in order.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(2, &7)?;
    /// NUMBERS.set(1, &8)?;
    /// assert_eq!(NUMBERS.range(2..).first()?, Some((2, 7)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn range(&self, keys: impl RangeBounds<K>) -> Rows<K, V, E> {
        self.rows().range(keys)
    }

    /// What has a first part, by the other parts.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex};
    /// # type By = (MultiIndex<bool, (u32, u32), u64>,);
    /// # const NUMBERS: IndexedMap<(u32, u32), u64, By> = IndexedMap::new(
    /// #     "numbers",
    /// #     (MultiIndex::new("odd", |_, number| number % 2 == 1),),
    /// # );
    /// NUMBERS.set((1, 5), &7)?;
    /// NUMBERS.set((2, 6), &8)?;
    /// assert_eq!(NUMBERS.prefix(2).first()?, Some((6, 8)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn prefix(&self, first: impl AsKey<K::First>) -> Rows<K::Rest, V, E>
    where
        K: CompoundKey,
    {
        self.rows().prefix(first)
    }

    /// The entries of a multi index: what it is over, and the key of the value. They are in this order,
    /// so [`prefix`](Rows::prefix) gives the keys of one entry, and
    /// [`prefix_range`](Rows::prefix_range) those of some.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// NUMBERS.set(2, &8)?;
    /// let entries: Vec<_> = NUMBERS.multi(|by| &by.0).keys().collect::<Result<_, _>>()?;
    /// assert_eq!(entries, [(false, 2), (true, 1)]);
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn multi<Q: Key>(&self, pick: impl FnOnce(&I) -> &MultiIndex<Q, K, V>) -> Rows<(Q, K), ()> {
        Rows::new(pick(&self.indexes).place(&self.place))
    }

    /// The entries of a unique index, each with the key of the value.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &8)?;
    /// NUMBERS.set(2, &7)?;
    /// assert_eq!(NUMBERS.unique(|by| &by.1).first()?, Some((7, 2)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    pub fn unique<Q: Key>(
        &self,
        pick: impl FnOnce(&I) -> &UniqueIndex<Q, K, V>,
    ) -> Rows<Q, K, PrimaryKey> {
        Rows::new(pick(&self.indexes).place(&self.place))
    }

    /// The one value that has an entry in a unique index, and its key.
    ///
    /// ```
    /// # use metashrew_core::storage::{IndexedMap, MultiIndex, StorageError, UniqueIndex};
    /// # type By = (MultiIndex<bool, u32, u64>, UniqueIndex<u64, u32, u64>);
    /// # const NUMBERS: IndexedMap<u32, u64, By> = IndexedMap::new("numbers", (
    /// #     MultiIndex::new("odd", |_, number| number % 2 == 1),
    /// #     UniqueIndex::new("number", |_, number| *number),
    /// # ));
    /// NUMBERS.set(1, &7)?;
    /// assert_eq!(NUMBERS.find(|by| &by.1, 7)?, Some((1, 7)));
    /// # Ok::<_, metashrew_core::storage::StorageError>(())
    /// ```
    ///
    /// # Errors
    /// If stored bytes cannot be decoded.
    pub fn find<Q: Key>(
        &self,
        pick: impl FnOnce(&I) -> &UniqueIndex<Q, K, V>,
        entry: impl AsKey<Q>,
    ) -> Result<Option<(K, V)>, StorageError> {
        let Some(key) = pick(&self.indexes).holder(&self.place, entry)? else {
            return Ok(None);
        };
        let value = self.get(&key)?;
        Ok(value.map(|value| (key, value)))
    }
}

impl<K: Key + 'static, V: 'static, I: Indexes<K, V>, E: Encoding<V>> Table
    for IndexedMap<K, V, I, E>
{
    fn describe(&self) -> Vec<Described> {
        let primary = self.primary().describe().into_iter();
        let primary = primary.map(|described| Described {
            kind: "indexed_map",
            ..described
        });
        let indexes = self.indexes.all().map(|index| index.describe(&self.place));
        primary.chain(indexes).collect()
    }
}

//! What tables say of their keys, for `__meta`; and the macro that declares them.

use super::key::Key;
use super::place::Place;
use crate::entry;
use metashrew_abi::proto::{IndexerMetadata, KeyPart, Storage};

/// Some keys of a table, as the table knows them.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Described {
    pub(super) name: String,
    pub(super) prefix: Vec<u8>,
    pub(super) kind: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) value: String,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Empty where the author may name it.
    pub(super) name: String,
    pub(super) ty: String,
}

impl Described {
    pub(super) fn new(kind: &'static str, value: String) -> Self {
        Self {
            name: String::new(),
            prefix: Vec::new(),
            kind,
            parts: Vec::new(),
            value,
        }
    }

    fn unnamed(&self) -> usize {
        let unnamed = self.parts.iter().filter(|part| part.name.is_empty());
        unnamed.count()
    }

    /// With a part that has a name of its own, at the end.
    pub(super) fn part(mut self, name: &str, ty: &str) -> Self {
        let (name, ty) = (name.to_owned(), ty.to_owned());
        self.parts.push(Part { name, ty });
        self
    }

    /// With the parts of a key in front.
    pub(super) fn keyed<K: Key>(mut self) -> Self {
        let name = String::new;
        let parts = types::<K>().into_iter().map(|ty| Part { name: name(), ty });
        self.parts.splice(0..0, parts);
        self
    }

    /// With the parts of a key in front that are called after the whole.
    pub(super) fn keyed_by<K: Key>(self, whole: &str) -> Self {
        let named = self.keyed::<K>();
        let count = types::<K>().len();
        let parts = named.parts.into_iter().enumerate().map(|(index, part)| {
            let name = match (index < count, count) {
                (false, _) => part.name,
                (true, 1) => whole.to_owned(),
                (true, _) => format!("{whole}{index}"),
            };
            Part { name, ..part }
        });
        Self {
            parts: parts.collect(),
            ..named
        }
    }

    /// Under the name of a table's index.
    pub(super) fn of_index(self, index: &str) -> Self {
        Self {
            name: format!("{}.{index}", self.name),
            ..self
        }
    }

    /// Where they are.
    pub(super) fn at(self, place: &Place) -> Self {
        Self {
            name: place.name().to_owned(),
            prefix: place.prefix(),
            ..self
        }
    }
}

/// What [`storage!`](crate::storage!) declares.
///
/// ```
/// use metashrew_core::storage::{Counter, Map, Table};
/// fn is_table(_: &impl Table) {}
/// is_table(&Counter::<u64>::new("transfers"));
/// is_table(&Map::<u32, String>::new("names"));
/// ```
pub trait Table {
    /// Its keys.
    #[doc(hidden)]
    fn describe(&self) -> Vec<Described>;
}

/// A table's layout, with the author's words about it and names for the parts of its key.
///
/// # Panics
/// If there are more names than parts, or two indexes of one name.
#[doc(hidden)]
pub fn layout(table: &dyn Table, doc: &[&str], names: &[&str]) -> Vec<Storage> {
    let doc: Vec<_> = doc.iter().map(|line| line.trim()).collect();
    let doc = doc.join("\n");
    let all = table.describe();
    // What follows the first are its indexes.
    if let Some(described) = all.first() {
        let unnamed = described.unnamed();
        assert!(
            names.len() <= unnamed,
            "the key of `{}` has {unnamed} parts to be named, and names for {}",
            described.name,
            names.len(),
        );
    }
    let whole: Vec<_> = all.iter().map(|described| &*described.name).collect();
    assert!(all_differ(&whole), "two have one name: {whole:?}");
    all.into_iter()
        .map(|described| Storage {
            key: key_parts(&described, names),
            name: described.name,
            prefix: described.prefix,
            kind: described.kind.to_owned(),
            value: described.value,
            doc: doc.clone(),
        })
        .collect()
}

fn key_parts(described: &Described, names: &[&str]) -> Vec<KeyPart> {
    let numbered = described.unnamed() > 1;
    let mut names = names.iter();
    let parts = described.parts.iter();
    parts
        .enumerate()
        .map(|(index, part)| KeyPart {
            name: if !part.name.is_empty() {
                part.name.clone()
            } else if let Some(name) = names.next() {
                (*name).to_owned()
            } else if numbered {
                format!("key{index}")
            } else {
                "key".to_owned()
            },
            ty: part.ty.clone(),
        })
        .collect()
}

/// The types of a key's parts.
pub(super) fn types<K: Key>() -> Vec<String> {
    let mut types = Vec::new();
    K::types(&mut types);
    types
}

/// Hands the host a part of `__meta`.
#[doc(hidden)]
pub fn export(storage: Vec<Storage>) -> i32 {
    entry::piece(IndexerMetadata {
        storage,
        ..IndexerMetadata::default()
    })
}

/// Whether no two of these are the same.
#[doc(hidden)]
pub const fn all_differ(names: &[&str]) -> bool {
    let mut rest = names;
    while let [first, others @ ..] = rest {
        let mut others_left = others;
        while let [other, behind @ ..] = others_left {
            if same(first.as_bytes(), other.as_bytes()) {
                return false;
            }
            others_left = behind;
        }
        rest = others;
    }
    true
}

const fn same(mut left: &[u8], mut right: &[u8]) -> bool {
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if *a != *b {
            return false;
        }
        left = left_rest;
        right = right_rest;
    }
    left.is_empty() && right.is_empty()
}

/// Declares tables, so that `__meta` tells of them.
///
/// `metashrew keys --indexer GUEST` then prints the names of tables and the parts of keys, and
/// `metashrew inspect` lists them.
///
/// ```
/// use metashrew_core::storage::{List, Map};
///
/// metashrew_core::storage! {
///     /// What an owner holds of a token.
///     pub const BALANCES: Map<([u8; 20], u32), u128> = Map::new("balances") => (owner, token);
///     /// The hashes of all blocks.
///     const BLOCKS: List<[u8; 32]> = List::new("blocks");
/// }
///
/// BALANCES.set(([7; 20], 1), &21)?;
/// BLOCKS.push(&[0; 32])?;
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// Each is a constant like any other. The names in brackets are for the parts of its key, in their
/// order; without them a part is `key`, or `key0`, `key1`… Two tables of one name are an error of the
/// compiler: within the macro by a check, in one guest because each table has a symbol of its
/// name.
///
/// ```compile_fail
/// use metashrew_core::storage::Item;
///
/// metashrew_core::storage! {
///     const TIP: Item<u32> = Item::new("tip");
///     const BEST: Item<u64> = Item::new("tip");
/// }
/// ```
///
/// With `fn NAME;` first, it also makes a function that lists the layouts:
///
/// ```
/// use metashrew_core::storage::Map;
///
/// metashrew_core::storage! {
///     pub fn tables;
///     const BALANCES: Map<([u8; 20], u32), u128> = Map::new("balances") => (owner, token);
/// }
///
/// let tables = tables();
/// assert_eq!((&*tables[0].name, &*tables[0].kind), ("balances", "map"));
/// assert_eq!((&*tables[0].key[0].name, &*tables[0].key[0].ty), ("owner", "bytes[20]"));
/// ```
#[macro_export]
macro_rules! storage {
    (
        $tables_visibility:vis fn $tables:ident;
        $($(#[doc = $doc:literal])* $visibility:vis const $table:ident: $type:ty =
            $($constructor:ident)::+($name:literal $(, $argument:expr)* $(,)?)
            $(=> ($($part:ident),* $(,)?))?;)+
    ) => {
        $crate::storage! {
            $($(#[doc = $doc])* $visibility const $table: $type =
                $($constructor)::+($name $(, $argument)*) $(=> ($($part),*))?;)+
        }

        /// The layouts of the tables declared here.
        $tables_visibility fn $tables() -> ::std::vec::Vec<$crate::storage::Storage> {
            let layouts = [$($crate::storage::layout(
                &$table,
                &[$($doc),*],
                &[$($(::core::stringify!($part)),*)?],
            )),+];
            layouts.concat()
        }
    };
    (
        $($(#[doc = $doc:literal])* $visibility:vis const $table:ident: $type:ty =
            $($constructor:ident)::+($name:literal $(, $argument:expr)* $(,)?)
            $(=> ($($part:ident),* $(,)?))?;)+
    ) => {
        $(
            $(#[doc = $doc])*
            $visibility const $table: $type = $($constructor)::+($name $(, $argument)*);

            const _: () = {
                #[cfg_attr(
                    all(target_arch = "wasm32", not(test)),
                    unsafe(export_name = ::core::concat!("__metashrew_meta.storage.", $name))
                )]
                #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
                extern "C" fn __meta_of_table(_reserved: i32) -> i32 {
                    $crate::storage::export($crate::storage::layout(
                        &$table,
                        &[$($doc),*],
                        &[$($(::core::stringify!($part)),*)?],
                    ))
                }
            };
        )+

        const _: () = ::core::assert!(
            $crate::storage::all_differ(&[$($name),+]),
            "two tables have one name",
        );
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Counter, IndexedMap, List, Map, MultiIndex, Nested, Set, UniqueIndex};

    crate::storage! {
        fn tables;
        /// What an owner holds.
        /// Of each token.
        const BALANCES: Map<([u8; 20], u32), u128> = Map::new("balances") => (owner, token);
        const HISTORY: Nested<String, List<(u32, bool)>> = Nested::new("history") => (owner);
        const PAIRS: Set<(u8, i64)> = Set::new("pairs");
        const TOTALS: Nested<u8, Counter> = crate::storage::Nested::new("totals");
    }

    #[test]
    fn tables_are_described() {
        let shown: Vec<_> = tables()
            .iter()
            .map(|table| {
                let part = |part: &KeyPart| format!("{}: {}", part.name, part.ty);
                let parts: Vec<_> = table.key.iter().map(part).collect();
                let parts = parts.join(", ");
                format!("{} {}({parts}) {}", table.kind, table.name, table.value)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "map balances(owner: bytes[20], token: u32) u128",
                "list history(owner: string, index: u64) (u32, bool)",
                "set pairs(key0: u8, key1: i64) ",
                "counter totals(key: u8) u64",
            ]
        );
        assert_eq!(tables()[0].doc, "What an owner holds.\nOf each token.");
        assert_eq!(tables()[0].prefix, b"\xff\x08balances");
    }

    #[test]
    fn stored_keys_are_decoded_by_the_layouts() {
        let check = |key: Vec<u8>, expect: &str| {
            let tables = tables();
            let decoded = metashrew_abi::layout::decode(&tables, &key);
            assert_eq!(decoded.unwrap().to_string(), expect);
        };
        let owner = "0x0707070707070707070707070707070707070707";
        check(
            BALANCES.stored_key(([7; 20], 9)),
            &format!("balances(owner = {owner}, token = 9)"),
        );
        let list = HISTORY.at("a\0b");
        check(list.stored_key(5), r#"history(owner = "a\0b", index = 5)"#);
        check(PAIRS.stored_key((1, -2)), "pairs(key0 = 1, key1 = -2)");
        check(TOTALS.at(3).stored_key(), "totals(key = 3)");
    }

    #[test]
    #[should_panic(expected = "`balances` has 2 parts to be named, and names for 3")]
    fn too_many_names_are_refused() {
        layout(&BALANCES, &[], &["a", "b", "c"]);
    }

    #[test]
    #[should_panic(expected = "two have one name")]
    fn indexes_of_one_name_are_refused() {
        type Indexes = (MultiIndex<u8, u8, u8>, UniqueIndex<u8, u8, u8>);
        let indexes: Indexes = (
            MultiIndex::new("digit", |_, value| value % 10),
            UniqueIndex::new("digit", |_, value| *value),
        );
        layout(&IndexedMap::<_, _, _>::new("numbers", indexes), &[], &[]);
    }

    #[test]
    fn equal_names_are_found() {
        assert!(all_differ(&[]));
        assert!(all_differ(&["a", "ab", "b"]));
        assert!(!all_differ(&["a", "ab", "b", "ab"]));
        assert!(!all_differ(&["", ""]));
    }
}

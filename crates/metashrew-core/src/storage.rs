//! Tables: typed values under typed keys, over [`get`](crate::get) and [`set`](crate::set).
//!
//! | type | what it is |
//! |---|---|
//! | [`Item`] | one value |
//! | [`Map`] | values by key, in order; keys are numbers, text, bytes or tuples of them |
//! | [`Set`] | keys without values |
//! | [`List`] | values by index; grows and shrinks at the end |
//! | [`Deque`] | the same at both ends |
//! | [`Counter`] | a number; what does not fit is an error |
//! | [`IndexedMap`] | a map that can be asked by what is in its values |
//! | [`Nested`] | one of the others for each key |
//!
//! A table is a constant. It holds nothing but its name, so it can be used from everywhere:
//!
//! ```
//! use metashrew_core::storage::{Counter, Map, StorageError};
//!
//! metashrew_core::storage! {
//!     /// What an owner holds of a token.
//!     const BALANCES: Map<(String, u32), u128> = Map::new("balances") => (owner, token);
//!     /// How many transfers there were.
//!     const TRANSFERS: Counter = Counter::new("transfers");
//! }
//!
//! fn transfer(from: &str, to: &str, token: u32, amount: u128) -> Result<(), String> {
//!     let text = |error: StorageError| error.to_string();
//!     let held = BALANCES.get((from, token)).map_err(text)?.unwrap_or_default();
//!     let left = held.checked_sub(amount).ok_or("not enough")?;
//!     BALANCES.set((from, token), &left).map_err(text)?;
//!     let held = BALANCES.get((to, token)).map_err(text)?.unwrap_or_default();
//!     BALANCES.set((to, token), &(held + amount)).map_err(text)?;
//!     TRANSFERS.add(1).map_err(text)?;
//!     Ok(())
//! }
//!
//! BALANCES.set(("ann", 1), &10)?;
//! transfer("ann", "ben", 1, 4).unwrap();
//! assert_eq!(BALANCES.get(("ben", 1))?, Some(4));
//! # Ok::<_, StorageError>(())
//! ```
//!
//! # Keys
//!
//! A stored key is `ff`, the length of the table's name (one byte), the name, and the parts of the
//! key as [`Key`] writes them. From that follows:
//!
//! - Two tables with different names have no key in common, and no range of one reaches into
//!   another: names are told apart by their length and bytes.
//! - Two keys of one table are never the same bytes, and none begins another.
//! - Bytes are in the order of the keys, so ranges are what one expects of a `BTreeMap`.
//! - No key is that of a pointer which begins with text, since UTF-8 has no `ff`. A pointer whose
//!   first bytes are data may have any bytes: that it begins like a table is as likely as
//!   the data makes it.
//!
//! Two tables of one name would share their keys. [`storage!`](crate::storage!) makes that an error
//! of the compiler; for tables that it does not declare, nobody looks.
//!
//! # Values
//!
//! A value is written as [`Value`] says, or by an [`Encoding`] that the table names. What is there
//! has one byte at least, so that it is not taken for absent; to remove writes no bytes, which the
//! host and every read take as absent.
//!
//! Stored bytes that are no key or no value of the table's types are a [`StorageError`], which names
//! the table and the key. Types that change need a new state or a new name.
//!
//! Nothing is kept back: each change is a [`set`](crate::set), which the block's flush hands to
//! the host. Nothing is written when a value goes out of scope.

mod codec;
mod counter;
mod deque;
mod error;
mod index;
mod indexed;
mod item;
mod key;
mod layout;
mod list;
mod map;
mod nested;
mod place;
mod reading;
mod rows;
mod set;
mod value;

#[doc(hidden)]
pub use codec::named;
pub use codec::{Encoding, EncodingError, Native};
pub use counter::{Count, Counter};
pub use deque::Deque;
pub use error::StorageError;
pub use index::{Index, Indexes, MultiIndex, PrimaryKey, UniqueIndex};
pub use indexed::IndexedMap;
pub use item::Item;
pub use key::{AsKey, CompoundKey, Key, TextKey};
pub use layout::Table;
#[doc(hidden)]
pub use layout::{all_differ, export, layout};
pub use list::List;
pub use map::Map;
#[doc(hidden)]
pub use metashrew_abi::proto::Storage;
pub use nested::{Container, Nested};
pub use reading::{Iter, Keys, RowPage};
pub use rows::Rows;
pub use set::Set;
pub use value::{Compact, Value};

//! Pointers into a key-value space: values, lists and linked lists under keys
//! that grow by appending.
//!
//! A list lives under `key/length` (u32) and `key/0`, `key/1`…; a linked list
//! adds `key/head` and `key/next` ++ index (u32), where 0 says "the end".
#![allow(clippy::ptr_arg, reason = "the signatures are fixed")]

use crate::byte_view::ByteView;
use std::io::Write;
use std::sync::Arc;

/// A key, and what guests do with it.
///
/// An absent value reads as an empty one. Nothing is ever deleted: to
/// [`nullify`](KeyValuePointer::nullify) writes a zero byte.
///
/// Keys and bytes are those that existing guests' state is made of, faults included:
/// see [`delete_value`](KeyValuePointer::delete_value).
///
/// ```
/// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
/// # use memory::*;
/// let mut balance = Memory::from_keyword("/balance/").keyword("alice");
/// balance.set_value(balance.get_value::<u64>() + 5);
/// assert_eq!(balance.get_value::<u64>(), 5);
/// ```
pub trait KeyValuePointer {
    /// The pointer to the key `word`.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert_eq!(*Memory::wrap(&b"/a".to_vec()).unwrap(), b"/a");
    /// ```
    fn wrap(word: &Vec<u8>) -> Self;
    /// The key.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let pointer = Memory::from_keyword("/a").keyword("/b");
    /// assert_eq!(*pointer.unwrap(), b"/a/b");
    /// ```
    fn unwrap(&self) -> Arc<Vec<u8>>;
    /// Writes the value.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let mut name = Memory::from_keyword("/name");
    /// name.set(Arc::new(b"alice".to_vec()));
    /// assert_eq!(*name.get(), b"alice");
    /// ```
    fn set(&mut self, v: Arc<Vec<u8>>);
    /// Reads the value; empty if absent.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert!(Memory::from_keyword("/absent").get().is_empty());
    /// ```
    fn get(&self) -> Arc<Vec<u8>>;
    /// Takes over what `from` has besides its key, such as open checkpoints.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let (mut pointer, other) = (Memory::from_keyword("/a"), Memory::from_keyword("/b"));
    /// pointer.inherits(&other);
    /// assert_eq!(*pointer.unwrap(), b"/a"); // The key stays its own.
    /// ```
    fn inherits(&mut self, from: &Self);

    /// The pointer to the key `key`, with what this one has besides its own.
    ///
    /// All pointers to longer keys are made by it. An implementation that need not
    /// copy the key should say so by its own.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let pointer = Memory::from_keyword("/a").with_key(b"/b".to_vec());
    /// assert_eq!(*pointer.unwrap(), b"/b");
    /// ```
    #[must_use]
    fn with_key(&self, key: Vec<u8>) -> Self
    where
        Self: Sized,
    {
        let mut pointer = Self::wrap(&key);
        pointer.inherits(self);
        pointer
    }

    /// The pointer to this key and `word` behind it.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let pointer = Memory::from_keyword("/id/").select(&vec![0xab, 0xcd]);
    /// assert_eq!(*pointer.unwrap(), b"/id/\xab\xcd");
    /// ```
    #[must_use]
    fn select(&self, word: &Vec<u8>) -> Self
    where
        Self: Sized,
    {
        longer(self, word.len(), |key| key.extend_from_slice(word))
    }

    /// The pointer to the key `word`.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert_eq!(*Memory::from_keyword("/tip").unwrap(), b"/tip");
    /// ```
    fn from_keyword(word: &str) -> Self
    where
        Self: Sized,
    {
        Self::wrap(&word.as_bytes().to_vec())
    }

    /// The pointer to this key and `word` behind it.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let pointer = Memory::from_keyword("/rune").keyword("/symbol");
    /// assert_eq!(*pointer.unwrap(), b"/rune/symbol");
    /// ```
    #[must_use]
    fn keyword(&self, word: &str) -> Self
    where
        Self: Sized,
    {
        longer(self, word.len(), |key| {
            key.extend_from_slice(word.as_bytes());
        })
    }

    /// Writes a number.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let mut tip = Memory::from_keyword("/tip");
    /// tip.set_value(7u32);
    /// assert_eq!(*tip.get(), [7, 0, 0, 0]);
    /// ```
    fn set_value<T: ByteView>(&mut self, v: T) {
        self.set(Arc::new(v.to_bytes()));
    }

    /// Reads a number; zero if absent.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let mut tip = Memory::from_keyword("/tip");
    /// assert_eq!(tip.get_value::<u32>(), 0);
    /// tip.set_value(7u32);
    /// assert_eq!(tip.get_value::<u32>(), 7);
    /// ```
    fn get_value<T: ByteView>(&self) -> T {
        let bytes = self.get();
        if bytes.is_empty() {
            T::zero()
        } else {
            T::from_slice(&bytes)
        }
    }

    /// The pointer to this key and the bytes of `key` behind it.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let pointer = Memory::from_keyword("/at/").select_value(7u32);
    /// assert_eq!(*pointer.unwrap(), b"/at/\x07\0\0\0");
    /// ```
    #[must_use]
    fn select_value<T: ByteView>(&self, key: T) -> Self
    where
        Self: Sized,
    {
        longer(self, size_of::<T>(), |bytes| key.append_to(bytes))
    }

    /// Where a list keeps its length.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert_eq!(*Memory::from_keyword("/list").length_key().unwrap(), b"/list/length");
    /// ```
    #[must_use]
    fn length_key(&self) -> Self
    where
        Self: Sized,
    {
        self.keyword("/length")
    }

    /// Where a linked list keeps the index of its first item.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert_eq!(*Memory::from_keyword("/list").head_key().unwrap(), b"/list/head");
    /// ```
    #[must_use]
    fn head_key(&self) -> Self
    where
        Self: Sized,
    {
        self.keyword("/head")
    }

    /// Where a linked list keeps the index after `i`.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let next = Memory::from_keyword("/list").next_key(7);
    /// assert_eq!(*next.unwrap(), b"/list/next\x07\0\0\0");
    /// ```
    #[must_use]
    fn next_key(&self, i: u32) -> Self
    where
        Self: Sized,
    {
        longer(self, 9, |key| {
            key.extend_from_slice(b"/next");
            i.append_to(key);
        })
    }

    /// The length of the list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u32);
    /// assert_eq!(list.length(), 1);
    /// ```
    fn length(&self) -> u32
    where
        Self: Sized,
    {
        self.length_key().get_value()
    }

    /// The pointer to an item of the list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u32);
    /// assert_eq!(*list.select_index(0).unwrap(), b"/list/0");
    /// assert_eq!(list.select_index(0).get_value::<u32>(), 7);
    /// ```
    #[must_use]
    fn select_index(&self, index: u32) -> Self
    where
        Self: Sized,
    {
        longer(self, 11, |key| {
            write!(key, "/{index}").expect("a vector takes all that is written");
        })
    }

    /// Nullifies an item of the list here; the length stays.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u8);
    /// list.drop_index(0);
    /// assert_eq!(list.get_list_values::<u8>(), [0]);
    /// ```
    fn drop_index(&self, index: u32)
    where
        Self: Sized,
    {
        self.select_index(index).nullify();
    }

    /// All items of the list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append(Arc::new(b"a".to_vec()));
    /// list.append(Arc::new(b"b".to_vec()));
    /// assert_eq!(list.get_list(), [b"a", b"b"].map(|item| Arc::new(item.to_vec())));
    /// ```
    fn get_list(&self) -> Vec<Arc<Vec<u8>>>
    where
        Self: Sized,
    {
        (0..self.length())
            .map(|i| self.select_index(i).get())
            .collect()
    }

    /// All items of the list here, as numbers.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u32);
    /// list.append_value(8u32);
    /// assert_eq!(list.get_list_values::<u32>(), [7, 8]);
    /// ```
    fn get_list_values<T: ByteView>(&self) -> Vec<T>
    where
        Self: Sized,
    {
        (0..self.length())
            .map(|i| self.select_index(i).get_value())
            .collect()
    }

    /// Writes a single zero byte.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let mut tip = Memory::from_keyword("/tip");
    /// tip.set_value(7u8);
    /// tip.nullify();
    /// assert_eq!(*tip.get(), [0]);
    /// ```
    fn nullify(&mut self) {
        self.set(Arc::new(vec![0]));
    }

    /// Writes `v`, or nullifies if `v` holds nothing but zeros.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let mut id = Memory::from_keyword("/id");
    /// id.set_or_nullify(Arc::new(vec![0, 0, 0]));
    /// assert_eq!(*id.get(), [0]);
    /// id.set_or_nullify(Arc::new(vec![0, 7, 0]));
    /// assert_eq!(*id.get(), [0, 7, 0]);
    /// ```
    fn set_or_nullify(&mut self, v: Arc<Vec<u8>>) {
        if v.iter().all(|&byte| byte == 0) {
            self.nullify();
        } else {
            self.set(v);
        }
    }

    /// Takes the last item off the list here; empty if there is none.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append(Arc::new(b"a".to_vec()));
    /// assert_eq!(*list.pop(), b"a");
    /// assert!(list.pop().is_empty());
    /// ```
    fn pop(&self) -> Arc<Vec<u8>>
    where
        Self: Sized,
    {
        shorten(self).map(|last| last.get()).unwrap_or_default()
    }

    /// Takes the last number off the list here; zero if there is none.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u32);
    /// assert_eq!((list.pop_value::<u32>(), list.length()), (7, 0));
    /// ```
    fn pop_value<T: ByteView>(&self) -> T
    where
        Self: Sized,
    {
        shorten(self).map_or_else(T::zero, |last| last.get_value())
    }

    /// Adds an item to the list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append(Arc::new(b"a".to_vec()));
    /// assert_eq!(*list.select_index(0).get(), b"a");
    /// ```
    fn append(&self, v: Arc<Vec<u8>>)
    where
        Self: Sized,
    {
        self.extend().set(v);
    }

    /// Adds a number to the list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_value(7u32);
    /// assert_eq!(list.get_list_values::<u32>(), [7]);
    /// ```
    fn append_value<T: ByteView>(&self, v: T)
    where
        Self: Sized,
    {
        self.extend().set_value(v);
    }

    /// Adds an item to the linked list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_ll(Arc::new(b"a".to_vec()));
    /// list.append_ll(Arc::new(b"b".to_vec()));
    /// let items = list.map_ll(|item, _| item.get().to_vec());
    /// assert_eq!(items, [b"a", b"b"]);
    /// ```
    fn append_ll(&self, v: Arc<Vec<u8>>)
    where
        Self: Sized,
    {
        self.extend_ll().set(v);
    }

    /// Makes the list here one longer: the pointer to its new item.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.extend().set_value(7u32);
    /// assert_eq!(list.get_list_values::<u32>(), [7]);
    /// ```
    #[allow(clippy::return_self_not_must_use, reason = "it writes the length")]
    fn extend(&self) -> Self
    where
        Self: Sized,
    {
        let length = self.length();
        self.length_key().set_value(length + 1);
        self.select_index(length)
    }

    /// Makes the linked list here one longer: the pointer to its new item.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.extend_ll().set_value(7u32);
    /// assert_eq!(list.map_ll(|item, _| item.get_value::<u32>()), [7]);
    /// ```
    #[allow(clippy::return_self_not_must_use, reason = "it writes the length")]
    fn extend_ll(&self) -> Self
    where
        Self: Sized,
    {
        let length = self.length();
        if let Some(last) = length.checked_sub(1) {
            self.set_next_for(last, length);
        }
        self.length_key().set_value(length + 1);
        self.select_index(length)
    }

    /// The pointer to this key and `keyword` before it.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// assert_eq!(*Memory::from_keyword("/tip").prefix("/v2").unwrap(), b"/v2/tip");
    /// ```
    #[must_use]
    fn prefix(&self, keyword: &str) -> Self
    where
        Self: Sized,
    {
        self.with_key([keyword.as_bytes(), &self.unwrap()].concat())
    }

    /// Says that `v` comes after `i` in the linked list here.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.set_next_for(0, 2);
    /// assert_eq!(list.next_key(0).get_value::<u32>(), 2);
    /// ```
    fn set_next_for(&self, i: u32, v: u32)
    where
        Self: Sized,
    {
        self.next_key(i).set_value(v);
    }

    /// Writes a zero byte over item `i` of the linked list here and has what leads
    /// to it lead past it: the head, if `i` is the head, else item `i - 1`.
    ///
    /// It looks at nothing else, so it takes few reads, and goes wrong in three cases
    /// that existing state depends on. A neighbour that was deleted before is linked
    /// all the same, so `i` stays in the list. The last item stays the one that the
    /// next is appended to, which is then out of reach. The length never shrinks.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// for item in [b"a", b"b", b"c"] {
    ///     list.append_ll(Arc::new(item.to_vec()));
    /// }
    /// list.delete_value(1);
    /// assert_eq!(list.map_ll(|_, index| index), [0, 2]);
    /// ```
    fn delete_value(&self, i: u32)
    where
        Self: Sized,
    {
        let next: u32 = self.next_key(i).get_value();
        let mut head = self.head_key();
        if head.get_value::<u32>() == i {
            head.set_value(next);
        } else {
            // In wasm, as guests are built, the subtraction wraps.
            self.set_next_for(i.wrapping_sub(1), next);
        }
        self.drop_index(i);
    }

    /// Calls `f` with the pointer and the index of every item of the linked
    /// list here, in its order.
    ///
    /// ```
    /// # mod memory { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pointer.rs")); }
    /// # use memory::*;
    /// let list = Memory::from_keyword("/list");
    /// list.append_ll(Arc::new(vec![7]));
    /// list.append_ll(Arc::new(vec![8]));
    /// let found = list.map_ll(|item, index| (index, item.get_value::<u8>()));
    /// assert_eq!(found, [(0, 7), (1, 8)]);
    /// ```
    fn map_ll<T>(&self, mut f: impl FnMut(&mut Self, u32) -> T) -> Vec<T>
    where
        Self: Sized + Clone,
    {
        let length = self.length();
        let mut results = Vec::new();
        let mut index: u32 = self.head_key().get_value();
        while index < length {
            results.push(f(&mut self.select_index(index), index));
            index = self.next_key(index).get_value();
            if index == 0 {
                break;
            }
        }
        results
    }
}

/// The pointer to `origin`'s key and what `append` writes behind it, about `room` bytes.
fn longer<P: KeyValuePointer>(origin: &P, room: usize, append: impl FnOnce(&mut Vec<u8>)) -> P {
    let start = origin.unwrap();
    let mut key = Vec::with_capacity(start.len() + room);
    key.extend_from_slice(&start);
    append(&mut key);
    origin.with_key(key)
}

/// Makes a list one shorter: the pointer to what was its last item.
fn shorten<P: KeyValuePointer>(list: &P) -> Option<P> {
    let shorter = list.length().checked_sub(1)?;
    list.length_key().set_value(shorter);
    Some(list.select_index(shorter))
}

#[cfg(test)]
#[path = "index_pointer_tests.rs"]
mod tests;

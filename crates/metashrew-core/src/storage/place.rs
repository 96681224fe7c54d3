//! Where a table's records are: the beginning of its keys, and reads and writes of single ones.

use super::codec::{Encoding, from_stored, to_stored};
use super::error::StorageError;
use super::key::Key;
use super::layout::types;
use crate::host::MAX_KEY_BYTES;
use crate::{get, set};
use metashrew_abi::layout::{MARKER, MAX_NAME_BYTES};
use std::marker::PhantomData;
use std::sync::Arc;

/// The types of a table, which holds none of them.
pub(super) type Types<T> = PhantomData<fn() -> T>;

/// The beginning of a table's keys, or of a table's in a [`Nested`](super::Nested).
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Place {
    name: &'static str,
    /// All of the beginning; empty for a table of its own, which has its name for one.
    inner: Vec<u8>,
}

impl Place {
    /// The place of a table of its own.
    ///
    /// In a `const` or a `static`, a bad name is an error of the compiler.
    pub(super) const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty(), "a table needs a name");
        assert!(
            name.len() <= MAX_NAME_BYTES,
            "a table's name has at most 64 bytes"
        );
        Self {
            name,
            inner: Vec::new(),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The beginning of all its keys, with room for more.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(64);
        if self.inner.is_empty() {
            key.push(MARKER);
            // It has at most 64 bytes: `new` saw to that.
            key.push(u8::try_from(self.name.len()).unwrap_or_default());
            key.extend_from_slice(self.name.as_bytes());
        } else {
            key.extend_from_slice(&self.inner);
        }
        key
    }

    /// What follows the beginning of a key that is here.
    pub(super) fn strip<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        if self.inner.is_empty() {
            let rest = key.strip_prefix(&[MARKER])?;
            let (length, rest) = rest.split_first()?;
            let is_length = usize::from(*length) == self.name.len();
            return rest
                .strip_prefix(self.name.as_bytes())
                .filter(|_| is_length);
        }
        key.strip_prefix(&self.inner[..])
    }

    /// A place below this one.
    pub(super) fn below(&self, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut inner = self.prefix();
        write(&mut inner);
        Self {
            name: self.name,
            inner,
        }
    }

    /// A key here.
    pub(super) fn key(&self, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut key = self.prefix();
        write(&mut key);
        key
    }

    /// Whether a key has a value.
    pub(super) fn has(key: Vec<u8>) -> bool {
        !get(Arc::new(key)).is_empty()
    }

    pub(super) fn read<V, E: Encoding<V>>(&self, key: Vec<u8>) -> Result<Option<V>, StorageError> {
        let key = Arc::new(key);
        let stored = get(key.clone());
        if stored.is_empty() {
            return Ok(None);
        }
        self.decode::<V, E>(&key, &stored).map(Some)
    }

    /// The value that was stored at a key.
    pub(super) fn decode<V, E: Encoding<V>>(
        &self,
        key: &[u8],
        stored: &[u8],
    ) -> Result<V, StorageError> {
        from_stored::<V, E>(stored).map_err(|error| StorageError::Value {
            table: self.name,
            key: key.to_vec(),
            expected: E::type_name(),
            error,
        })
    }

    pub(super) fn write<V, E: Encoding<V>>(
        &self,
        key: Vec<u8>,
        value: &V,
    ) -> Result<(), StorageError> {
        self.check_key(&key)?;
        let stored = to_stored::<V, E>(value).map_err(|error| StorageError::Encode {
            table: self.name,
            error,
        })?;
        set(Arc::new(key), Arc::new(stored));
        Ok(())
    }

    /// Stored bytes are no key of the table's type.
    pub(super) fn bad_key<K: Key>(&self, key: Vec<u8>) -> StorageError {
        StorageError::Key {
            table: self.name,
            key,
            expected: types::<K>().join(", "),
        }
    }

    /// Refuses a key that would end the block.
    pub(super) fn check_key(&self, key: &[u8]) -> Result<(), StorageError> {
        if key.len() <= MAX_KEY_BYTES {
            return Ok(());
        }
        Err(StorageError::KeyTooLong {
            table: self.name,
            bytes: key.len(),
        })
    }

    /// Makes a key absent: whether it had a value. What is absent is not written.
    pub(super) fn remove(key: Vec<u8>) -> bool {
        let key = Arc::new(key);
        let had = !get(key.clone()).is_empty();
        if had {
            set(key, Arc::default());
        }
        had
    }
}

//! Ordered reads: the keys of a prefix, or between two keys, in order, page by page.
//!
//! A range shows what [`get`](crate::get) shows: the state that the call stands on, with the
//! call's own writes on top, flushed or not. A key with an empty value is not in it.
//!
//! ```
//! # metashrew_core::test_utils::reset();
//! use metashrew_core::range::{Cursor, Range};
//! use std::sync::Arc;
//!
//! for name in ["ann", "bob", "eve"] {
//!     let key = format!("/balance/{name}").into_bytes();
//!     metashrew_core::set(Arc::new(key), Arc::new(vec![1]));
//! }
//!
//! let balances = Range::prefix("/balance/").limit(2);
//! let page = balances.page()?;
//! assert_eq!(page.entries[1].key, b"/balance/bob");
//!
//! // A client gets the cursor as bytes, and asks with it for what follows.
//! let bytes = page.next.expect("there is a third").to_bytes();
//! let page = balances.after(&Cursor::from_bytes(bytes)).page()?;
//! assert_eq!(page.entries[0].key, b"/balance/eve");
//! assert_eq!(page.next, None);
//!
//! let newest = Range::prefix("/balance/").reverse().iter().next().expect("there are three")?;
//! assert_eq!(newest.key, b"/balance/eve");
//! # Ok::<(), metashrew_core::range::RangeError>(())
//! ```
//!
//! A guest that reads a range needs a host with the import module `metashrew` (docs/abi.md).
//! Each page asks the host: a range is not cached.
//!
//! What waits in the checkpoints of an [`AtomicPointer`](crate::index_pointer::AtomicPointer)
//! is not in a plain range, as a plain `get` does not see it. Its own
//! [`page`](crate::index_pointer::AtomicPointer::page) shows it.

mod cursor;
mod entries;
pub(crate) mod merge;
pub(crate) mod window;

pub use cursor::Cursor;
pub use entries::Entries;

use crate::cache;
use merge::{Merge, Own, Want};
use metashrew_abi::range::PAIR_OVERHEAD;
use metashrew_abi::{MAX_PAIRS, range as abi};
use window::Window;

/// The most entries in one page.
///
/// ```
/// # use metashrew_core::range::{MAX_LIMIT, Range};
/// assert!(Range::prefix("").limit(MAX_LIMIT).page().is_ok());
/// assert!(Range::prefix("").limit(MAX_LIMIT + 1).page().is_err());
/// ```
pub const MAX_LIMIT: usize = MAX_PAIRS;

/// The most bytes in one page, counted as [`Range::max_bytes`] says.
///
/// ```
/// # use metashrew_core::range::{MAX_BYTES, Range};
/// assert!(Range::prefix("").max_bytes(MAX_BYTES).page().is_ok());
/// assert!(Range::prefix("").max_bytes(MAX_BYTES + 1).page().is_err());
/// ```
pub const MAX_BYTES: usize = abi::MAX_BYTES;

/// A key and its value.
///
/// ```
/// # use metashrew_core::range::Range;
/// # for key in ["a/1", "a/2", "b/1"] {
/// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
/// # }
/// # use metashrew_core::range::Entry;
/// let Entry { key, value } = &Range::prefix("a/").page()?.entries[0];
/// assert_eq!((&key[..], &value[..]), (&b"a/1"[..], &[7][..]));
/// # Ok::<_, metashrew_core::range::RangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, with the range's prefix.
    pub key: Vec<u8>,
    /// Its value; empty if the range has [`keys_only`](Range::keys_only).
    pub value: Vec<u8>,
}

impl Entry {
    /// What it counts towards a page's bytes.
    fn counted(&self) -> usize {
        counted(self.key.len(), self.value.len())
    }
}

fn counted(key: usize, value: usize) -> usize {
    key + value + PAIR_OVERHEAD
}

/// Some entries of a range, in its order.
///
/// ```
/// # use metashrew_core::range::Range;
/// # for key in ["a/1", "a/2", "b/1"] {
/// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
/// # }
/// let page = Range::prefix("a/").limit(1).page()?;
/// assert_eq!(page.entries.len(), 1);
/// assert!(page.next.is_some());
/// # Ok::<_, metashrew_core::range::RangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` exactly if nothing follows.
    pub next: Option<Cursor>,
}

/// Why a range could not be read.
///
/// ```
/// # use metashrew_core::range::{Range, RangeError};
/// let error = Range::prefix("a/").limit(0).page().unwrap_err();
/// assert!(matches!(error, RangeError::Limit { asked: 0, .. }));
/// assert_eq!(error.to_string(), "a page has 1 to 65536 entries, not 0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The cursor names no key that the range may have, so it is of another range.
    #[error("the cursor is outside of the range")]
    CursorOutside,
    /// A page of no entries, or of too many.
    #[error("a page has 1 to {most} entries, not {asked}")]
    Limit {
        /// What was asked for.
        asked: usize,
        /// [`MAX_LIMIT`].
        most: usize,
    },
    /// More bytes than a page may have.
    #[error("a page has at most {most} bytes, not {asked}")]
    MaxBytes {
        /// What was asked for.
        asked: usize,
        /// [`MAX_BYTES`].
        most: usize,
    },
    /// The next entry alone has more bytes than a page may have. The cursor behind its key
    /// goes on after it.
    #[error(
        "the entry of the key \"{}\" counts {bytes} bytes, more than the {max_bytes} of a page",
        key.escape_ascii()
    )]
    EntryTooLarge {
        /// Its key.
        key: Vec<u8>,
        /// What it counts.
        bytes: usize,
        /// What a page may have.
        max_bytes: usize,
    },
}

/// Which keys to read, in which order, and how many at a time.
///
/// ```
/// # use metashrew_core::range::Range;
/// # for key in ["a/1", "a/2", "b/1"] {
/// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
/// # }
/// let keys: Vec<_> = (&Range::prefix("").reverse().limit(2))
///     .into_iter()
///     .map(|entry| entry.map(|entry| entry.key))
///     .collect::<Result<_, _>>()?;
/// assert_eq!(keys, [b"b/1", b"a/2"]);
/// # Ok::<_, metashrew_core::range::RangeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Range {
    window: Window,
    after: Option<Cursor>,
    limit: Option<usize>,
    max_bytes: Option<usize>,
    keys_only: bool,
}

impl Range {
    /// The keys that begin with `prefix`, in ascending order; all keys if it is empty.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// assert_eq!(Range::prefix("a/").page()?.entries.len(), 2);
    /// assert_eq!(Range::prefix("").page()?.entries.len(), 3);
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        Self::of(Window::of_prefix(prefix.as_ref()))
    }

    /// The keys from `start` on and before `end`, in ascending order; with an empty `end`, to
    /// the end of all keys.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// let page = Range::between("a/2", "b/1").page()?;
    /// assert_eq!(page.entries.len(), 1);
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    pub fn between(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self::of(Window::between(start.into(), end.into()))
    }

    fn of(window: Window) -> Self {
        Self {
            window,
            after: None,
            limit: None,
            max_bytes: None,
            keys_only: false,
        }
    }

    /// In descending order.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// let page = Range::prefix("a/").reverse().page()?;
    /// assert_eq!(page.entries[0].key, b"a/2");
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.window.descending = true;
        self
    }

    /// At most so many entries: of a page, 1 to [`MAX_LIMIT`], which is the default; or of
    /// the whole iteration, which has no bound of its own.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// assert_eq!(Range::prefix("").limit(2).page()?.entries.len(), 2);
    /// assert_eq!(Range::prefix("").limit(1).iter().count(), 1);
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    #[must_use]
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = Some(entries);
        self
    }

    /// At most so many bytes in a page, or held by an iteration at a time: [`MAX_BYTES`] is
    /// the default and the most. An entry counts with its key, its value (unless
    /// [`keys_only`](Self::keys_only)) and 8 bytes more.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// // Each entry counts 3 + 1 + 8.
    /// let page = Range::prefix("").max_bytes(24).page()?;
    /// assert_eq!(page.entries.len(), 2);
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// What follows a cursor, in the range's order. The key that it names need not be there
    /// any more.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// # use metashrew_core::range::Cursor;
    /// let page = Range::prefix("a/").after(&Cursor::from_bytes("a/1")).page()?;
    /// assert_eq!(page.entries[0].key, b"a/2");
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.after = Some(cursor.clone());
        self
    }

    /// Keys without their values, which the host then does not hand over.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// let page = Range::prefix("a/").keys_only().page()?;
    /// assert!(page.entries[0].value.is_empty());
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// Reads a page.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// let page = Range::prefix("a/").page()?;
    /// assert_eq!(page.entries.len(), 2);
    /// assert_eq!(page.next, None);
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    ///
    /// # Errors
    /// If the cursor is of another range, a bound is not one, or the first entry alone is
    /// larger than a page.
    pub fn page(&self) -> Result<Page, RangeError> {
        cache::with_own(|own| self.page_over(own))
    }

    /// Reads a page of what the host has, under `own`.
    pub(crate) fn page_over(&self, own: &impl Own) -> Result<Page, RangeError> {
        let limit = self.limit.unwrap_or(MAX_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(RangeError::Limit {
                asked: limit,
                most: MAX_LIMIT,
            });
        }
        let mut left = self.page_bytes()?;
        let mut merge = self.merge()?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let want = Want {
                // One more tells whether anything follows.
                count: limit - entries.len() + 1,
                bytes: left,
            };
            let too_large = match merge.next(own, want) {
                Ok(None) => {
                    return Ok(Page {
                        entries,
                        next: None,
                    });
                }
                Ok(Some(entry)) if entries.len() < limit && entry.counted() <= left => {
                    left -= entry.counted();
                    entries.push(entry);
                    continue;
                }
                Ok(Some(entry)) => RangeError::EntryTooLarge {
                    bytes: entry.counted(),
                    max_bytes: left,
                    key: entry.key,
                },
                Err(large) => large.error(left),
            };
            return match entries.last() {
                Some(last) => Ok(Page {
                    next: Some(Cursor::from_bytes(last.key.clone())),
                    entries,
                }),
                None => Err(too_large),
            };
        }
    }

    /// The entries one by one, fetched as they are asked for.
    ///
    /// Each step answers the first entry behind the last one that there is *at that time*:
    /// what the guest writes or removes in front of the iteration while it runs is seen.
    ///
    /// ```
    /// # use metashrew_core::range::Range;
    /// # for key in ["a/1", "a/2", "b/1"] {
    /// #     metashrew_core::set(Vec::from(key).into(), vec![7].into());
    /// # }
    /// let range = Range::prefix("a/");
    /// let mut entries = range.iter();
    /// entries.next().transpose()?;
    /// metashrew_core::set(b"a/15".to_vec().into(), vec![8].into());
    /// assert_eq!(entries.next().transpose()?.unwrap().key, b"a/15");
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    pub fn iter(&self) -> Entries {
        Entries::new(self)
    }

    /// The keys it is over, those before its cursor included.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    fn page_bytes(&self) -> Result<usize, RangeError> {
        let asked = self.max_bytes.unwrap_or(MAX_BYTES);
        if asked > MAX_BYTES {
            return Err(RangeError::MaxBytes {
                asked,
                most: MAX_BYTES,
            });
        }
        Ok(asked)
    }

    fn merge(&self) -> Result<Merge, RangeError> {
        let mut window = self.window.clone();
        if let Some(Cursor(key)) = &self.after {
            if !window.may_have(key) {
                return Err(RangeError::CursorOutside);
            }
            window.pass(key);
        }
        Ok(Merge::new(window, self.keys_only))
    }
}

impl IntoIterator for Range {
    type Item = Result<Entry, RangeError>;
    type IntoIter = Entries;

    fn into_iter(self) -> Entries {
        self.iter()
    }
}

impl IntoIterator for &Range {
    type Item = Result<Entry, RangeError>;
    type IntoIter = Entries;

    fn into_iter(self) -> Entries {
        self.iter()
    }
}

#[cfg(test)]
mod tests;

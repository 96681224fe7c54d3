//! How the memory that the process may have is shared out: the one place that decides.
//!
//! The parts together are never more than there is. What is left is for the program, for
//! requests and answers, and for the system's own cache of files.

mod machine;

use std::fmt;

use metashrew_runtime::ViewOptions;
use metashrew_store::StoreOptions;
use metashrew_sync::IndexOptions;

pub(crate) use machine::total;

use crate::size::Size;

/// The part that caches of the database have, and that views and blocks under way have at
/// most, as one in so many.
const PART: u64 = 4;

/// The memory of each part, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What the process may have, if the system tells.
    pub(crate) total: Option<u64>,
    /// The store's caches.
    pub(crate) cache: u64,
    /// Instances for views.
    pub(crate) views: u64,
    /// Blocks that are fetched ahead.
    pub(crate) fetched: u64,
    /// What blocks wrote that are not committed yet.
    pub(crate) uncommitted: u64,
}

/// What was asked for is more than there is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch {
    cache: Option<u64>,
    views: Option<u64>,
    blocks: u64,
    total: u64,
}

impl Memory {
    /// Shares out `total`, where so much was asked for the store's caches and for views.
    pub(crate) fn share(
        total: Option<u64>,
        cache: Option<Size>,
        views: Option<Size>,
    ) -> Result<Self, TooMuch> {
        let index = IndexOptions::default();
        let (fetched, uncommitted) = (
            index.max_fetched_bytes as u64,
            index.max_uncommitted_bytes as u64,
        );
        let blocks = fetched + uncommitted;
        let store = StoreOptions::default();
        let default_cache = store.cache_bytes + store.read_cache_bytes;
        let default_views = ViewOptions::default().memory_budget as u64;
        let (cache, views) = (cache.map(Size::bytes), views.map(Size::bytes));
        let Some(total) = total else {
            return Ok(Self {
                total,
                cache: cache.unwrap_or(default_cache),
                views: views.unwrap_or(default_views),
                fetched,
                uncommitted,
            });
        };
        let part = total / PART;
        // In the same proportion where there is less.
        let fetched = fetched.min(part / 3);
        let uncommitted = uncommitted.min(part - part / 3);
        let blocks = blocks.min(fetched + uncommitted);
        let asked = cache.unwrap_or(0).checked_add(views.unwrap_or(0));
        let left = asked
            .and_then(|asked| asked.checked_add(blocks))
            .and_then(|all| total.checked_sub(all))
            .ok_or(TooMuch {
                cache,
                views,
                blocks,
                total,
            })?;
        let cache_or = |most: u64| cache.unwrap_or(part.min(most));
        let views_or = |most: u64| views.unwrap_or(default_views.min(part).min(most));
        Ok(Self {
            total: Some(total),
            cache: cache_or(left),
            views: views_or(left),
            fetched,
            uncommitted,
        })
    }
}

impl Default for Memory {
    /// Where nothing is asked for, and nobody knows how much there is.
    fn default() -> Self {
        Self::share(None, None, None).expect("nothing is less than this")
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (flag, bytes) in [
            ("--cache", self.cache),
            ("--view-memory-budget", self.views),
        ] {
            if let Some(bytes) = bytes {
                parts.push(format!("{flag} ({})", mebibytes(bytes)));
            }
        }
        write!(
            formatter,
            "{} and the blocks under way ({}) are more than the memory that this process may have ({})",
            parts.join(", "),
            mebibytes(self.blocks),
            mebibytes(self.total)
        )
    }
}

/// A size for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn size(bytes: u64) -> Size {
        Size(usize::try_from(bytes).unwrap())
    }

    fn sum(memory: &Memory) -> u64 {
        memory.cache + memory.views + memory.fetched + memory.uncommitted
    }

    #[test]
    fn the_caches_have_a_quarter_by_default() {
        let memory = Memory::share(Some(64 * GIB), None, None).unwrap();
        assert_eq!((memory.cache, memory.views), (16 * GIB, GIB));
        assert_eq!(memory.fetched + memory.uncommitted, 192 << 20);
        // Everything has less where there is less.
        let memory = Memory::share(Some(GIB / 4), None, None).unwrap();
        assert_eq!((memory.cache, memory.views), (GIB / 16, GIB / 16));
        assert!(memory.fetched + memory.uncommitted <= GIB / 16);
        let unknown = Memory::default();
        assert_eq!((unknown.cache, unknown.views), (192 << 20, GIB));
    }

    #[test]
    fn what_is_asked_for_leaves_less_to_what_is_not() {
        let share = |cache: Option<u64>, views: Option<u64>| {
            Memory::share(Some(4 * GIB), cache.map(size), views.map(size))
                .map(|memory| (memory.cache, memory.views))
        };
        let blocks = 192 << 20;
        assert_eq!(share(Some(GIB), None), Ok((GIB, GIB)));
        assert_eq!(
            share(Some(3 * GIB + GIB / 2), None),
            Ok((3 * GIB + GIB / 2, GIB / 2 - blocks))
        );
        assert_eq!(share(None, Some(3 * GIB)), Ok((GIB - blocks, 3 * GIB)));
        assert_eq!(share(Some(2 * GIB), Some(GIB)), Ok((2 * GIB, GIB)));
        let error = share(Some(3 * GIB), Some(GIB)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--cache (3072 MiB), --view-memory-budget (1024 MiB) and the blocks under way (192 MiB) \
             are more than the memory that this process may have (4096 MiB)"
        );
        assert!(share(Some(u64::MAX), Some(u64::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn the_parts_are_never_more_than_there_is(
            total in 0..(1_u64 << 45),
            cache in proptest::option::of(0..(1_u64 << 45)),
            views in proptest::option::of(0..(1_u64 << 45)),
        ) {
            match Memory::share(Some(total), cache.map(size), views.map(size)) {
                Ok(memory) => {
                    prop_assert!(sum(&memory) <= total, "{memory:?}");
                    prop_assert!(cache.is_none_or(|cache| cache == memory.cache));
                    prop_assert!(views.is_none_or(|views| views == memory.views));
                }
                Err(error) => {
                    let asked = cache.unwrap_or(0) + views.unwrap_or(0);
                    prop_assert!(asked + error.blocks > total);
                }
            }
        }
    }
}

//! How the memory that the process may have is shared out: the one place that decides.
//!
//! The parts together are never more than there is. What is left is for the program, for
//! connections, and for the system's own cache of files.

mod machine;

use std::fmt;

use metashrew_runtime::{ScoutOptions, ViewOptions};
use metashrew_server::ServerOptions;
use metashrew_store::{StoreOptions, VerifyOptions};
use metashrew_sync::IndexOptions;

pub(crate) use machine::total;

use crate::size::Size;

/// The part that caches of the database have, and that views and blocks under way have at
/// most, as one in so many.
const PART: u64 = 4;

/// The part that requests, scouts, or what a verification sorts, have at most by default.
const SMALL_PART: u64 = 8;

/// The memory of each part, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What the process may have, if the system tells.
    pub(crate) total: Option<u64>,
    /// The store's caches.
    pub(crate) cache: u64,
    /// Instances for views.
    pub(crate) views: u64,
    /// Requests and answers.
    pub(crate) requests: u64,
    /// Scouts, all together.
    pub(crate) scouts: u64,
    /// Blocks that are fetched ahead.
    pub(crate) fetched: u64,
    /// What blocks wrote that are not committed yet.
    pub(crate) uncommitted: u64,
}

/// What was asked for; none where it is left to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// For the store's caches.
    pub(crate) cache: Option<Size>,
    /// For views.
    pub(crate) views: Option<Size>,
    /// For requests and answers.
    pub(crate) requests: Option<Size>,
    /// For scouts.
    pub(crate) scouts: Option<Size>,
}

impl Asked {
    /// What a command asks for that serves nothing and runs neither views nor scouts.
    pub(crate) fn cache_alone(cache: Option<Size>) -> Self {
        Self {
            cache,
            views: Some(Size(0)),
            requests: Some(Size(0)),
            scouts: Some(Size(0)),
        }
    }
}

/// What was asked for is more than there is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch {
    cache: Option<u64>,
    views: Option<u64>,
    requests: Option<u64>,
    scouts: Option<u64>,
    blocks: u64,
    total: u64,
}

impl Memory {
    /// Shares out `total`. Of what nothing was asked for, caches come first, then views and
    /// requests, then scouts, which only help.
    pub(crate) fn share(total: Option<u64>, asked: Asked) -> Result<Self, TooMuch> {
        let index = IndexOptions::default();
        let (fetched, uncommitted) = (
            index.max_fetched_bytes as u64,
            index.max_uncommitted_bytes as u64,
        );
        let store = StoreOptions::default();
        let default_cache = store.cache_bytes + store.read_cache_bytes;
        let default_views = ViewOptions::default().memory_budget as u64;
        let default_requests = ServerOptions::default().request_memory as u64;
        let default_scouts = ScoutOptions::default().memory_budget as u64;
        let [cache, views, requests, scouts] =
            [asked.cache, asked.views, asked.requests, asked.scouts]
                .map(|size| size.map(Size::bytes));
        let Some(total) = total else {
            return Ok(Self {
                total,
                cache: cache.unwrap_or(default_cache),
                views: views.unwrap_or(default_views),
                requests: requests.unwrap_or(default_requests),
                scouts: scouts.unwrap_or(default_scouts),
                fetched,
                uncommitted,
            });
        };
        let part = total / PART;
        // In the same proportion where there is less.
        let fetched = fetched.min(part / 3);
        let uncommitted = uncommitted.min(part - part / 3);
        let blocks = fetched + uncommitted;
        let mut left = [cache, views, requests, scouts]
            .into_iter()
            .flatten()
            .chain([blocks])
            .try_fold(total, u64::checked_sub)
            .ok_or(TooMuch {
                cache,
                views,
                requests,
                scouts,
                blocks,
                total,
            })?;
        let mut or_of_the_rest = |asked: Option<u64>, default: u64| {
            asked.unwrap_or_else(|| {
                let bytes = default.min(left);
                left -= bytes;
                bytes
            })
        };
        Ok(Self {
            total: Some(total),
            cache: or_of_the_rest(cache, part),
            views: or_of_the_rest(views, default_views.min(part)),
            requests: or_of_the_rest(requests, default_requests.min(total / SMALL_PART)),
            scouts: or_of_the_rest(scouts, default_scouts.min(total / SMALL_PART)),
            fetched,
            uncommitted,
        })
    }
}

impl Default for Memory {
    /// Where nothing is asked for, and nobody knows how much there is.
    fn default() -> Self {
        Self::share(None, Asked::default()).expect("nothing is less than this")
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (flag, bytes) in [
            ("--cache", self.cache),
            ("--view-memory-budget", self.views),
            ("--request-memory", self.requests),
            ("--scout-memory", self.scouts),
        ] {
            if let Some(bytes) = bytes.filter(|bytes| *bytes > 0) {
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

/// What a verification sorts in by default, where the process may have so much.
pub(crate) fn to_verify(total: Option<u64>) -> u64 {
    let most = VerifyOptions::default().memory_bytes;
    total.map_or(most, |total| most.min(total / SMALL_PART))
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
        let Memory {
            cache,
            views,
            requests,
            scouts,
            ..
        } = memory;
        cache + views + requests + scouts + memory.fetched + memory.uncommitted
    }

    #[test]
    fn the_caches_have_a_quarter_by_default() {
        let share = |total| Memory::share(Some(total), Asked::default()).unwrap();
        let memory = share(64 * GIB);
        assert_eq!((memory.cache, memory.views), (16 * GIB, GIB));
        assert_eq!((memory.requests, memory.scouts), (GIB / 2, GIB / 2));
        assert_eq!(memory.fetched + memory.uncommitted, 192 << 20);
        // Everything has less where there is less.
        let memory = share(GIB / 4);
        assert_eq!((memory.cache, memory.views), (GIB / 16, GIB / 16));
        assert_eq!((memory.requests, memory.scouts), (GIB / 32, GIB / 32));
        assert!(memory.fetched + memory.uncommitted <= GIB / 16);
        let unknown = Memory::default();
        assert_eq!((unknown.cache, unknown.views), (192 << 20, GIB));
        assert_eq!(unknown.scouts, GIB / 2);
        assert_eq!(to_verify(None), 256 << 20);
        assert_eq!(to_verify(Some(GIB)), 128 << 20);
    }

    #[test]
    fn what_is_asked_for_leaves_less_to_what_is_not() {
        let share = |cache: Option<u64>, views: Option<u64>, scouts: Option<u64>| {
            let asked = Asked {
                cache: cache.map(size),
                views: views.map(size),
                requests: None,
                scouts: scouts.map(size),
            };
            Memory::share(Some(4 * GIB), asked)
                .map(|memory| (memory.cache, memory.views, memory.scouts))
        };
        let (blocks, half) = (192 << 20, GIB / 2);
        assert_eq!(share(Some(GIB), None, None), Ok((GIB, GIB, half)));
        assert_eq!(
            share(Some(3 * GIB + half), None, None),
            Ok((3 * GIB + half, half - blocks, 0))
        );
        assert_eq!(
            share(None, Some(3 * GIB), None),
            Ok((GIB - blocks, 3 * GIB, 0))
        );
        assert_eq!(
            share(Some(2 * GIB), Some(GIB), None),
            Ok((2 * GIB, GIB, GIB - blocks - half))
        );
        assert_eq!(
            share(None, None, Some(2 * GIB)),
            Ok((GIB, GIB - blocks, 2 * GIB))
        );
        assert_eq!(share(None, None, Some(0)), Ok((GIB, GIB, 0)));
        let error = share(Some(3 * GIB), Some(GIB), Some(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--cache (3072 MiB), --view-memory-budget (1024 MiB) and the blocks under way (192 MiB) \
             are more than the memory that this process may have (4096 MiB)"
        );
        let error = share(None, None, Some(4 * GIB)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--scout-memory (4096 MiB) and the blocks under way (192 MiB) \
             are more than the memory that this process may have (4096 MiB)"
        );
        assert!(share(Some(u64::MAX), Some(u64::MAX), Some(u64::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn the_parts_are_never_more_than_there_is(
            total in 0..(1_u64 << 45),
            cache in proptest::option::of(0..(1_u64 << 45)),
            views in proptest::option::of(0..(1_u64 << 45)),
            requests in proptest::option::of(0..(1_u64 << 45)),
            scouts in proptest::option::of(0..(1_u64 << 45)),
        ) {
            let asked = Asked {
                cache: cache.map(size),
                views: views.map(size),
                requests: requests.map(size),
                scouts: scouts.map(size),
            };
            match Memory::share(Some(total), asked) {
                Ok(memory) => {
                    prop_assert!(sum(&memory) <= total, "{memory:?}");
                    prop_assert!(cache.is_none_or(|cache| cache == memory.cache));
                    prop_assert!(views.is_none_or(|views| views == memory.views));
                    prop_assert!(requests.is_none_or(|bytes| bytes == memory.requests));
                    prop_assert!(scouts.is_none_or(|scouts| scouts == memory.scouts));
                }
                Err(error) => {
                    let asked = [cache, views, requests, scouts].into_iter().flatten();
                    prop_assert!(asked.sum::<u64>() + error.blocks > total);
                }
            }
        }
    }
}

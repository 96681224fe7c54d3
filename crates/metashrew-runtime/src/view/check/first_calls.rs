//! The first calls of a view, which are checked before its time pays for checks.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::verdict::Verdict;

/// So many of a view's first calls are checked: more than a small cache has places, and a
/// fraction of a second for most views.
const FIRST_CALLS: u32 = 32;

/// A call that is asked again, on the same instance, counts as a first one so often: what
/// counts calls does not show at the first of them.
const REPEATS: u32 = 2;

/// First calls are looked for among so many calls of a view: to tell calls apart takes time,
/// and a view may be asked the same for ever.
const LOOKED_AT: u32 = 4096;

/// A first call whose check is undecided counts for so many: where fresh instances run out
/// of time, not all 32 shall.
const UNDECIDED_COUNTS: u32 = 8;

/// The first calls of one view.
pub(super) struct FirstCalls {
    /// Calls that were looked at for first ones.
    looked_at: AtomicU32,
    inner: Mutex<Inner>,
}

struct Inner {
    /// First calls still to be checked, those under way included.
    left: u32,
    under_way: u32,
    calls: Vec<Checked>,
}

/// A call that is checked, by what tells it from others.
struct Checked {
    key: u64,
    /// Its checks, those under way included, and those that came to an end.
    checks: u32,
    ended: u32,
}

impl FirstCalls {
    pub(super) fn new() -> Self {
        Self {
            looked_at: AtomicU32::new(0),
            inner: Mutex::new(Inner {
                left: FIRST_CALLS,
                under_way: 0,
                calls: Vec::new(),
            }),
        }
    }

    /// The key of a call if it is a first one; it is taken then. Where answers `wait` for
    /// their checks, none goes by while checks are under way that may say that it is wrong.
    pub(super) fn take(&self, key: impl FnOnce() -> u64, wait: bool) -> Option<u64> {
        if self.looked_at.load(Ordering::Relaxed) >= LOOKED_AT {
            return None;
        }
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        let key = key();
        let mut inner = self.inner.lock();
        let taken = if wait { 0 } else { inner.under_way };
        if taken >= inner.left {
            return None;
        }
        match inner.calls.iter_mut().find(|call| call.key == key) {
            Some(call) => {
                let checks = if wait { call.ended } else { call.checks };
                if checks >= REPEATS {
                    return None;
                }
                call.checks += 1;
            }
            None => inner.calls.push(Checked {
                key,
                checks: 1,
                ended: 0,
            }),
        }
        inner.under_way += 1;
        Some(key)
    }

    /// The check of a call that was taken came to its end, or was skipped: then another may
    /// be taken in its place.
    pub(super) fn end(&self, key: u64, end: Option<Verdict>) {
        let mut inner = self.inner.lock();
        inner.under_way -= 1;
        let counts = match end {
            None => 0,
            Some(Verdict::Undecided) => UNDECIDED_COUNTS,
            Some(Verdict::Same | Verdict::Differs | Verdict::Refused) => 1,
        };
        inner.left = inner.left.saturating_sub(counts);
        if let Some(call) = inner.calls.iter_mut().find(|call| call.key == key) {
            call.checks -= u32::from(end.is_none());
            call.ended += u32::from(end.is_some());
        }
        inner.calls.retain(|call| call.checks > 0);
        if inner.left == 0 {
            self.looked_at.store(LOOKED_AT, Ordering::Relaxed);
            inner.calls = Vec::new();
        }
    }
}

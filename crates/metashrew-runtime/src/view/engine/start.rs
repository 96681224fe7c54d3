//! How stateful views come to be on or off.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::ViewEngine;
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::{GuestBacktrace, ViewError};
use crate::view::budget::Account;
use crate::view::sizes::Sizes;

/// How stateful views came to be on or off.
#[derive(Default)]
pub(super) struct Start {
    /// Held by whoever makes an instance without a permit: there is room for one.
    trying: tokio::sync::Mutex<()>,
    /// Why they are off although they are wanted.
    pub(super) failure: Mutex<Option<String>>,
    /// Whether there is such a reason.
    has_failed: AtomicBool,
}

impl Start {
    fn note(&self, failure: Option<String>) {
        let mut noted = self.failure.lock();
        self.has_failed.store(failure.is_some(), Ordering::Relaxed);
        *noted = failure;
    }

    /// If they are off for such a reason, `enable`s them. Nobody turns them off meanwhile: who
    /// does notes that first.
    fn make_good(&self, enable: impl FnOnce()) -> bool {
        let mut noted = self.failure.lock();
        let is_off = noted.take().is_some();
        if is_off {
            self.has_failed.store(false, Ordering::Relaxed);
            enable();
        }
        is_off
    }
}

impl ViewEngine {
    pub(crate) fn is_enabled(&self) -> bool {
        self.pool.is_enabled()
    }

    /// Makes calls run on persistent instances from now on, if one can be made and
    /// kept. If not, the first call that can make one turns them on.
    pub(crate) async fn enable(&self, yields: bool) -> Result<(), ViewError> {
        let tried = self.try_to_make_one(yields).await;
        self.start
            .note(tried.as_ref().err().map(ToString::to_string));
        if tried.is_ok() {
            self.pool.enable();
        }
        tried
    }

    async fn try_to_make_one(&self, yields: bool) -> Result<(), ViewError> {
        let _trying = self.start.trying.lock().await;
        self.check_guest()?;
        let (wanted, limit) = (self.least, self.limit_of_kept());
        if wanted > limit {
            return Err(ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace: GuestBacktrace::default(),
            });
        }
        let _ticking = self.ticking.hold();
        let error = |fault| self.error(fault, self.options.timeout);
        let call = Call::view(self.store.snapshot().latest(), 0);
        let deadline = Deadline::after(self.options.timeout, yields);
        let account = Account::empty(self.pool.budget());
        let made = self.maker.make(call, deadline, account, 0, None);
        let mut kept = made.await.map_err(error)?;
        let caches = self.sizes.guest_caches;
        let told = kept.instance.set_cache_limit(caches);
        told.await.map_err(error)
    }

    /// What an instance may have that is kept: without what a guest that does not fit into
    /// the budget has all the same.
    fn limit_of_kept(&self) -> usize {
        Sizes::of(&self.options).one_instance
    }

    /// A call has made an instance. If stateful views are off only because none could be
    /// made, they are turned on.
    pub(in crate::view) fn has_made_one(&self) {
        if !self.start.has_failed.load(Ordering::Relaxed) || self.least > self.limit_of_kept() {
            return;
        }
        if self.start.make_good(|| self.pool.enable()) {
            tracing::info!("stateful views enabled: an instance could be made at last");
        }
    }

    /// Makes calls run on fresh instances from now on. Calls under way end as
    /// they would have.
    pub(crate) fn disable(&self) {
        self.start.note(None);
        self.pool.disable();
        self.checks.clear();
    }
}

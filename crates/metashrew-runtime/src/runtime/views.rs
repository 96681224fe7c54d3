//! What a runtime is asked: views and previews, and how they run.

use std::pin::pin;

use bytes::Bytes;
use metashrew_store::{BlockHash, BlockId, wait};

use super::MetashrewRuntime;
use crate::error::ViewError;
use crate::view::{
    Chain, PendingBlock, PendingOffer, ViewAnswer, ViewCall, ViewCount, ViewDifference, ViewStats,
};

impl MetashrewRuntime {
    /// Asks the view `function` about the state after the block `at`.
    ///
    /// The call runs on the caller's task, in slices. Dropping the future ends it.
    ///
    /// # Errors
    /// See [`ViewError`]. A failed call harms no other.
    pub async fn view(
        &self,
        function: &str,
        input: &[u8],
        at: &BlockId,
    ) -> Result<ViewAnswer, ViewError> {
        self.call(about(function, input, at)).await
    }

    /// As [`MetashrewRuntime::view`], on the caller's thread, which waits.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::view`].
    pub fn view_sync(
        &self,
        function: &str,
        input: &[u8],
        at: &BlockId,
    ) -> Result<ViewAnswer, ViewError> {
        self.call_sync(about(function, input, at))
    }

    /// As [`MetashrewRuntime::view`], with everything that a call can say.
    ///
    /// # Errors
    /// See [`ViewError`]. A failed call harms no other.
    pub async fn call(&self, call: ViewCall<'_>) -> Result<ViewAnswer, ViewError> {
        self.shared.views.ask(call, true).await
    }

    /// As [`MetashrewRuntime::call`], on the caller's thread, which waits.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::call`].
    pub fn call_sync(&self, call: ViewCall<'_>) -> Result<ViewAnswer, ViewError> {
        wait(pin!(self.shared.views.ask(call, false)))
    }

    /// Runs the guest over `block` on top of the block `at`, then asks the view
    /// `function` about the state after that. Nothing is kept.
    ///
    /// # Errors
    /// See [`ViewError`]: what the block does wrong is told like what the view does.
    pub async fn preview(
        &self,
        block: &[u8],
        function: &str,
        input: &[u8],
        at: &BlockId,
    ) -> Result<ViewAnswer, ViewError> {
        let block = Bytes::copy_from_slice(block);
        self.preview_call(block, about(function, input, at)).await
    }

    /// As [`MetashrewRuntime::preview`], on the caller's thread, which waits.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::preview`].
    pub fn preview_sync(
        &self,
        block: &[u8],
        function: &str,
        input: &[u8],
        at: &BlockId,
    ) -> Result<ViewAnswer, ViewError> {
        let (block, call) = (Bytes::copy_from_slice(block), about(function, input, at));
        wait(pin!(self.shared.views.preview(block, call, false)))
    }

    /// As [`MetashrewRuntime::preview`], with everything that a call can say, except
    /// that its route does not matter.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::preview`].
    pub async fn preview_call(
        &self,
        block: impl Into<Bytes>,
        call: ViewCall<'_>,
    ) -> Result<ViewAnswer, ViewError> {
        self.shared.views.preview(block.into(), call, true).await
    }

    /// The chain as it is now, for calls that are to stand on one moment of it.
    ///
    /// ```
    /// # async fn ask(runtime: &metashrew_runtime::MetashrewRuntime) -> Result<(), Box<dyn std::error::Error>> {
    /// use metashrew_runtime::ViewCall;
    /// use metashrew_store::BlockId;
    ///
    /// let context = runtime.chain().at(BlockId::Latest.into()).await?;
    /// for account in [b"alice", b"carol"] {
    ///     let call = ViewCall { at: (&context).into(), ..ViewCall::new("balance", account) };
    ///     let answer = runtime.call(call).await?;
    ///     assert_eq!(&answer.block, context.block());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn chain(&self) -> Chain {
        self.shared.views.chain()
    }

    /// Offers the block that may come next: calls about
    /// [`ViewAt::Pending`](crate::ViewAt::Pending) are answered as if it were there, for as
    /// long as the tip is its parent. None takes it away. It is executed when somebody first
    /// asks about it, once for all who ask.
    ///
    /// # Errors
    /// If the tip is not the block's parent ([`ViewError::NoPending`]): an earlier pending
    /// block then stays.
    pub fn set_pending(&self, block: Option<PendingBlock>) -> Result<(), ViewError> {
        if let Some(PendingBlock { parent, block }) = block {
            return self.offer_pending(parent, move || Ok(block)).map(drop);
        }
        self.shared.views.withdraw_pending();
        Ok(())
    }

    /// As [`MetashrewRuntime::set_pending`], for a block on top of `parent` that `fetch`
    /// brings: it is called when somebody first asks about the block, at most once, on a
    /// thread where it may wait. A block that is the same as the last one, to the byte, is not
    /// executed again.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::set_pending`].
    pub fn offer_pending(
        &self,
        parent: BlockHash,
        fetch: impl FnOnce() -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    ) -> Result<PendingOffer, ViewError> {
        self.shared.views.offer_pending(parent, Box::new(fetch))
    }

    /// Whether instances persist between view calls.
    pub fn is_stateful_views_enabled(&self) -> bool {
        self.shared.views.is_enabled()
    }

    /// Makes every view call run on a fresh instance from now on. Answers stay the
    /// same. Calls under way end as they would have.
    pub fn disable_stateful_views(&self) {
        self.shared.views.disable();
        tracing::info!("stateful views disabled: every call runs on a fresh instance");
    }

    /// Makes view calls run on persistent instances again.
    ///
    /// # Errors
    /// If no instance can be made within the memory budget; calls then run on
    /// fresh instances, as before.
    pub async fn enable_stateful_views(&self) -> Result<(), ViewError> {
        self.shared.views.enable(true).await?;
        tell_enabled();
        Ok(())
    }

    /// As [`MetashrewRuntime::enable_stateful_views`], without a future.
    ///
    /// # Errors
    /// As [`MetashrewRuntime::enable_stateful_views`].
    pub fn enable_stateful_views_sync(&self) -> Result<(), ViewError> {
        wait(pin!(self.shared.views.enable(false)))?;
        tell_enabled();
        Ok(())
    }

    /// What each view was asked: a bounded number of views apart, the others together.
    pub fn view_counts(&self) -> Vec<ViewCount> {
        self.shared.views.view_counts()
    }

    /// The views found to answer from what earlier calls left in their memory, as many as
    /// are remembered, each with the first call that showed it.
    pub fn view_differences(&self) -> Vec<ViewDifference> {
        self.shared.views.differences()
    }

    /// What the view engine has counted, and what it does now.
    pub fn view_stats(&self) -> ViewStats {
        self.shared.views.stats()
    }
}

fn tell_enabled() {
    tracing::info!("stateful views enabled: instances persist between calls (stateful mode)");
}

fn about<'a>(function: &'a str, input: &'a [u8], at: &BlockId) -> ViewCall<'a> {
    ViewCall {
        at: (*at).into(),
        ..ViewCall::new(function, input)
    }
}

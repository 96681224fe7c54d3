//! Views on top of a block that their caller brings.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::State;

use super::Request;
use crate::context::Call;
use crate::error::ViewError;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::view::budget::Account;
use crate::view::call::{Route, ViewAnswer, ViewCall};
use crate::view::engine::Question;
use crate::view::stats::DropReason;

impl Request<'_> {
    /// Runs `block` on top of the call's block, then the view on that, both on instances of
    /// their own.
    pub(in crate::view) async fn preview(
        &mut self,
        block: Bytes,
        call: ViewCall<'_>,
    ) -> Result<ViewAnswer, ViewError> {
        self.engine.check(call.input)?;
        let alone = ViewCall {
            route: Route::Fresh,
            ..call
        };
        loop {
            let (mut question, state) = self.enter(&alone).await?;
            let wanted = match self.preview_on(&mut question, state, &block).await {
                Ok(reply) => return self.answered(&question, reply),
                Err(Fault::Starved { wanted }) => wanted,
                Err(fault) => return Err(self.error(fault)),
            };
            self.starve(wanted).await?;
        }
    }

    async fn preview_on(
        &mut self,
        question: &mut Question<'_>,
        state: State,
        block: &Bytes,
    ) -> Result<Reply, Fault> {
        let height = question.position.height.saturating_add(1);
        let overlay = Call::overlay(state.clone(), height, block.clone());
        self.is_at_block = true;
        // Both instances, and what the first one wrote, are counted together.
        let account = self.reserved.take();
        self.reserved = Some(account.unwrap_or_else(|| Account::empty(self.engine.pool.budget())));
        let kept = self.create(overlay, 0).await?;
        let writes = kept.instance.start_async().await?;
        if let Some(lease) = &mut self.lease {
            lease.discard(DropReason::Fresh);
        }
        self.is_at_block = false;
        let held = writes.bytes();
        let state = state.with_block(height, Arc::new(writes));
        Arc::make_mut(&mut question.position).height = height;
        self.make_and_run(question, state, held).await
    }
}

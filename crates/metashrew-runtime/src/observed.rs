//! Runs that somebody watches, or of which it is told what they read: one block on any state,
//! one view at any block. They are on fresh instances, and commit nothing.

use std::sync::Arc;

use bytes::Bytes;
use metashrew_store::{State, WriteSet};
use parking_lot::Mutex;

use crate::context::Call;
use crate::error::{BlockError, ViewError};
use crate::observe::{Observer, Watch, finish};
use crate::runner;
use crate::runtime::MetashrewRuntime;
use crate::view::{Recorded, ViewAnswer, ViewCall};

impl MetashrewRuntime {
    /// As [`MetashrewRuntime::process_block_on`], watched by `observer`, which is given back.
    /// A guest that keeps its memory across blocks has a fresh one here.
    ///
    /// To run a block that is indexed, or the next one, on what it stands on:
    ///
    /// ```no_run
    /// # use metashrew_runtime::{Event, MetashrewRuntime, Observer, Refusal};
    /// # fn run(runtime: &MetashrewRuntime, block: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
    /// struct Keys(Vec<Vec<u8>>);
    ///
    /// impl Observer for Keys {
    ///     fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
    ///         if let Event::Read { key, .. } = event {
    ///             self.0.push(key.to_vec());
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let below = runtime.store().snapshot().below(840_243)?;
    /// let (keys, writes) = runtime.observe_block(below.state, 840_243, block, Keys(Vec::new()));
    /// println!("it read {} keys and wrote {}", keys.0.len(), writes?.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`MetashrewRuntime::process_block`], and
    /// [`HostFault::Observer`](crate::HostFault::Observer) where the observer ends the run.
    pub fn observe_block<O: Observer>(
        &self,
        state: State,
        height: u32,
        block: Bytes,
        observer: O,
    ) -> (O, Result<WriteSet, BlockError>) {
        let observer = Arc::new(Mutex::new(observer));
        let call = Call::index(state, height, block).watched(Watch::by(&observer));
        let result = runner::run_fresh(self, call);
        finish(observer, result.map(|(_, writes)| writes))
    }

    /// Asks a view on the caller's thread, which waits, watched by `observer`, which is given
    /// back. The call's route does not matter: it runs at once, beside all others, for
    /// [`timeout`](crate::ViewOptions::timeout) at most. That is meant for tools, not for
    /// servers.
    ///
    /// # Errors
    /// See [`ViewError`]; and [`HostFault::Observer`](crate::HostFault::Observer) where the
    /// observer ends the run.
    pub fn observe_view<O: Observer>(
        &self,
        call: ViewCall<'_>,
        observer: O,
    ) -> (O, Result<ViewAnswer, ViewError>) {
        let observer = Arc::new(Mutex::new(observer));
        let answer = self.view_engine().observe(&call, Watch::by(&observer));
        finish(observer, answer)
    }

    /// As [`MetashrewRuntime::call`], on an instance of its own whatever the route, so that
    /// every read that the answer rests on is asked of the host; and tells what it read. An
    /// error that the view returns, or a trap, is an outcome like an answer.
    ///
    /// ```
    /// # async fn ask(runtime: &metashrew_runtime::MetashrewRuntime) -> Result<(), Box<dyn std::error::Error>> {
    /// use metashrew_runtime::ViewCall;
    ///
    /// let first = runtime.recorded_call(ViewCall::new("balance", b"alice")).await;
    /// let answer = first.outcome?;
    /// let next = runtime.store().snapshot().writes_of(answer.block.height + 1)?;
    /// let written: Vec<&[u8]> = next.sorted().map(|(key, _)| key).collect();
    /// let is_touched = first.reads.is_none_or(|reads| reads.touched_by(&written));
    /// if !is_touched && runtime.is_height_independent("balance") {
    ///     println!("the next block's answer is the same");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recorded_call(&self, call: ViewCall<'_>) -> Recorded {
        self.view_engine().record(call).await
    }
}

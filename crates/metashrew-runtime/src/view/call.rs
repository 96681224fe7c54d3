//! One call of a view as its caller states it, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockId, BlockRecord, Snapshot};

/// One call of a view. It belongs to its caller; nothing of it outlives the call.
///
/// ```
/// use std::time::Duration;
/// use metashrew_runtime::{Route, ViewCall};
/// use metashrew_store::BlockId;
///
/// let call = ViewCall {
///     at: BlockId::Height(800_000).into(),
///     route: Route::Session("alice"),
///     timeout: Some(Duration::from_millis(50)),
///     ..ViewCall::new("balance", b"input")
/// };
/// # let _ = call;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ViewCall<'a> {
    /// The view's name.
    pub function: &'a str,
    /// The view's input.
    pub input: &'a [u8],
    /// The state that is asked about. Default: after the last committed block.
    pub at: ViewAt,
    /// The snapshot that `at` is looked up in, so that many calls can stand on one.
    /// Default: the store's newest one at the moment the call begins to run.
    pub snapshot: Option<&'a Snapshot>,
    /// Which instance answers. Default: [`Route::Pooled`].
    pub route: Route<'a>,
    /// How long the call may run, if that is shorter than the engine's `timeout`.
    /// Default: the engine's.
    pub timeout: Option<Duration>,
}

impl<'a> ViewCall<'a> {
    /// A call of `function` about the last committed block, on any instance.
    pub fn new(function: &'a str, input: &'a [u8]) -> Self {
        Self {
            function,
            input,
            at: ViewAt::default(),
            snapshot: None,
            route: Route::default(),
            timeout: None,
        }
    }
}

/// The state that a call asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewAt {
    /// The state after a block of the chain.
    Block(BlockId),
    /// The state as if the pending block were on the tip: see
    /// [`MetashrewRuntime::set_pending`](crate::MetashrewRuntime::set_pending).
    Pending,
}

impl Default for ViewAt {
    fn default() -> Self {
        Self::Block(BlockId::Latest)
    }
}

impl From<BlockId> for ViewAt {
    fn from(block: BlockId) -> Self {
        Self::Block(block)
    }
}

/// Which instance answers a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Route<'a> {
    /// The instance used last that may answer for the call's block, or a new one.
    /// The default.
    #[default]
    Pooled,
    /// The one instance that serves the session of this name, and nobody else. Calls
    /// of one session run one after the other; the first one starts it. A session
    /// whose instance is gone is an error, once, and then starts anew.
    Session(&'a str),
    /// An instance of its own, dropped after the call.
    Fresh,
}

/// What a view answered, and the block it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewAnswer {
    /// The view's answer.
    pub bytes: Bytes,
    /// The block whose state was asked; for a preview or a pending block, the one
    /// built upon.
    pub block: BlockRecord,
    /// The last block of the snapshot that was read.
    pub tip: BlockRecord,
    /// Which call of its session this was, the first one being 1; none without a
    /// session.
    pub session_call: Option<u64>,
    /// Whether the pending block was on top of `block`.
    pub pending: bool,
}

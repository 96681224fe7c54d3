//! One call of a view as its caller states it, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use metashrew_store::{BlockId, BlockRecord};

use super::chain::{CallContext, Chain};
use super::pending::PendingId;

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
    /// What the call stands on. Default: the last committed block at the moment the call
    /// begins to run.
    pub at: Basis<'a>,
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
            at: Basis::default(),
            route: Route::default(),
            timeout: None,
        }
    }
}

/// What a call stands on.
#[derive(Debug, Clone, Copy)]
pub enum Basis<'a> {
    /// A block of the chain as it is when the call begins to run: a call that waited is
    /// looked up after its wait.
    Newest(ViewAt),
    /// A block of the chain as it was at one moment, so that many calls can stand on it.
    In(&'a Chain, ViewAt),
    /// What was looked up before: the call's caller and other calls stand on the same.
    Resolved(&'a CallContext),
}

impl Basis<'_> {
    /// The block asked about, for a log.
    pub(super) fn describe(&self) -> String {
        let at = match *self {
            Self::Newest(at) | Self::In(_, at) => at,
            Self::Resolved(context) if context.pending().is_some() => ViewAt::Pending,
            Self::Resolved(context) => BlockId::Height(context.block().height).into(),
        };
        match at {
            ViewAt::Block(block) => block.to_string(),
            ViewAt::Pending => "pending".to_owned(),
        }
    }
}

impl Default for Basis<'_> {
    fn default() -> Self {
        Self::Newest(ViewAt::default())
    }
}

impl From<ViewAt> for Basis<'_> {
    fn from(at: ViewAt) -> Self {
        Self::Newest(at)
    }
}

impl From<BlockId> for Basis<'_> {
    fn from(block: BlockId) -> Self {
        Self::Newest(block.into())
    }
}

impl<'a> From<&'a CallContext> for Basis<'a> {
    fn from(context: &'a CallContext) -> Self {
        Self::Resolved(context)
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
    /// Which pending block was on top of `block`; none if that was not asked about.
    pub pending: Option<PendingId>,
    /// SHA-256 of the module of the guest that answered.
    pub guest_sha256: [u8; 32],
}

//! What an answer stands on, for a client that asks for it.

use metashrew_runtime::{CallContext, PendingId, ViewAnswer};
use metashrew_store::BlockRecord;
use serde::Serialize;

use super::Context;
use super::options::CallOptions;
use crate::answer::Answer;
use crate::fault::RpcError;
use crate::guests::StateGuest;
use crate::wire;

/// The members that an envelope adds to an answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Anchor {
    height: u32,
    block_hash: String,
    history_root: String,
    guest: String,
    /// The guests that wrote the state, which need not be the one that answers. Left
    /// out where nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guests: Vec<StateGuest>,
    tip: Tip,
    /// Whether the pending block was on top.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    /// Which one it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_block: Option<PendingBlock>,
}

/// The last block of the snapshot that was read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tip {
    height: u32,
    block_hash: String,
}

/// The pending block that was on top.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingBlock {
    number: u64,
    height: u32,
    block_hash: String,
}

impl PendingBlock {
    fn new(id: PendingId) -> Self {
        Self {
            number: id.number,
            height: id.height,
            block_hash: wire::block_hash(&id.hash),
        }
    }
}

/// Which call of its session it was.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Session {
    name: String,
    call: u64,
}

impl Anchor {
    /// What a multicall stands on.
    pub(super) fn of_context(stands_on: &CallContext, context: &Context) -> Self {
        Self::new(
            stands_on.block(),
            stands_on.tip(),
            stands_on.pending(),
            stands_on.guest_sha256(),
            context,
        )
    }

    fn of_answer(answer: &ViewAnswer, context: &Context) -> Self {
        Self::new(
            &answer.block,
            &answer.tip,
            answer.pending,
            answer.guest_sha256,
            context,
        )
    }

    fn new(
        block: &BlockRecord,
        tip: &BlockRecord,
        pending: Option<PendingId>,
        guest_sha256: [u8; 32],
        context: &Context,
    ) -> Self {
        Self {
            height: block.height,
            block_hash: wire::block_hash(&block.hash),
            history_root: wire::history_root(&block.history_root),
            guest: hex::encode_prefixed(guest_sha256),
            guests: StateGuest::all(context.runtime.store().guests_at(block.height)),
            tip: Tip {
                height: tip.height,
                block_hash: wire::block_hash(&tip.hash),
            },
            pending: pending.is_some(),
            pending_block: pending.map(PendingBlock::new),
        }
    }
}

impl Session {
    pub(super) fn of(answer: &ViewAnswer, options: &CallOptions) -> Option<Self> {
        let name = options.session()?.to_owned();
        answer.session_call.map(|call| Self { name, call })
    }
}

/// What an envelope has besides its `result`.
#[derive(Debug, Serialize)]
struct Members {
    #[serde(flatten)]
    anchor: Anchor,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Session>,
}

/// The result of a view or a preview in the form asked for: plain, or in an envelope.
pub(super) async fn written(
    answer: ViewAnswer,
    options: &CallOptions,
    context: &Context,
) -> Result<Answer, RpcError> {
    let members = options.anchor.then(|| Members {
        anchor: Anchor::of_answer(&answer, context),
        session: Session::of(&answer, options),
    });
    let result = options.form.result(answer.bytes, &context.offload).await?;
    let Some(members) = members else {
        return Ok(result);
    };
    let mut envelope = Answer::text("{\"result\":");
    envelope.append(result);
    envelope.push_members(&members);
    Ok(envelope)
}

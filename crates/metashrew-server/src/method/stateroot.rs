//! `metashrew_stateroot`: the history root at an indexed block.

use metashrew_runtime::Chain;
use metashrew_store::BlockId;

use super::Context;
use crate::answer::Answer;
use crate::fault::RpcError;
use crate::wire;

pub(super) async fn answer(
    block: &BlockId,
    context: &Context,
    batch: Option<&Chain>,
) -> Result<Answer, RpcError> {
    let block = context.block(block, batch).await?;
    Ok(Answer::json(&wire::history_root(&block.history_root)))
}

//! `metashrew_getblockhash`: the hash of an indexed block.

use metashrew_runtime::Chain;
use metashrew_store::BlockId;

use super::Context;
use crate::answer::Answer;
use crate::fault::RpcError;
use crate::wire;

/// `0x` and the bytes in the customary (reversed) order, as existing hosts answer.
pub(super) async fn answer(
    block: &BlockId,
    context: &Context,
    batch: Option<&Chain>,
) -> Result<Answer, RpcError> {
    let block = context.block(block, batch).await?;
    Ok(Answer::json(&wire::block_hash(&block.hash)))
}

//! `metashrew_height`: how far the index is.

use metashrew_runtime::Chain;
use metashrew_store::ResolveError;

use super::Context;
use crate::answer::Answer;
use crate::fault::{self, RpcError};
use crate::options::HeightCompat;

/// A decimal text, because existing clients parse one.
pub(super) fn answer(context: &Context, batch: Option<&Chain>) -> Result<Answer, RpcError> {
    let chain = context.chain(batch);
    let tip = chain
        .tip()
        .ok_or_else(|| fault::of_block(&ResolveError::Empty))?;
    let height = match context.height_compat {
        HeightCompat::Last => u64::from(tip.height),
        HeightCompat::Next => u64::from(tip.height) + 1,
    };
    Ok(Answer::json(&height.to_string()))
}

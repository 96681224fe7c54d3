//! `metashrew_preview`: one view's answer as if a block were on top of another.

use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::ViewCall;

use super::Context;
use crate::fault;
use crate::params::Arguments;

pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
) -> Result<String, ErrorObjectOwned> {
    let (raw_block, function, input, block) = {
        let names = ["raw_block", "function", "input", "block"];
        let arguments = Arguments::read(params, names)?;
        (
            arguments.hex("raw_block")?,
            arguments.text("function")?,
            arguments.hex_or_empty("input")?,
            arguments.block("block")?,
        )
    };
    let answer = context
        .runtime
        .preview_call(
            raw_block,
            ViewCall {
                at: block.into(),
                ..ViewCall::new(&function, &input)
            },
        )
        .await
        .map_err(|error| fault::of_view(&error))?;
    Ok(hex::encode_prefixed(&answer.bytes))
}

//! `metashrew_view`: one view's answer at one block.

use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;
use crate::fault;
use crate::params::Arguments;

pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
) -> Result<String, ErrorObjectOwned> {
    let (function, input, block) = {
        let arguments = Arguments::read(params, ["function", "input", "block"])?;
        (
            arguments.text("function")?,
            arguments.hex_or_empty("input")?,
            arguments.block("block")?,
        )
    };
    let answer = context
        .runtime
        .view(&function, &input, &block)
        .await
        .map_err(|error| fault::of_view(&error))?;
    Ok(hex::encode_prefixed(&answer.bytes))
}

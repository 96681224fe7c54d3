//! `metashrew_stateroot`: the history root at an indexed block.

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;

pub(super) fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<String, ErrorObjectOwned> {
    Ok(format!(
        "0x{}",
        context.block(params, extensions)?.history_root
    ))
}

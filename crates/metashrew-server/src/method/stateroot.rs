//! `metashrew_stateroot`: the history root at an indexed block.

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;
use crate::wire;

pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<String, ErrorObjectOwned> {
    Ok(wire::history_root(
        &context.block(params, extensions).await?.history_root,
    ))
}

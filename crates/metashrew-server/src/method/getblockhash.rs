//! `metashrew_getblockhash`: the hash of an indexed block.

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;
use crate::wire;

/// `0x` and the bytes in the customary (reversed) order, as existing hosts answer.
pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<String, ErrorObjectOwned> {
    Ok(wire::block_hash(
        &context.block(params, extensions).await?.hash,
    ))
}

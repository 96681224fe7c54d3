//! `metashrew_height`: how far the index is.

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_store::ResolveError;

use super::Context;
use crate::fault;
use crate::options::HeightCompat;
use crate::params::Arguments;

/// A decimal text, because existing clients parse one.
pub(super) fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<String, ErrorObjectOwned> {
    Arguments::read(params, [])?;
    let chain = context.chain(extensions);
    let tip = chain
        .tip()
        .ok_or_else(|| fault::of_block(&ResolveError::Empty))?;
    let height = match context.height_compat {
        HeightCompat::Last => u64::from(tip.height),
        HeightCompat::Next => u64::from(tip.height) + 1,
    };
    Ok(height.to_string())
}

//! `metashrew_getblockhash`: the hash of an indexed block.

use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;
use crate::fault;
use crate::params::Arguments;

/// `0x` and the bytes in the customary (reversed) order, as existing hosts answer.
pub(super) fn call(params: &Params<'_>, context: &Context) -> Result<String, ErrorObjectOwned> {
    let block = Arguments::read(params, ["block"])?.block("block")?;
    let record = context
        .runtime
        .store()
        .snapshot()
        .resolve(&block)
        .map_err(|error| fault::of_block(&error))?;
    Ok(format!("0x{}", record.hash))
}

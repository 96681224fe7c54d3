//! `metashrew_stateroot`: the history root at an indexed block.

use jsonrpsee::types::{ErrorObjectOwned, Params};

use super::Context;
use crate::fault;
use crate::params::Arguments;

pub(super) fn call(params: &Params<'_>, context: &Context) -> Result<String, ErrorObjectOwned> {
    let block = Arguments::read(params, ["block"])?.block("block")?;
    let record = context
        .runtime
        .store()
        .snapshot()
        .resolve(&block)
        .map_err(|error| fault::of_block(&error))?;
    Ok(format!("0x{}", record.history_root))
}

//! The methods, one file each, and what they share.

mod getblockhash;
mod height;
mod preview;
mod snapshot;
mod stateroot;
mod view;

use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::MetashrewRuntime;
use metashrew_store::BlockRecord;

use crate::fault;
use crate::options::HeightCompat;
use crate::params::Arguments;

/// What the methods work on.
pub(crate) struct Context {
    pub(crate) runtime: MetashrewRuntime,
    pub(crate) height_compat: HeightCompat,
}

impl Context {
    /// The record of the block that the only parameter names.
    fn block(&self, params: &Params<'_>) -> Result<BlockRecord, ErrorObjectOwned> {
        let block = Arguments::read(params, ["block"])?.block("block")?;
        let snapshot = self.runtime.store().snapshot();
        snapshot
            .resolve(&block)
            .map_err(|error| fault::of_block(&error))
    }
}

/// All methods over `context`.
pub(crate) fn all(context: Context) -> Result<RpcModule<Context>, RegisterMethodError> {
    let mut module = RpcModule::new(context);
    module.register_async_method("metashrew_view", |params, context, _| async move {
        view::call(&params, &context).await
    })?;
    module.register_async_method("metashrew_preview", |params, context, _| async move {
        preview::call(&params, &context).await
    })?;
    module.register_async_method("metashrew_height", |params, context, _| async move {
        height::call(&params, &context)
    })?;
    module.register_async_method("metashrew_getblockhash", |params, context, _| async move {
        getblockhash::call(&params, &context)
    })?;
    module.register_async_method("metashrew_stateroot", |params, context, _| async move {
        stateroot::call(&params, &context)
    })?;
    module.register_async_method("metashrew_snapshot", |params, context, _| async move {
        snapshot::call(&params, &context)
    })?;
    Ok(module)
}

//! The methods, one file each, and what they share.

mod anchor;
mod getblockhash;
mod height;
mod multicall;
mod options;
mod preview;
mod snapshot;
mod stateroot;
mod stats;
mod view;

use std::sync::Arc;

use http::Extensions;
use jsonrpsee::RpcModule;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::{Basis, Chain, MetashrewRuntime, ViewAt};
use metashrew_store::BlockRecord;

use crate::fault;
use crate::options::HeightCompat;
use crate::parallel::Bounds;
use crate::params::Arguments;
use crate::telemetry::Telemetry;

/// The names of all methods.
pub(crate) const NAMES: [&str; 8] = [
    "metashrew_view",
    "metashrew_multicall",
    "metashrew_preview",
    "metashrew_height",
    "metashrew_getblockhash",
    "metashrew_stateroot",
    "metashrew_snapshot",
    "metashrew_stats",
];

/// What the methods work on.
pub(crate) struct Context {
    pub(crate) runtime: MetashrewRuntime,
    pub(crate) height_compat: HeightCompat,
    /// How the calls of a multicall run.
    pub(crate) bounds: Bounds,
    /// Calls of a multicall.
    pub(crate) max_batch: usize,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl Context {
    /// The moment of the chain that the call stands on: its batch's, or now.
    fn chain(&self, extensions: &Extensions) -> Chain {
        let of_batch = batch_chain(extensions).cloned();
        of_batch.unwrap_or_else(|| self.runtime.chain())
    }

    /// The record of the block that the only parameter names.
    async fn block(
        &self,
        params: &Params<'_>,
        extensions: &Extensions,
    ) -> Result<BlockRecord, ErrorObjectOwned> {
        let block = Arguments::read(params, ["block"])?.block("block")?;
        self.chain(extensions)
            .snapshot()
            .resolve(&block)
            .await
            .map_err(|error| fault::of_block(&error))
    }
}

/// The moment that the call's batch stands on, if it is part of one.
fn batch_chain(extensions: &Extensions) -> Option<&Chain> {
    extensions.get::<Chain>()
}

/// What a view of the block `at` stands on: its batch's moment, or the chain when it begins
/// to run.
fn basis(extensions: &Extensions, at: ViewAt) -> Basis<'_> {
    batch_chain(extensions).map_or(Basis::Newest(at), |chain| Basis::In(chain, at))
}

/// All methods over `context`.
pub(crate) fn all(context: Context) -> Result<RpcModule<Context>, RegisterMethodError> {
    let mut module = RpcModule::new(context);
    module.register_async_method("metashrew_view", |params, context, extensions| async move {
        view::call(&params, &context, &extensions).await
    })?;
    module.register_async_method(
        "metashrew_multicall",
        |params, context, extensions| async move {
            multicall::call(&params, &context, &extensions).await
        },
    )?;
    module.register_async_method(
        "metashrew_preview",
        |params, context, extensions| async move {
            preview::call(&params, &context, &extensions).await
        },
    )?;
    module.register_method("metashrew_height", |params, context, extensions| {
        height::call(&params, context, extensions)
    })?;
    module.register_async_method(
        "metashrew_getblockhash",
        |params, context, extensions| async move {
            getblockhash::call(&params, &context, &extensions).await
        },
    )?;
    module.register_async_method(
        "metashrew_stateroot",
        |params, context, extensions| async move {
            stateroot::call(&params, &context, &extensions).await
        },
    )?;
    module.register_method("metashrew_snapshot", |params, context, extensions| {
        snapshot::call(&params, context, extensions)
    })?;
    module.register_method("metashrew_stats", |params, context, _| {
        stats::call(&params, context)
    })?;
    Ok(module)
}

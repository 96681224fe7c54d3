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

use metashrew_runtime::{Basis, Chain, MetashrewRuntime, ViewAt};
use metashrew_store::{BlockId, BlockRecord};
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::fault::{self, RpcError};
use crate::offload::Offload;
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
    /// How the calls of a multicall or of a batch run.
    pub(crate) bounds: Bounds,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Where long work is done.
    pub(crate) offload: Offload,
}

impl Context {
    /// The moment of the chain that the call stands on: its batch's, or now.
    fn chain(&self, batch: Option<&Chain>) -> Chain {
        batch.cloned().unwrap_or_else(|| self.runtime.chain())
    }

    /// The record of a block.
    async fn block(&self, block: &BlockId, batch: Option<&Chain>) -> Result<BlockRecord, RpcError> {
        let found = self.chain(batch).snapshot().resolve(block).await;
        found.map_err(|error| fault::of_block(&error))
    }
}

/// What a view of the block `at` stands on: its batch's moment, or the chain when it begins
/// to run.
fn basis(batch: Option<&Chain>, at: ViewAt) -> Basis<'_> {
    batch.map_or(Basis::Newest(at), |chain| Basis::In(chain, at))
}

/// A call whose parameters were read.
pub(crate) struct Call {
    /// One of [`NAMES`], or empty if there is no such method.
    method: &'static str,
    params: Result<Params, RpcError>,
}

/// What each method is given.
enum Params {
    View(view::Params),
    Multicall(multicall::Params),
    Preview(preview::Params),
    Height,
    GetBlockHash(BlockId),
    StateRoot(BlockId),
    Snapshot,
    Stats,
}

impl Call {
    /// Reads the parameters of `method`; a multicall may have `max_batch` calls.
    pub(crate) fn read(method: &str, params: Option<&RawValue>, max_batch: usize) -> Self {
        let known = NAMES.into_iter().find(|name| *name == method);
        let method = known.unwrap_or_default();
        Self {
            method,
            params: Params::read(method, params, max_batch),
        }
    }

    /// The method's name; empty if there is no such method.
    pub(crate) fn method(&self) -> &'static str {
        self.method
    }

    /// The result, on the moment of its `batch` if it is part of one.
    pub(crate) async fn answer(
        self,
        context: &Arc<Context>,
        batch: Option<&Chain>,
    ) -> Result<Answer, RpcError> {
        match self.params? {
            Params::View(params) => params.answer(context, batch).await,
            Params::Multicall(params) => params.answer(context, batch).await,
            Params::Preview(params) => params.answer(context, batch).await,
            Params::Height => height::answer(context, batch),
            Params::GetBlockHash(block) => getblockhash::answer(&block, context, batch).await,
            Params::StateRoot(block) => stateroot::answer(&block, context, batch).await,
            Params::Snapshot => Ok(snapshot::answer(context, batch)),
            Params::Stats => Ok(stats::answer(context)),
        }
    }
}

impl Params {
    fn read(method: &str, params: Option<&RawValue>, max_batch: usize) -> Result<Self, RpcError> {
        let block = || Arguments::read(params, ["block"])?.block("block");
        let none = || Arguments::read(params, []).map(drop);
        Ok(match method {
            "metashrew_view" => Self::View(view::Params::read(params)?),
            "metashrew_multicall" => Self::Multicall(multicall::Params::read(params, max_batch)?),
            "metashrew_preview" => Self::Preview(preview::Params::read(params)?),
            "metashrew_height" => none().map(|()| Self::Height)?,
            "metashrew_getblockhash" => Self::GetBlockHash(block()?),
            "metashrew_stateroot" => Self::StateRoot(block()?),
            "metashrew_snapshot" => none().map(|()| Self::Snapshot)?,
            "metashrew_stats" => none().map(|()| Self::Stats)?,
            _ => return Err(RpcError::NOT_FOUND),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_method() {
        for name in NAMES {
            let call = Call::read(name, None, 0);
            assert_eq!(call.method(), name);
            assert_ne!(call.params.err(), Some(RpcError::NOT_FOUND), "{name}");
        }
        let call = Call::read("metashrew_views", None, 0);
        assert_eq!(call.method(), "");
        assert_eq!(call.params.err(), Some(RpcError::NOT_FOUND));
    }
}

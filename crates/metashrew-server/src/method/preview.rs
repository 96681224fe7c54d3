//! `metashrew_preview`: one view's answer as if a block were on top of another.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::{Basis, BlockFrame, ViewCall, assemble_block};
use metashrew_store::BlockRecord;
use serde_json::value::RawValue;

use super::anchor::Answer;
use super::options::{CallOptions, OF_PREVIEW};
use super::{Context, basis};
use crate::fault;
use crate::params::{Arguments, hex_of, invalid};

/// The parameter that holds what is to be previewed.
const BLOCK: &str = "raw_block";

pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<Answer, ErrorObjectOwned> {
    let (previewed, function, input, at, options) = {
        let names = [BLOCK, "function", "input", "block", "options"];
        let arguments = Arguments::read(params, names)?;
        (
            Previewed::read(&arguments)?,
            arguments.text("function")?,
            arguments.hex_or_empty("input")?,
            arguments.block("block")?,
            CallOptions::default().updated(&arguments, "options", OF_PREVIEW)?,
        )
    };
    let resolved;
    let (block, at) = match previewed {
        Previewed::Block(block) => (block, basis(extensions, at.into())),
        Previewed::Transactions(transactions) => {
            // What is built must stand on the block that the guest runs it on.
            let found = context.chain(extensions).at(at.into()).await;
            resolved = found.map_err(|error| fault::of_view(&error))?;
            let block = build(&transactions, resolved.block())?;
            (block, Basis::Resolved(&resolved))
        }
    };
    let call = ViewCall {
        at,
        timeout: options.timeout,
        ..ViewCall::new(&function, &input)
    };
    let answer = context.runtime.preview_call(block, call).await;
    let answer = answer.map_err(|error| fault::of_view(&error))?;
    Ok(Answer::new(&answer, &options, context))
}

/// What is to be on top of the chain.
enum Previewed {
    Block(Vec<u8>),
    Transactions(Vec<Vec<u8>>),
}

impl Previewed {
    fn read<const N: usize>(arguments: &Arguments<'_, N>) -> Result<Self, ErrorObjectOwned> {
        let value = arguments.needed(BLOCK)?;
        if !value.get().starts_with('[') {
            let block = hex_of(value).map_err(|reason| arguments.invalid(BLOCK, &reason))?;
            return Ok(Self::Block(block));
        }
        let listed: Vec<&RawValue> = serde_json::from_str(value.get())
            .map_err(|error| arguments.invalid(BLOCK, &error.to_string()))?;
        let transactions = listed
            .into_iter()
            .enumerate()
            .map(|(index, value)| hex_of(value).map_err(|reason| of_transaction(index, &reason)));
        Ok(Self::Transactions(transactions.collect::<Result<_, _>>()?))
    }
}

/// A block of the transactions on top of `parent`.
fn build(transactions: &[Vec<u8>], parent: &BlockRecord) -> Result<Vec<u8>, ErrorObjectOwned> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let time = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let frame = BlockFrame::new(parent.hash, parent.height.saturating_add(1), time);
    assemble_block(&frame, transactions)
        .map_err(|error| of_transaction(error.index(), &fault::chain(&error)))
}

fn of_transaction(index: usize, reason: &str) -> ErrorObjectOwned {
    invalid(Some(&format!("{BLOCK}[{index}]")), reason)
}

//! `metashrew_preview`: one view's answer as if a block were on top of another.

use std::time::{SystemTime, UNIX_EPOCH};

use metashrew_runtime::{Basis, BlockFrame, Chain, ViewCall, assemble_block};
use metashrew_store::{BlockId, BlockRecord};

use super::options::{CallOptions, OF_PREVIEW};
use super::{Context, anchor, basis};
use crate::answer::Answer;
use crate::fault::{self, RpcError};
use crate::listed;
use crate::params::{Arguments, hex_of, invalid};

/// The parameter that holds what is to be previewed.
const BLOCK: &str = "raw_block";

/// Transactions that a block can hold: its weight is 4,000,000 at most, that of each at
/// least 4 times 60 bytes (Bitcoin Core, `consensus/consensus.h`).
const MAX_TRANSACTIONS: usize = 4_000_000 / (4 * 60);

pub(super) struct Params {
    previewed: Previewed,
    function: String,
    input: Vec<u8>,
    at: BlockId,
    options: CallOptions,
}

impl Params {
    pub(super) fn read(params: Option<&str>) -> Result<Self, RpcError> {
        let names = [BLOCK, "function", "input", "block", "options"];
        let arguments = Arguments::read(params, names)?;
        Ok(Self {
            previewed: Previewed::read(&arguments)?,
            function: arguments.text("function")?.into_owned(),
            input: arguments.input("input")?,
            at: arguments.block("block")?,
            options: CallOptions::default().updated(&arguments, "options", OF_PREVIEW)?,
        })
    }

    pub(super) async fn answer(
        self,
        context: &Context,
        batch: Option<&Chain>,
    ) -> Result<Answer, RpcError> {
        let resolved;
        let (block, at) = match self.previewed {
            Previewed::Block(block) => (block, basis(batch, self.at.into())),
            Previewed::Transactions(transactions) => {
                // What is built must stand on the block that the guest runs it on.
                let found = context.chain(batch).at(self.at.into()).await;
                resolved = found.map_err(|error| fault::of_view(&error))?;
                let block = build(transactions, resolved.block(), context).await?;
                (block, Basis::Resolved(&resolved))
            }
        };
        let call = ViewCall {
            at,
            timeout: self.options.timeout,
            ..ViewCall::new(&self.function, &self.input)
        };
        let answer = context.runtime.preview_call(block, call).await;
        let answer = answer.map_err(|error| fault::of_view(&error))?;
        anchor::written(answer, &self.options, context).await
    }
}

/// What is to be on top of the chain.
enum Previewed {
    Block(Vec<u8>),
    Transactions(Vec<Vec<u8>>),
}

impl Previewed {
    fn read<const N: usize>(arguments: &Arguments<'_, N>) -> Result<Self, RpcError> {
        let value = arguments.needed(BLOCK)?;
        if !value.get().starts_with('[') {
            let block = hex_of(value).map_err(|reason| arguments.invalid(BLOCK, &reason))?;
            return Ok(Self::Block(block));
        }
        let mut transactions = Vec::new();
        let mut wrong = None;
        let count = listed::each(value.get(), |value| {
            match hex_of(value) {
                Ok(transaction) => transactions.push(transaction),
                Err(reason) => wrong = Some(of_transaction(transactions.len(), &reason)),
            }
            wrong.is_none() && transactions.len() < MAX_TRANSACTIONS
        });
        let count = count.map_err(|error| arguments.invalid(BLOCK, &error.to_string()))?;
        if count > MAX_TRANSACTIONS {
            let reason =
                format!("{count} transactions are given, a block holds at most {MAX_TRANSACTIONS}");
            return Err(arguments.invalid(BLOCK, &reason));
        }
        wrong.map_or(Ok(Self::Transactions(transactions)), Err)
    }
}

/// A block of the transactions on top of `parent`.
async fn build(
    transactions: Vec<Vec<u8>>,
    parent: &BlockRecord,
    context: &Context,
) -> Result<Vec<u8>, RpcError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let time = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let frame = BlockFrame::new(parent.hash, parent.height.saturating_add(1), time);
    let length = transactions.iter().map(Vec::len).sum();
    let block = move || assemble_block(&frame, &transactions);
    let block = context.offload.run(length, block).await?;
    block.map_err(|error| of_transaction(error.index(), &fault::chain(&error)))
}

fn of_transaction(index: usize, reason: &str) -> RpcError {
    invalid(Some(&format!("{BLOCK}[{index}]")), reason)
}

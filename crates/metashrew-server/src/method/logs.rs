//! `metashrew_logs`: what the guest logged while it indexed a block.

use metashrew_runtime::{BlockLogs, Chain, LogLine, LogRange, LogsFound};
use metashrew_store::{BlockHash, BlockId, Height};
use serde::Serialize;

use super::Context;
use crate::answer::Answer;
use crate::fault::RpcError;
use crate::params::Arguments;
use crate::wire;

/// Lines of one answer if the call does not say how many, and at most.
const LINES: usize = 1_000;
const MAX_LINES: usize = 10_000;

/// Bytes of text in one answer at most.
const MAX_TEXT: usize = 1 << 20;

pub(super) struct Params {
    /// None: the block that the guest ran over last.
    block: Option<BlockId>,
    range: LogRange,
}

impl Params {
    pub(super) fn read(params: Option<&str>) -> Result<Self, RpcError> {
        let arguments = Arguments::read(params, ["block", "from", "limit"])?;
        let block = arguments.value("block").map(|_| arguments.block("block"));
        let from = arguments.value("from").map(|value| {
            let number = value.get().parse().ok();
            number.ok_or_else(|| arguments.invalid("from", "it must be a whole number"))
        });
        let lines = arguments.value("limit").map(|value| {
            let number = value.get().parse().ok();
            let number = number.filter(|number| (1..=MAX_LINES).contains(number));
            let reason = format!("it must be a whole number from 1 to {MAX_LINES}");
            number.ok_or_else(|| arguments.invalid("limit", &reason))
        });
        Ok(Self {
            block: block.transpose()?,
            range: LogRange {
                from: from.transpose()?.unwrap_or(0),
                lines: lines.transpose()?.unwrap_or(LINES),
                bytes: MAX_TEXT,
            },
        })
    }

    pub(super) async fn answer(
        self,
        context: &Context,
        batch: Option<&Chain>,
    ) -> Result<Answer, RpcError> {
        let logs = context.runtime.logs();
        let block = match &self.block {
            Some(block) => Some(find(block, context, batch).await?),
            None => logs.last().map(|block| (block.hash, block.height, false)),
        };
        let Some((hash, height, in_chain)) = block else {
            return Ok(Answer::json(&Answered::default()));
        };
        let found = logs.of(&hash, in_chain.then_some(height), &self.range);
        Ok(Answer::json(&Answered::of(&hash, height, found)))
    }
}

/// The block that is meant, and whether it is known to be one of the chain. One that is not
/// committed, or is so no more, is known as long as its lines are.
async fn find(
    block: &BlockId,
    context: &Context,
    batch: Option<&Chain>,
) -> Result<(BlockHash, Height, bool), RpcError> {
    let logs = context.runtime.logs();
    let known = |hash: &BlockHash| logs.block(hash).map(|block| (*hash, block.height, false));
    let chain = context.chain(batch);
    let tip = chain.tip().map(|tip| tip.height);
    let above = match block {
        BlockId::Latest => None,
        BlockId::Hash(hash) => known(hash),
        BlockId::Anchored { height, hash } => known(hash).filter(|found| found.1 == *height),
        BlockId::Height(height) if tip.is_some_and(|tip| *height <= tip) => None,
        BlockId::Height(height) => {
            let run = logs.above_tip(*height, chain.snapshot().generation());
            run.map(|run| (run.hash, run.height, false))
        }
    };
    if let Some(above) = above {
        return Ok(above);
    }
    let record = context.block(block, batch).await?;
    Ok((record.hash, record.height, true))
}

/// Nothing is `null` but what is not known.
#[derive(Default, Serialize)]
struct Answered {
    height: Option<Height>,
    block_hash: Option<String>,
    /// How the run over the block went.
    state: Option<&'static str>,
    /// Whether it is known what the block logged.
    known: bool,
    logged: u64,
    dropped: u64,
    lines: Vec<Line>,
    next: Option<u64>,
}

#[derive(Serialize)]
struct Line {
    number: u64,
    text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Answered {
    fn of(hash: &BlockHash, height: Height, found: LogsFound) -> Self {
        let block = Self {
            height: Some(height),
            block_hash: Some(wire::block_hash(hash)),
            ..Self::default()
        };
        match found {
            LogsFound::NotKept => block,
            LogsFound::Silent => Self {
                state: Some(metashrew_runtime::BlockRun::Processed.as_str()),
                known: true,
                ..block
            },
            LogsFound::Kept(logs) => {
                let BlockLogs {
                    run,
                    logged,
                    dropped,
                    lines,
                    next,
                    ..
                } = logs;
                let line = |LogLine { number, text, cut }| Line { number, text, cut };
                Self {
                    state: Some(run.as_str()),
                    known: true,
                    logged,
                    dropped,
                    lines: lines.into_iter().map(line).collect(),
                    next,
                    ..block
                }
            }
        }
    }
}

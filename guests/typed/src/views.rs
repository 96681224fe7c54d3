//! The views.

use metashrew_support::index_pointer::KeyValuePointer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Some blocks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blocks {
    /// The first of them.
    from: u32,
    /// How many.
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

/// What they have.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Counts {
    height: u32,
    transactions: Vec<u64>,
}

/// A block that is not there.
#[derive(Debug)]
pub(crate) struct NoBlock {
    height: u32,
    source: TooHigh,
}

/// Why it is not.
#[derive(Debug)]
struct TooHigh {
    tip: u32,
}

impl fmt::Display for NoBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no block {}", self.height)
    }
}

impl fmt::Display for TooHigh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the newest is {}", self.tip)
    }
}

impl std::error::Error for NoBlock {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl std::error::Error for TooHigh {}

fn count(height: u32, tip: u32) -> Result<u64, NoBlock> {
    if height > tip {
        let source = TooHigh { tip };
        return Err(NoBlock { height, source });
    }
    Ok(crate::at(height).get_value())
}

/// How many transactions some blocks have, each.
#[metashrew_core::view(json, schema)]
pub(crate) fn counts(height: u32, blocks: &Blocks) -> Result<Counts, NoBlock> {
    let end = blocks.from.saturating_add(blocks.count);
    let transactions = (blocks.from..end).map(|block| count(block, height));
    Ok(Counts {
        height,
        transactions: transactions.collect::<Result<_, _>>()?,
    })
}

/// How many transactions the block has, decimal.
#[metashrew_core::view]
pub(crate) fn text(height: u32) -> Result<String, NoBlock> {
    count(height, height).map(|count| count.to_string())
}

#[metashrew_core::view(height_independent)]
pub(crate) fn echo(input: &[u8]) -> &[u8] {
    input
}

/// A block.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Question {
    /// Its height.
    #[prost(uint32, tag = "1")]
    pub(crate) height: u32,
}

/// What it has.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Answer {
    /// How many transactions.
    #[prost(uint64, tag = "1")]
    pub(crate) transactions: u64,
}

/// How many transactions a block has.
#[metashrew_core::view(prost)]
pub(crate) fn message(height: u32, question: &Question) -> Result<Answer, NoBlock> {
    let transactions = count(question.height, height)?;
    Ok(Answer { transactions })
}

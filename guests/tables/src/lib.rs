//! Every kind of table, to test them with in a real host: a block's bytes, and a view's input,
//! are a script of operations, and what they answered is kept.
//!
//! The script is that of the SDK's own tests, so that both run the same.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the SDK takes functions that may fail"
)]

#[path = "../../../crates/metashrew-core/tests/tables/ops.rs"]
mod ops;
#[path = "../../../crates/metashrew-core/tests/tables/run.rs"]
#[allow(dead_code, reason = "the list of tables is for native tests")]
mod run;

use std::convert::Infallible;

/// Where a block leaves what its operations answered.
const ANSWERS: &[u8] = b"answers";

fn index(_height: u32, block: &[u8]) -> Result<(), Infallible> {
    let answers = run::run(block).into_bytes();
    metashrew_core::set(ANSWERS.to_vec().into(), answers.into());
    Ok(())
}

fn script(_height: u32, script: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(run::run(script).into_bytes())
}

fn answers(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(metashrew_core::get(ANSWERS.to_vec().into()).to_vec())
}

metashrew_core::export! {
    start: index,
    memory: by_height and across_blocks,
    views: {
        script: "any bytes, which are operations" => "what each answered, a line each",
        answers: "nothing" => "what the operations of the block answered",
    },
}

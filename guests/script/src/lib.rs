//! Does what it is told: a block's bytes, and a view's input, are a script of reads and writes
//! (`crates/metashrew-core/tests/script`). With it, tests check in the engine what the SDK's own
//! tests check natively.
//!
//! What a block's script answered is kept under `t` and the height (u32, big-endian).

#[path = "../../../crates/metashrew-core/tests/script/ops.rs"]
#[allow(dead_code, reason = "tests write scripts, the guest reads them")]
mod ops;
#[path = "../../../crates/metashrew-core/tests/script/run.rs"]
mod run;

use std::convert::Infallible;
use std::sync::Arc;

#[allow(
    clippy::unnecessary_wraps,
    reason = "the SDK takes functions that may fail"
)]
fn index(height: u32, script: &[u8]) -> Result<(), Infallible> {
    let answers = run::run(ops::decode(script));
    let key = [&b"t"[..], &height.to_be_bytes()].concat();
    metashrew_core::set(Arc::new(key), Arc::new(answers));
    Ok(())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the SDK takes functions that may fail"
)]
fn run_view(_height: u32, script: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(run::run(ops::decode(script)))
}

metashrew_core::export! {
    start: index,
    memory: by_height and across_blocks,
    views: { run_view: "a script" => "what it answers" },
}

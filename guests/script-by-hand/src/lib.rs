//! What `script` does, in the shape of guests that were not written with the SDK's macros:
//! `_start` makes an answer before it flushes, and the view's is in memory of its own.

#[path = "../../../crates/metashrew-core/tests/script/ops.rs"]
#[allow(dead_code, reason = "tests write scripts, the guest reads them")]
mod ops;
#[path = "../../../crates/metashrew-core/tests/script/run.rs"]
mod run;

use metashrew_core::{flush, height_and_payload, initialize, set};
use metashrew_support::compat::{export_bytes, to_arraybuffer_layout, to_passback_ptr};
use std::cell::RefCell;
use std::sync::Arc;

metashrew_core::memory!(by_height);
metashrew_core::memory!(across_blocks);

/// Runs a block's script.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "_start"))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn start() {
    initialize();
    let (height, script) = height_and_payload();
    let answers = run::run(ops::decode(&script));
    let key = [&b"t"[..], &height.to_be_bytes()].concat();
    set(Arc::new(key), Arc::new(answers));
    export_bytes(Vec::new());
    flush();
}

thread_local! {
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs the input: what it answers.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn run_view() -> i32 {
    initialize();
    let (_, script) = height_and_payload();
    let answers = run::run(ops::decode(&script));
    ANSWER.with_borrow_mut(|answer| {
        *answer = to_arraybuffer_layout(answers);
        to_passback_ptr(answer)
    })
}

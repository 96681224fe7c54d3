//! Any bytes as a request: the answer is legal, or there is none.
#![no_main]
#![allow(dead_code, reason = "the tests use more of what is shared with them")]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metashrew_server::ServerOptions;

#[path = "../../crates/metashrew-server/tests/requests/asked.rs"]
mod asked;
#[path = "../../crates/metashrew-server/tests/requests/legal.rs"]
mod legal;

static ASKED: LazyLock<asked::Asked> = LazyLock::new(|| {
    asked::Asked::new(&ServerOptions {
        max_batch: 16,
        ..ServerOptions::default()
    })
});

fuzz_target!(|body: &[u8]| {
    if let Some(answer) = ASKED.ask(body.to_vec())
        && let Err(error) = legal::read(&answer)
    {
        panic!("{error}");
    }
});

//! A panic's message reaches the host. The hook is the process's, so this test has
//! a process of its own.
#![cfg(feature = "panic-hook")]

use metashrew_core::{compat, test_utils};
use std::panic::catch_unwind;

#[test]
fn a_panic_is_logged_and_ends_the_call_with_its_message() {
    std::panic::set_hook(Box::new(compat::panic_hook));
    let line = line!() + 1;
    let unwound = catch_unwind(|| panic!("block {} is ünseen", 7));
    let _ = std::panic::take_hook();
    assert!(unwound.is_err());
    let log = test_utils::take_log();
    let [logged, aborted] = log.as_slice() else {
        panic!("{log:?}");
    };
    let at = format!("panicked at {}:{line}:", file!());
    assert!(
        logged.starts_with(&at) && logged.ends_with(": block 7 is ünseen"),
        "{logged}"
    );
    let at = format!("abort: block 7 is ünseen at {}:{line}:", file!());
    assert!(aborted.starts_with(&at), "{aborted}");
}

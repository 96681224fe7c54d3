//! What becomes of a panic: its message reaches the host.
#![allow(unsafe_code, reason = "imported functions are unsafe to call")]

use crate::buffers::to_passback_ptr;
use crate::host::{self, utf16};
use crate::imports;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Logs the panic's message and place, then ends the call with them by the
/// host's `abort`.
pub fn panic_hook(info: &PanicHookInfo) {
    let payload = info.payload();
    let message = (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text");
    let (file, line, column) = info
        .location()
        .map_or(("", 0, 0), |at| (at.file(), at.line(), at.column()));
    host::log(&format!("panicked at {file}:{line}:{column}: {message}"));
    let (mut message, mut file) = (utf16(message), utf16(file));
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    // SAFETY: both are living buffers in the layout of AssemblyScript's strings.
    unsafe {
        imports::abort(
            to_passback_ptr(&mut message),
            to_passback_ptr(&mut file),
            number(line),
            number(column),
        );
    }
}

/// Makes [`panic_hook`] the hook, once; in wasm only, where a panic would say
/// nothing otherwise.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    if cfg!(target_arch = "wasm32") {
        INSTALLED.call_once(|| std::panic::set_hook(Box::new(panic_hook)));
    }
}

//! Output of a guest: lines in its host's log.

use crate::host;
use std::sync::Arc;

pub use std::fmt::{Error, Write};

/// Whether `println!` and `print!` log; see the features `silent` and `debug-log`.
#[doc(hidden)]
pub const LOGS: bool = cfg!(feature = "debug-log") || !cfg!(feature = "silent");

/// The host's log, as something to write to. Each write is a message of its own.
#[derive(Debug)]
pub struct Stdout(());

/// The host's log.
pub fn stdout() -> Stdout {
    Stdout(())
}

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        host::log(text);
        Ok(())
    }
}

/// Logs bytes, which should be UTF-8.
#[allow(clippy::needless_pass_by_value, reason = "the signature is fixed")]
pub fn log(v: Arc<Vec<u8>>) {
    host::log(&String::from_utf8_lossy(&v));
}

//! Output of a guest: lines in its host's log.

use crate::host;
use std::sync::Arc;

pub use std::fmt::{Error, Write};

/// Whether `println!` and `print!` log; see the features `silent` and `debug-log`.
#[doc(hidden)]
pub const LOGS: bool = cfg!(feature = "debug-log") || !cfg!(feature = "silent");

/// The host's log, as something to write to. Each write is a message of its own.
///
/// ```
/// use metashrew_core::stdio::Write;
/// # use metashrew_core::test_utils;
/// write!(metashrew_core::stdout(), "{} blocks", 7).unwrap();
/// assert_eq!(test_utils::take_log().concat(), "7 blocks");
/// ```
#[derive(Debug)]
pub struct Stdout(());

/// The host's log.
///
/// ```
/// # use metashrew_core::stdio::Write;
/// metashrew_core::stdout().write_str("indexed").unwrap();
/// assert_eq!(metashrew_core::test_utils::take_log(), ["indexed"]);
/// ```
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
///
/// ```
/// metashrew_core::stdio::log(b"indexed".to_vec().into());
/// assert_eq!(metashrew_core::test_utils::take_log(), ["indexed"]);
/// ```
#[allow(clippy::needless_pass_by_value, reason = "the signature is fixed")]
pub fn log(v: Arc<Vec<u8>>) {
    host::log(&String::from_utf8_lossy(&v));
}

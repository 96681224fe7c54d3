//! How a call ends with an error: as a value where its host can take one, else by
//! `abort`. Neither tells a path of its author's machine.

use crate::{buffers, call, call_local};
use std::cell::RefCell;
use std::error::Error;
use std::fmt::{Display, Write};

call_local! {
    /// The error of the view that just returned 0.
    static LAST: RefCell<Option<String>> = RefCell::new(None);
}

/// What a guest's functions may fail with: whatever turns into a `Box<dyn Error>` (errors,
/// boxed ones, `anyhow::Error`, `String`, `&str`), and `Box<dyn Error + Send + Sync>`.
///
/// `Kind` only tells these two apart, and is found by the compiler.
///
/// ```
/// use metashrew_core::entry::ErrorText;
/// use std::error::Error;
/// fn text<Kind>(error: impl ErrorText<Kind>) -> String {
///     error.error_text()
/// }
/// assert_eq!(text("no such owner"), "no such owner");
/// assert_eq!(text(Box::<dyn Error + Send + Sync>::from("no funds")), "no funds");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that a guest can end a call with",
    note = "it has to implement `std::error::Error`, or to turn into a `Box<dyn Error>`"
)]
pub trait ErrorText<Kind> {
    /// The error's text, and those of its sources, each behind ": ". A source whose text the
    /// error tells already is not told again.
    ///
    /// ```
    /// # use metashrew_core::entry::ErrorText;
    /// let error = "7x".parse::<u32>().unwrap_err();
    /// assert_eq!(error.error_text(), "invalid digit found in string");
    /// ```
    fn error_text(self) -> String;
}

/// Marks what turns into a `Box<dyn Error>`.
///
/// ```
/// # use metashrew_core::entry::{ErrorText, Turns};
/// fn text(error: impl ErrorText<Turns>) -> String {
///     error.error_text()
/// }
/// assert_eq!(text(String::from("no funds")), "no funds");
/// ```
#[derive(Debug)]
pub enum Turns {}

/// Marks `Box<dyn Error + Send + Sync>`.
///
/// ```
/// # use metashrew_core::entry::{ErrorText, Shared};
/// # use std::error::Error;
/// fn text(error: impl ErrorText<Shared>) -> String {
///     error.error_text()
/// }
/// assert_eq!(text(Box::<dyn Error + Send + Sync>::from("no funds")), "no funds");
/// ```
#[derive(Debug)]
pub enum Shared {}

impl<E: Into<Box<dyn Error>>> ErrorText<Turns> for E {
    fn error_text(self) -> String {
        chain(&*self.into())
    }
}

impl ErrorText<Shared> for Box<dyn Error + Send + Sync> {
    fn error_text(self) -> String {
        chain(&*self)
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {cause}");
        }
        source = error.source();
    }
    text
}

/// [`ErrorText::error_text`] as a function.
#[doc(hidden)]
pub fn error_text<Kind, E: ErrorText<Kind>>(error: E) -> String {
    error.error_text()
}

/// Why an input cannot be read.
#[doc(hidden)]
pub fn bad_input(error: impl Display) -> String {
    format!("bad input: {error}")
}

/// Ends a view with an error: what it returns to its host.
pub(super) fn refuse(text: String) -> i32 {
    if !call::announced() {
        end(&text);
    }
    LAST.set(Some(text));
    0
}

/// The host asks for the error of a view that returned 0: a pointer to its text, or 0 if
/// there is none. See `docs/abi.md`.
///
/// ```
/// // No view failed.
/// assert_eq!(metashrew_core::entry::__metashrew_error(0), 0);
/// ```
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "__metashrew_error"))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn __metashrew_error(_reserved: i32) -> i32 {
    let text = LAST.take();
    text.map_or(0, |text| buffers::export_bytes(text.into_bytes()))
}

/// Ends the call with a text.
pub(super) fn end(text: &str) -> ! {
    #[cfg(target_arch = "wasm32")]
    crate::host::abort(text);
    #[cfg(not(target_arch = "wasm32"))]
    panic!("{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Chained(&'static str, Option<Box<Chained>>);

    impl fmt::Display for Chained {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Chained {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &dyn Error)
        }
    }

    fn chained() -> Chained {
        let root = Chained("no such key", None);
        let middle = Chained("the state: no such key", Some(Box::new(root)));
        Chained("no balance", Some(Box::new(middle)))
    }

    #[test]
    fn every_kind_of_error_tells_its_sources_once() {
        let text = "no balance: the state: no such key";
        assert_eq!(error_text(chained()), text);
        assert_eq!(error_text(Box::<dyn Error>::from(chained())), text);
        let shared: Box<dyn Error + Send + Sync> = Box::from("shared");
        assert_eq!(error_text(shared), "shared");
        assert_eq!(error_text("text"), "text");
        assert_eq!(error_text("text".to_owned()), "text");
        assert_eq!(error_text(anyhow::Error::new(chained())), text);
    }
}

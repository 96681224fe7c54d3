//! The text of what a function of `export!` fails with: of an error that has an
//! [`ErrorText`], and of a type that can only be displayed.
//!
//! Most errors are both, so no generic function can take either. A method call can: the
//! compiler takes the first method that fits, and these are of different numbers of references.

use super::ErrorText;
use std::fmt::Display;
use std::marker::PhantomData;

/// What a function failed with; `(&&failure).form().text(failure.0)` is its text.
#[derive(Debug)]
pub struct Failure<E>(pub E);

/// An error with an [`ErrorText`]. It goes first.
pub trait TellsSources<Kind> {
    fn form(&self) -> WithSources<Kind> {
        WithSources(PhantomData)
    }
}

impl<Kind, E: ErrorText<Kind>> TellsSources<Kind> for &Failure<E> {}

#[derive(Debug)]
pub struct WithSources<Kind>(PhantomData<Kind>);

impl<Kind> WithSources<Kind> {
    pub fn text<E: ErrorText<Kind>>(self, error: E) -> String {
        error.error_text()
    }
}

/// What can be displayed and is no error. It goes second.
pub trait TellsItself {
    fn form(&self) -> Displayed {
        Displayed
    }
}

impl<E: Display> TellsItself for &&Failure<E> {}

#[derive(Debug)]
pub struct Displayed;

impl Displayed {
    pub fn text<E: Display>(self, error: E) -> String {
        error.to_string()
    }
}

/// What is neither: the compiler says so where the text is asked for.
pub trait TellsNothing {
    fn form(&self) -> Unknown {
        Unknown
    }
}

impl<E> TellsNothing for Failure<E> {}

#[derive(Debug)]
pub struct Unknown;

impl Unknown {
    pub fn text<Kind, E: ErrorText<Kind>>(self, error: E) -> String {
        error.error_text()
    }
}

/// The text of the error of a function of `export!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __failure_text {
    ($error:expr) => {{
        #[allow(unused_imports, reason = "which of them it takes depends on the error")]
        use $crate::entry::failure::{TellsItself as _, TellsNothing as _, TellsSources as _};
        let failure = $crate::entry::failure::Failure($error);
        (&&failure).form().text(failure.0)
    }};
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    struct OnlyDisplayed;

    impl fmt::Display for OnlyDisplayed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("only displayed")
        }
    }

    #[derive(Debug)]
    struct Caused;

    impl fmt::Display for Caused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("caused")
        }
    }

    impl Error for Caused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&fmt::Error)
        }
    }

    #[test]
    fn what_can_only_be_displayed_tells_itself() {
        assert_eq!(__failure_text!(OnlyDisplayed), "only displayed");
        assert_eq!(__failure_text!(&OnlyDisplayed), "only displayed");
        assert_eq!(__failure_text!(7), "7");
    }

    #[test]
    fn errors_tell_their_sources() {
        let text = format!("caused: {}", fmt::Error);
        assert_eq!(__failure_text!(Caused), text);
        assert_eq!(__failure_text!(Box::<dyn Error>::from(Caused)), text);
        let shared = Box::<dyn Error + Send + Sync>::from(Caused);
        assert_eq!(__failure_text!(shared), text);
        assert_eq!(__failure_text!(anyhow::Error::new(Caused)), text);
        assert_eq!(__failure_text!("text"), "text");
        assert_eq!(__failure_text!("text".to_owned()), "text");
    }

    fn index(height: u32, _block: &[u8]) -> Result<(), OnlyDisplayed> {
        (height > 0).then_some(()).ok_or(OnlyDisplayed)
    }

    fn caused(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Caused> {
        Err(Caused)
    }

    fn displayed(_height: u32, _input: &[u8]) -> Result<Vec<u8>, OnlyDisplayed> {
        Err(OnlyDisplayed)
    }

    // Functions of both kinds are exported.
    crate::export! {
        start: index,
        views: { caused: "nothing" => "nothing", displayed: "nothing" => "nothing" },
    }

    /// The code of the macro, which no native code can call by name.
    #[test]
    fn an_export_ends_with_either_text() {
        use crate::test_utils::try_view_export;
        let view = |view: fn(u32, &[u8]) -> Result<Vec<u8>, OnlyDisplayed>| {
            try_view_export(7, b"", || {
                crate::entry::view(|height, input| {
                    view(height, input).map_err(|error| __failure_text!(error))
                })
            })
        };
        assert_eq!(view(displayed), Err("only displayed".to_owned()));
    }
}

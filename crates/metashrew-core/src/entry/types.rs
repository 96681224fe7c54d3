//! What a guest's functions may take and answer.

use crate::macros::DecodeBlock;
use metashrew_support::raw;
use std::sync::Arc;

/// A block as `#[main]` hands it over: `&[u8]`, [`raw::Block`] and all that is
/// [`DecodeBlock`].
///
/// ```
/// use metashrew_core::entry::FromBlock;
/// use metashrew_support::raw::Block;
/// fn reads<'a, B: FromBlock<'a>>(bytes: &'a [u8]) -> bool {
///     B::from_block(bytes).is_ok()
/// }
/// assert!(reads::<&[u8]>(b"no block"));
/// assert!(!reads::<Block<'_>>(b"no block"));
/// ```
#[diagnostic::on_unimplemented(
    message = "a block cannot be read as `{Self}`",
    label = "not a block",
    note = "it may be `&[u8]`, `Vec<u8>`, `metashrew_support::raw::Block<'_>`, or, with the \
            feature `bitcoin`, `bitcoin::Block` or `AuxpowBlock`; a type of your own \
            implements `metashrew_core::macros::DecodeBlock`"
)]
pub trait FromBlock<'a>: Sized {
    /// Reads the block as the host gives it.
    ///
    /// ```
    /// # use metashrew_core::entry::FromBlock;
    /// let bytes = <&[u8]>::from_block(&[1, 2])?;
    /// assert_eq!(bytes, [1, 2]);
    /// # Ok::<_, String>(())
    /// ```
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    fn from_block(bytes: &'a [u8]) -> Result<Self, String>;
}

impl<'a, B: DecodeBlock> FromBlock<'a> for B {
    fn from_block(bytes: &'a [u8]) -> Result<Self, String> {
        B::decode_block(bytes)
    }
}

impl<'a> FromBlock<'a> for &'a [u8] {
    fn from_block(bytes: &'a [u8]) -> Result<Self, String> {
        Ok(bytes)
    }
}

impl<'a> FromBlock<'a> for raw::Block<'a> {
    fn from_block(bytes: &'a [u8]) -> Result<Self, String> {
        Self::parse(bytes).map_err(|error| error.to_string())
    }
}

/// What a view takes that says neither `json` nor `prost`.
///
/// ```
/// use metashrew_core::entry::FromInput;
/// struct Height(u32);
/// impl FromInput<'_> for Height {
///     fn from_input(input: &[u8]) -> Result<Self, String> {
///         let number = <&str>::from_input(input)?.parse();
///         number.map(Self).map_err(|error| error.to_string())
///     }
/// }
/// assert_eq!(Height::from_input(b"840000")?.0, 840_000);
/// # Ok::<_, String>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a view cannot read its input as `{Self}`",
    label = "neither bytes nor text",
    note = "write `#[view(json)]` or `#[view(prost)]`, or take `&[u8]`, `Vec<u8>`, `&str` or \
            `String`"
)]
pub trait FromInput<'a>: Sized {
    /// Reads what the caller sent.
    ///
    /// ```
    /// # use metashrew_core::entry::FromInput;
    /// assert_eq!(<&str>::from_input(b"ann")?, "ann");
    /// assert!(<&str>::from_input(b"\xff").unwrap_err().starts_with("bad input: "));
    /// # Ok::<_, String>(())
    /// ```
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    fn from_input(input: &'a [u8]) -> Result<Self, String>;
}

impl<'a> FromInput<'a> for &'a [u8] {
    fn from_input(input: &'a [u8]) -> Result<Self, String> {
        Ok(input)
    }
}

impl FromInput<'_> for Vec<u8> {
    fn from_input(input: &[u8]) -> Result<Self, String> {
        Ok(input.to_vec())
    }
}

impl<'a> FromInput<'a> for &'a str {
    fn from_input(input: &'a [u8]) -> Result<Self, String> {
        std::str::from_utf8(input).map_err(super::bad_input)
    }
}

impl FromInput<'_> for String {
    fn from_input(input: &[u8]) -> Result<Self, String> {
        <&str>::from_input(input).map(str::to_owned)
    }
}

/// What a view answers that says neither `json` nor `prost`.
///
/// ```
/// use metashrew_core::entry::IntoAnswer;
/// struct Height(u32);
/// impl IntoAnswer for Height {
///     fn into_answer(self) -> Vec<u8> {
///         self.0.to_string().into_answer()
///     }
/// }
/// assert_eq!(Height(840_000).into_answer(), b"840000");
/// ```
#[diagnostic::on_unimplemented(
    message = "a view cannot answer with `{Self}`",
    label = "neither bytes nor text",
    note = "write `#[view(json)]` or `#[view(prost)]`, or answer `Vec<u8>`, `&[u8]`, \
            `Arc<Vec<u8>>`, `String`, `&str` or `()`",
    note = "a `Result` has to be written as one: a type whose last name is `Result`"
)]
pub trait IntoAnswer {
    /// The bytes that the caller gets.
    ///
    /// ```
    /// # use metashrew_core::entry::IntoAnswer;
    /// assert_eq!("ann".into_answer(), b"ann");
    /// assert!(().into_answer().is_empty());
    /// ```
    fn into_answer(self) -> Vec<u8>;
}

impl IntoAnswer for Vec<u8> {
    fn into_answer(self) -> Vec<u8> {
        self
    }
}

impl IntoAnswer for &[u8] {
    fn into_answer(self) -> Vec<u8> {
        self.to_vec()
    }
}

impl IntoAnswer for Arc<Vec<u8>> {
    fn into_answer(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self)
    }
}

impl IntoAnswer for String {
    fn into_answer(self) -> Vec<u8> {
        self.into_bytes()
    }
}

impl IntoAnswer for &str {
    fn into_answer(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl IntoAnswer for () {
    fn into_answer(self) -> Vec<u8> {
        Vec::new()
    }
}

/// What `json` reads an input as: an empty one is `{}`.
#[doc(hidden)]
pub fn json_input(input: &[u8]) -> &[u8] {
    if input.trim_ascii().is_empty() {
        b"{}"
    } else {
        input
    }
}

//! What a guest's exports do around the guest's own functions.

mod description;
mod error;
#[doc(hidden)]
pub mod failure;
mod types;

pub use description::{describe, describe_guest, describe_view, meta, piece};
pub use error::{__metashrew_error, ErrorText, Shared, Turns, bad_input, error_text};
pub use types::{FromBlock, FromInput, IntoAnswer, json_input};

use crate::buffers;
use crate::cache;
use crate::call::{self, Call, Kind};
use crate::host;
use prost::Message;
use std::fmt::Display;

/// Indexes the call's block and flushes what was [`set`](crate::set): the body
/// of `_start`.
///
/// If `index` fails, the block ends with the error's text, leaves no trace, and the host
/// says why.
///
/// ```
/// # use metashrew_core::{entry, test_utils};
/// # use std::convert::Infallible;
/// test_utils::index_export(1, b"block", || {
///     entry::start(|_height, block| {
///         metashrew_core::set(b"/newest".to_vec().into(), block.to_vec().into());
///         Ok::<_, Infallible>(())
///     });
/// });
/// assert_eq!(test_utils::written(1)[&b"/newest"[..]], b"block");
/// ```
///
/// # Panics
/// Natively, if `index` fails.
pub fn start<Kind, E: ErrorText<Kind>>(index: impl FnOnce(u32, &[u8]) -> Result<(), E>) {
    let (_call, input) = Call::begin(self::Kind::Index);
    let (height, block) = parts(&input);
    if let Err(error) = index(height, block) {
        error::end(&format!("block {height}: {}", error.error_text()));
    }
    cache::flush();
}

/// Answers the call's input: the body of a view.
///
/// `answer` gets the height the call stands on and the caller's bytes.
///
/// If `answer` fails, the call ends with the error's text. A host that announced the call
/// (`__metashrew_begin`) gets 0, and asks for the text by `__metashrew_error`; the instance
/// goes on. On another host the call ends by `abort`.
///
/// ```
/// # use metashrew_core::{entry, test_utils};
/// let refused = test_utils::try_view_export(7, b"ann", || {
///     entry::view(|height, _name| Err(format!("nothing at height {height}")))
/// });
/// assert_eq!(refused, Err("nothing at height 7".to_owned()));
/// ```
///
/// # Panics
/// Natively, if `answer` fails in a call that was not announced.
pub fn view<Kind, E: ErrorText<Kind>>(
    answer: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>,
) -> i32 {
    let (_call, input) = Call::begin(self::Kind::View);
    let (height, question) = parts(&input);
    match answer(height, question) {
        Ok(answer) => buffers::export_bytes(answer),
        Err(error) => error::refuse(error.error_text()),
    }
}

/// Answers a protobuf request with a protobuf response: the body of a view of
/// [`declare_indexer!`](crate::declare_indexer).
///
/// An error is the call's error, where the host announced the call; elsewhere it is logged
/// and answers -1.
///
/// ```
/// # use metashrew_core::{entry, test_utils};
/// # use std::convert::Infallible;
/// use prost::Message;
/// let request = "ann".to_owned().encode_to_vec();
/// let response = test_utils::view_export(7, &request, || {
///     entry::message_view(|name: String| Ok::<_, Infallible>(name.to_uppercase()))
/// });
/// assert_eq!(String::decode(&response[..])?, "ANN");
/// # Ok::<_, prost::DecodeError>(())
/// ```
pub fn message_view<Request, Response, E>(
    answer: impl FnOnce(Request) -> Result<Response, E>,
) -> i32
where
    Request: Message + Default,
    Response: Message,
    E: Display,
{
    let (_call, input) = Call::begin(Kind::View);
    let request = match Request::decode(parts(&input).1) {
        Ok(request) => request,
        Err(error) => return failed("the request is malformed", &error),
    };
    match answer(request) {
        Ok(response) => buffers::export_bytes(response.encode_to_vec()),
        Err(error) if call::announced() => error::refuse(error.to_string()),
        Err(error) => failed("the view failed", &error),
    }
}

fn failed(what: &str, error: &dyn Display) -> i32 {
    let message = format!("{what}: {error}");
    if call::announced() {
        return error::refuse(message);
    }
    host::log(&message);
    -1
}

/// An input's height and payload.
pub(crate) fn parts(input: &[u8]) -> (u32, &[u8]) {
    let (height, payload) = input
        .split_first_chunk()
        .expect("an input starts with four bytes of height");
    (u32::from_le_bytes(*height), payload)
}

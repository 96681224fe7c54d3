//! What a guest's exports do around the guest's own functions.

use crate::buffers;
use crate::cache;
use crate::call::{Call, Kind};
use crate::host;
use metashrew_abi::proto::{IndexerMetadata, ViewFunction};
use prost::Message;
use std::fmt::Display;

/// Indexes the call's block and flushes what was [`set`](crate::set): the body
/// of `_start`.
///
/// # Panics
/// If `index` fails: the block then leaves no trace and the host says why.
pub fn start<E: Display>(index: impl FnOnce(u32, &[u8]) -> Result<(), E>) {
    let (_call, input) = Call::begin(Kind::Index);
    let (height, block) = parts(&input);
    if let Err(error) = index(height, block) {
        panic!("block {height}: {error}");
    }
    cache::flush();
}

/// Answers the call's input: the body of a view.
///
/// `answer` gets the height the call stands on and the caller's bytes.
///
/// # Panics
/// If `answer` fails: the call then ends with that error.
pub fn view<E: Display>(answer: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>) -> i32 {
    let (_call, input) = Call::begin(Kind::View);
    let (height, question) = parts(&input);
    match answer(height, question) {
        Ok(answer) => buffers::export_bytes(answer),
        Err(error) => panic!("{error}"),
    }
}

/// Answers a protobuf request with a protobuf response: the body of a view of
/// [`declare_indexer!`](crate::declare_indexer). An error is logged and answers -1.
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
        Err(error) => return failed(&format!("the request is malformed: {error}")),
    };
    match answer(request) {
        Ok(response) => buffers::export_bytes(response.encode_to_vec()),
        Err(error) => failed(&format!("the view failed: {error}")),
    }
}

fn failed(message: &str) -> i32 {
    host::log(message);
    -1
}

/// Describes a guest that does not tell its name: as [`describe`].
pub fn meta(views: &[(&str, &str, &str)]) -> i32 {
    describe("", "", views)
}

/// Describes the guest by its name, its version and its views, each with what it
/// takes and what it answers: the body of `__meta`.
pub fn describe(name: &str, version: &str, views: &[(&str, &str, &str)]) -> i32 {
    let view_functions = views.iter().map(|(name, input, output)| ViewFunction {
        name: (*name).to_owned(),
        input_type: (*input).to_owned(),
        output_type: (*output).to_owned(),
        ..ViewFunction::default()
    });
    let metadata = IndexerMetadata {
        compiler_version: concat!("metashrew-core ", env!("CARGO_PKG_VERSION")).to_owned(),
        rustc_version: env!("METASHREW_RUSTC_VERSION").to_owned(),
        view_functions: view_functions.collect(),
        name: name.to_owned(),
        version: version.to_owned(),
        ..IndexerMetadata::default()
    };
    buffers::export_bytes(metadata.encode_to_vec())
}

/// An input's height and payload.
pub(crate) fn parts(input: &[u8]) -> (u32, &[u8]) {
    let (height, payload) = input
        .split_first_chunk()
        .expect("an input starts with four bytes of height");
    (u32::from_le_bytes(*height), payload)
}

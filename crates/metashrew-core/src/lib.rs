//! What a guest is written with: its host's functions, a cache in front of
//! them, pointers, output, and the exports its host calls.
//!
//! A guest is a WebAssembly module that a Metashrew host runs once per block
//! and once per view call. The shortest one:
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//!
//! fn index(height: u32, block: &[u8]) -> Result<(), Infallible> {
//!     let key = format!("/size/{height}").into_bytes();
//!     metashrew_core::set(Arc::new(key), Arc::new(block.len().to_string().into_bytes()));
//!     Ok(())
//! }
//!
//! fn size(height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
//!     let key = format!("/size/{height}").into_bytes();
//!     Ok(metashrew_core::get(Arc::new(key)).to_vec())
//! }
//!
//! metashrew_core::export! {
//!     start: index,
//!     views: { size: "nothing" => "bytes of the block, decimal" },
//! }
//!
//! // A native test, with the feature `test-utils`:
//! use metashrew_core::test_utils;
//! test_utils::index_block(7, b"block", index);
//! assert_eq!(test_utils::view(7, b"", size), b"5");
//! ```
//!
//! Natively, the imports are those of a host in the thread's memory, so a
//! guest's logic runs in plain tests ([`test_utils`]).

mod aliases;
mod cache;
mod call;
pub mod call_local;
#[cfg(feature = "panic-hook")]
pub mod compat;
pub mod entry;
mod flush;
pub mod host;
pub mod imports;
pub mod index_pointer;
pub mod lru_cache;
pub mod macros;
pub mod proto;
pub mod range;
pub mod stdio;
pub mod storage;
#[cfg(any(feature = "test-utils", not(target_arch = "wasm32")))]
pub mod test_utils;

#[doc(hidden)]
pub use cache::__metashrew_cache_limit;
pub use cache::{cached, clear, flush, get, get_cache, initialize, input, read_many, reset, set};
#[doc(hidden)]
pub use call::__metashrew_begin;
/// ```
/// use metashrew_support::index_pointer::KeyValuePointer;
/// use metashrew_support::raw::Block;
///
/// /// Counts transactions.
/// #[metashrew_core::main]
/// fn index(height: u32, block: &Block<'_>) {
///     metashrew_core::index_pointer::IndexPointer::from_keyword("/transactions/")
///         .select_value(height)
///         .set_value(block.transactions().len() as u64);
/// }
/// ```
///
pub use metashrew_macros::main;
/// ```
/// # use std::error::Error;
/// use serde::{Deserialize, Serialize};
///
/// #[metashrew_core::view]
/// fn echo(input: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
///     Ok(input.to_vec())
/// }
///
/// #[metashrew_core::view]
/// fn height(height: u32) -> String {
///     height.to_string()
/// }
///
/// #[derive(Deserialize)]
/// struct Question {
///     name: String,
/// }
///
/// #[derive(Serialize)]
/// struct Answer {
///     height: u32,
///     length: usize,
/// }
///
/// /// Measures a name.
/// #[metashrew_core::view(json)]
/// fn measure(height: u32, question: &Question) -> Result<Answer, String> {
///     match question.name.len() {
///         0 => Err("a name has letters".to_owned()),
///         length => Ok(Answer { height, length }),
///     }
/// }
///
/// use metashrew_core::test_utils::{try_view_export, view_export};
/// let answer = view_export(7, br#"{"name":"ann"}"#, || __view_measure());
/// assert_eq!(answer, br#"{"height":7,"length":3}"#);
/// let error = try_view_export(7, br#"{"name":""}"#, || __view_measure());
/// assert_eq!(error.unwrap_err(), "a name has letters");
/// ```
///
/// A type that no codec is said for is bytes or text, or the guest does not compile:
///
/// ```compile_fail,E0277
/// struct Question;
///
/// #[metashrew_core::view]
/// fn ask(question: Question) -> String {
///     String::new()
/// }
/// ```
///
/// So is it with what is no error:
///
/// ```compile_fail,E0277
/// struct Failure;
///
/// #[metashrew_core::view]
/// fn ask() -> Result<String, Failure> {
///     Err(Failure)
/// }
/// ```
///
pub use metashrew_macros::view;
pub use stdio::stdout;

// Where guests in the wild look for what has a place of its own.
#[doc(hidden)]
pub use aliases::{memory, metashrew_println, wasm};
#[doc(hidden)]
pub use lru_cache::*;
#[doc(hidden)]
pub use metashrew_support::{
    byte_view,
    compat::{to_arraybuffer_layout, to_passback_ptr, to_ptr},
    index_pointer::KeyValuePointer,
    utils,
};

use metashrew_support::compat as buffers;

/// Hands `bytes` to the host: a pointer to their *length word*, four bytes
/// before the data.
///
/// A view returns a pointer to the data: that is
/// [`metashrew_support::compat::export_bytes`], or this plus four. The buffer
/// stays in memory as long as one of those.
///
/// ```
/// # use metashrew_core::test_utils;
/// let answer = test_utils::view_export(7, b"", || metashrew_core::export_bytes(b"ann".to_vec()) + 4);
/// assert_eq!(answer, b"ann");
/// ```
pub fn export_bytes(bytes: Vec<u8>) -> i32 {
    buffers::export_bytes(bytes).wrapping_sub(4)
}

/// The height and what follows it in the call's input: the block in `_start`,
/// the caller's bytes in a view.
///
/// ```
/// # use metashrew_core::test_utils;
/// test_utils::index_export(7, b"block", || {
///     assert_eq!(metashrew_core::height_and_payload(), (7, b"block".to_vec()));
///     metashrew_core::flush();
/// });
/// ```
///
/// # Panics
/// If the input has no height, which no host does.
pub fn height_and_payload() -> (u32, Vec<u8>) {
    let input = input();
    let (height, payload) = entry::parts(&input);
    (height, payload.to_vec())
}

//! `#[main]` and `#[view]`: what a guest's functions are exported by.
//!
//! `metashrew-core` re-exports both. They expand to its functions, and to crates of the
//! guest's own (`::serde_json`, `::prost`, `::schemars`), whatever their versions.

mod arguments;
mod docs;
mod signature;
mod start;
mod view;

use proc_macro::TokenStream;

/// Exports a function as `_start`: the host calls it for each block.
///
/// The function takes the height, a `u32`, and the block: `&[u8]`, `Vec<u8>`,
/// `metashrew_support::raw::Block` or, with the feature `bitcoin`, `bitcoin::Block` or
/// `AuxpowBlock`, or a reference to one of them. It returns nothing, or a `Result<(), E>`: an error ends the block with
/// its text, and with those of its sources. What was set is flushed at the end.
///
/// The function stays as it is, for tests and other callers. Its doc comment, and name and
/// version of the package, are what `__meta` tells of the guest.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(start::expand(&arguments.into(), function.into()))
}

/// Exports a function as a view of its name.
///
/// The function takes the height that the call stands on, what the caller sent, both or
/// neither. A lone `u32` is the height if it is called `height` or `_height`. What a view takes and
/// answers is said by the attribute:
///
/// | attribute | input | answer |
/// |---|---|---|
/// | `#[view]` | `&[u8]`, `Vec<u8>`, `&str`, `String` | `Vec<u8>`, `&[u8]`, `Arc<Vec<u8>>`, `String`, `&str`, nothing |
/// | `#[view(json)]` | JSON, any `Deserialize`; an empty input is `{}` | JSON, any `Serialize` |
/// | `#[view(prost)]` | protobuf, any `Message` | protobuf, any `Message` |
/// | `#[view(input = json)]`, `#[view(answer = json)]` | that one alone; the other as in `#[view]` | |
/// | `#[view(json, schema)]` | the JSON Schemas of both go into `__meta`, by `schemars` | |
/// | `#[view(height_independent)]`, beside any of these | a promise: the answer follows from state and input, whatever the height. The function does not take the height | |
///
/// An input may be taken by reference. The guest has `serde_json`, `prost` or `schemars` among its own dependencies, in any
/// version.
///
/// A return type whose last name is `Result` is one: `Result<T, E>`, `anyhow::Result<T>`.
/// An error is the call's error, with its text and those of its sources. Where the host
/// announces calls (`__metashrew_begin`) it costs nothing more; elsewhere it ends the
/// call by `abort`. An error is whatever turns into a `Box<dyn Error>`: errors, boxed ones,
/// `anyhow`'s, texts.
///
/// The function stays as it is, for tests and other callers. Its doc comment and types go
/// into `__meta`. Beside it stands its export, `__view_NAME`, which tests call by
/// `test_utils::view_export`; a function from `&[u8]` to `Result<Vec<u8>, _>` has a twin
/// called `__NAME`, for existing guests, unless its name begins with `view_` or `start_`. So that
/// nothing clashes, a view's own name does not begin with two underscores.
#[proc_macro_attribute]
pub fn view(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(view::expand(arguments.into(), function.into()))
}

fn finish(expansion: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expansion
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

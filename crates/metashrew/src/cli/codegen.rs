//! The flags of `metashrew codegen`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ServerUrl, values};

/// Write a client of a guest's views, blocks and subscriptions
///
/// It is one file that needs nothing but its language: TypeScript with `fetch` (browsers, Node.js 20, Deno,
/// Bun), or Python 3.9. Its types are those of the JSON Schemas in the guest's `__meta`. The same guest
/// makes the same file.
#[derive(Debug, Args)]
pub(crate) struct Codegen {
    /// The client's language
    #[arg(value_name = "LANGUAGE")]
    pub(crate) language: Language,

    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", required_unless_present = "url")]
    pub(crate) indexer: Option<PathBuf>,

    /// Ask the server at this address for its guest's views instead, such as `http://127.0.0.1:8080`
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "indexer",
        value_parser = values::server_url()
    )]
    pub(crate) url: Option<ServerUrl>,

    /// What views take and answer where the guest does not tell
    #[arg(long, value_name = "FORM", default_value = "any")]
    pub(crate) untold: UntoldForm,

    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    /// For TypeScript 5
    Typescript,
    /// For Python 3.9
    Python,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum UntoldForm {
    /// The caller chooses at each call
    Any,
    Bytes,
    Text,
    Json,
}

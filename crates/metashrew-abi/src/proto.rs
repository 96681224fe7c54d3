//! The protobuf messages that cross the boundary.

use prost::Message;

/// What a guest hands over with `__flush`: key, value, key, value…
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValueFlush {
    /// Keys and values in turn.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub list: Vec<Vec<u8>>,
}

/// One view, as a guest describes it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ViewFunction {
    /// The export's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it takes.
    #[prost(string, tag = "2")]
    pub input_type: String,
    /// What it answers.
    #[prost(string, tag = "3")]
    pub output_type: String,
}

/// What a guest says of itself in `__meta`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IndexerMetadata {
    /// The compiler that built it.
    #[prost(string, tag = "1")]
    pub compiler_version: String,
    /// The version of rustc that built it.
    #[prost(string, tag = "2")]
    pub rustc_version: String,
    /// Its views.
    #[prost(message, repeated, tag = "3")]
    pub view_functions: Vec<ViewFunction>,
    /// Its name; empty if it does not say.
    #[prost(string, tag = "4")]
    pub name: String,
    /// Its version; empty if it does not say.
    #[prost(string, tag = "5")]
    pub version: String,
}

//! The protobuf messages that cross the boundary between guest and host.

/// The messages of the package `metashrew`.
pub mod metashrew {
    pub use metashrew_abi::proto::KeyValueFlush;

    /// One view, with the fields that existing guests fill in;
    /// [`metashrew_abi::proto::ViewFunction`] has more.
    ///
    /// ```
    /// use metashrew_support::proto::metashrew::ViewFunction;
    ///
    /// let view = ViewFunction { name: "balance".into(), ..ViewFunction::default() };
    /// assert!(view.input_type.is_empty());
    /// ```
    #[derive(Clone, PartialEq, Eq, prost::Message)]
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

    /// What a guest says of itself in `__meta`, with the fields that existing guests
    /// fill in; [`metashrew_abi::proto::IndexerMetadata`] has more.
    ///
    /// ```
    /// use metashrew_support::proto::metashrew::IndexerMetadata;
    /// use prost::Message;
    ///
    /// let metadata = IndexerMetadata { rustc_version: "1.85".into(), ..Default::default() };
    /// let bytes = metadata.encode_to_vec();
    /// assert_eq!(IndexerMetadata::decode(&bytes[..]), Ok(metadata));
    /// ```
    #[derive(Clone, PartialEq, Eq, prost::Message)]
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
    }
}

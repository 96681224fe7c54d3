//! The protobuf messages that cross the boundary between guest and host.

/// The messages of the package `metashrew`.
pub mod metashrew {
    pub use metashrew_abi::proto::{IndexerMetadata, KeyValueFlush, ViewFunction};
}

//! The protobuf messages that cross the boundary between guest and host.

pub use metashrew_support::proto::metashrew;

//! Who made a request.

use std::sync::Arc;

use crate::budget::Lease;

/// What the calls of one request have of their caller. Clones share it.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The memory of the request and its answer.
    pub(crate) lease: Arc<Lease>,
}

impl Caller {
    /// One that gets nothing but the answer.
    pub(crate) fn over_http(lease: Lease) -> Self {
        Self {
            lease: Arc::new(lease),
        }
    }
}

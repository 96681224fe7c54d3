//! Who made a request.

use std::sync::Arc;

use crate::budget::Lease;
use crate::push::Subscribing;

/// What the calls of one request have of their caller. Clones share it.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The memory of the request and its answer.
    pub(crate) lease: Arc<Lease>,
    /// What they subscribe to, if the caller can be told anything but the answer.
    pub(crate) subscribing: Option<Arc<Subscribing>>,
}

impl Caller {
    /// One that gets nothing but the answer.
    pub(crate) fn over_http(lease: Lease) -> Self {
        Self {
            lease: Arc::new(lease),
            subscribing: None,
        }
    }

    /// One that is told of `subscribing` once it has the answer.
    pub(crate) fn over_web_socket(lease: Arc<Lease>, subscribing: Subscribing) -> Self {
        Self {
            lease,
            subscribing: Some(Arc::new(subscribing)),
        }
    }

    /// Ends what was subscribed to, of which the caller will not learn.
    pub(crate) fn forget(&self) {
        if let Some(subscribing) = &self.subscribing {
            subscribing.forget();
        }
    }
}

//! What goes wrong in a guest, as a value.

/// A block or a view failed: the guest's own text, if it gave one.
///
/// ```
/// use metashrew_test::{Chain, Failed, Indexer};
///
/// let mut chain = Chain::new();
/// chain.mine();
/// let mut indexer = Indexer::new(|_, _| Err::<(), _>("no"));
/// let Failed { message } = indexer.try_follow(&chain).unwrap_err();
/// assert!(message.contains("no"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// What a host would show.
    pub message: String,
}

impl Failed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

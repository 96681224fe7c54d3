//! The guests that wrote a state, as answers tell of them.

use metashrew_store::GuestFrom;
use serde::Serialize;

/// One guest of several that wrote a state.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StateGuest {
    /// SHA-256 of its module.
    sha256: String,
    name: Option<String>,
    version: Option<String>,
    /// The first block that it wrote.
    from: u32,
}

impl StateGuest {
    /// All of them, the first one first.
    pub(crate) fn all(guests: Vec<GuestFrom>) -> Vec<Self> {
        let guests = guests.into_iter().map(|entry| Self {
            sha256: hex::encode_prefixed(entry.guest.sha256),
            name: entry.guest.name,
            version: entry.guest.version,
            from: entry.first_height,
        });
        guests.collect()
    }
}

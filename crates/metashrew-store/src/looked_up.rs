//! What is known of the version that a reader sees, before the engine is asked.

use crate::block::Height;
use crate::write_set::Version;

/// What is known of the newest version of a key at or below a height.
#[derive(Debug, Clone)]
pub(crate) enum LookedUp {
    /// It is this one; none if the key was not there.
    Version(Option<Version>),
    /// The newest version of all has to be read.
    Newest,
    /// The newest one is above the height: it has to be read from the older ones.
    Older,
}

impl LookedUp {
    /// For a reader at `height`, where `newest` is the newest version of all.
    pub(crate) fn newest(newest: Option<Version>, height: Height) -> Self {
        match newest {
            Some(version) if version.height > height => Self::Older,
            found => Self::Version(found),
        }
    }
}

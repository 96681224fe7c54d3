//! Which calls an instance may answer.

use metashrew_store::{BlockHash, Height};

/// Which calls an instance may answer.
///
/// A rollback of the store starts a new generation, and no instance answers for
/// another generation than the one it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pin {
    pub(super) generation: u64,
    pub(super) to: PinnedTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PinnedTo {
    /// Any block of the generation.
    Chain,
    /// This one block.
    Block { height: Height, hash: BlockHash },
    /// The pending block of this number.
    Pending(u64),
}

/// What an idle instance is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// It serves whoever asks under this pin.
    Pinned(Pin),
    /// It serves the session of this number.
    Session(u64),
}

/// What a call of an idle instance wants: one found by the key, and pinned so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) pin: Pin,
}

/// The chain as a call sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moment {
    pub(super) generation: u64,
    pub(super) tip: Height,
}

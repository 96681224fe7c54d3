//! Claiming a database for a network and a guest, before anything is committed to it.
//!
//! What is claimed is compared at once and written, durably, before the first block
//! that rests on it: so no block is ever there without its guest.

use std::fmt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::backend::BackendError;
use crate::block::Height;
use crate::error::OpenError;
use crate::format_file;
use crate::identity::{GuestFrom, GuestId, Identity, NetworkId};
use crate::store::Store;

/// What whoever commits says of itself.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The network its blocks are of, if that is known.
    pub network: Option<NetworkId>,
    /// The height at which it wants the database to begin, if that matters to it.
    pub first_height: Option<Height>,
    /// The guest that writes from now on.
    pub guest: Option<GuestId>,
    /// Whether another guest may go on where one has written. That is right only if
    /// earlier blocks would come out the same with it.
    pub accept_guest_change: bool,
}

/// The database belongs to something else than what is claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It holds blocks of another network.
    #[error("the database holds blocks of {recorded}, and the blocks given are of {given}")]
    OtherNetwork {
        /// The database's network.
        recorded: Box<NetworkId>,
        /// The network claimed.
        given: Box<NetworkId>,
    },
    /// It began at another block.
    #[error("the database begins at block {recorded}, and block {given} is asked for as its first")]
    OtherFirst {
        /// Where it began.
        recorded: Height,
        /// The height claimed.
        given: Height,
    },
    /// Another guest wrote it.
    #[error(transparent)]
    OtherGuest(#[from] OtherGuest),
}

/// Another guest wrote the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct OtherGuest {
    /// The guests that wrote it; not empty.
    pub recorded: Vec<GuestFrom>,
    /// The last block.
    pub tip: Height,
    /// The guest claimed.
    pub given: GuestId,
    /// Whether the database is a fork that nobody has continued yet: then the last of
    /// `recorded` is the guest that it was made for.
    pub is_fork: bool,
}

impl fmt::Display for OtherGuest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(made_for) = self.recorded.last().filter(|_| self.is_fork) {
            let next = u64::from(self.tip) + 1;
            return write!(
                formatter,
                "the database is a fork to be continued by {}, and from block {next} on it would be {}",
                made_for.guest, self.given
            );
        }
        write!(formatter, "the database was written by another guest: ")?;
        let ends = self
            .recorded
            .iter()
            .skip(1)
            .map(|next| next.first_height - 1);
        let ends = ends.chain(std::iter::once(self.tip));
        for (entry, last) in self.recorded.iter().zip(ends) {
            let first = entry.first_height;
            write!(formatter, "blocks {first} to {last} by {}, ", entry.guest)?;
        }
        let next = u64::from(self.tip) + 1;
        write!(
            formatter,
            "and from block {next} on it would be {}",
            self.given
        )
    }
}

/// The identity of a store, and where it is kept.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// The directory of the database; none for an engine without one.
    directory: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is written down.
    recorded: Identity,
    network: Option<NetworkId>,
    guest: Option<GuestId>,
}

impl Claimed {
    /// That of the database in `directory`.
    pub(crate) fn of_directory(directory: PathBuf, recorded: Identity) -> Self {
        Self {
            directory: Some(directory),
            state: Mutex::new(State {
                recorded,
                ..State::default()
            }),
        }
    }

    /// The guest that was written down last, whether or not its blocks are there.
    fn last_guest(&self) -> Option<GuestId> {
        let state = self.state.lock();
        state
            .recorded
            .guests
            .last()
            .map(|entry| entry.guest.clone())
    }

    /// Writes down, durably, whose block `height` will be, if it is the next above `tip`.
    pub(crate) fn before_commit(
        &self,
        tip: Option<Height>,
        height: Height,
    ) -> Result<(), BackendError> {
        let mut state = self.state.lock();
        let mut identity = state.recorded.clone().in_effect(tip);
        identity.extend(state.network.as_ref(), state.guest.as_ref(), height);
        if identity != state.recorded {
            if let Some(directory) = &self.directory {
                format_file::write(directory, &identity)
                    .map_err(|error| BackendError::new("writing the FORMAT file", error))?;
            }
            state.recorded = identity;
        }
        Ok(())
    }
}

impl Store {
    /// What the database belongs to.
    pub fn identity(&self) -> Identity {
        let tip = self.snapshot().tip().map(|tip| tip.height);
        let state = self.inner.claimed.state.lock();
        state.recorded.clone().in_effect(tip)
    }

    /// The guests that wrote the state after block `height`, each with the first block
    /// that it wrote; empty if nobody said which they are.
    pub fn guests_at(&self, height: Height) -> Vec<GuestFrom> {
        let state = self.inner.claimed.state.lock();
        let guests = state.recorded.guests.iter();
        guests
            .filter(|entry| entry.first_height <= height)
            .cloned()
            .collect()
    }

    /// What the database in the directory `path` says of itself, whoever has it open.
    ///
    /// The last block is not looked at. So `guests` may name guests of blocks above it:
    /// of one that is about to be committed, or of those that were rolled back.
    pub fn identity_of(path: &Path) -> Result<Identity, OpenError> {
        format_file::read(path)?.ok_or_else(|| OpenError::NotFound {
            path: path.to_owned(),
        })
    }

    /// Claims the database for whoever commits to it from now on; what is none in
    /// `claim` stays as it was claimed before. After an error nothing is changed.
    ///
    /// What was noted for blocks that are not there refuses nobody: that of an empty
    /// database, and of blocks that were rolled back. Their guest may go on again.
    pub fn claim(&self, claim: &Claim) -> Result<(), ClaimError> {
        let identity = self.identity();
        if let Some(given) = &claim.network
            && identity.network.differs_from(given)
        {
            return Err(ClaimError::OtherNetwork {
                recorded: Box::new(identity.network),
                given: Box::new(given.clone()),
            });
        }
        if let (Some(recorded), Some(given)) = (identity.first_height, claim.first_height)
            && recorded != given
        {
            return Err(ClaimError::OtherFirst { recorded, given });
        }
        if let Some(guest) = &claim.guest
            && !claim.accept_guest_change
        {
            self.check_fork(guest)?;
            self.check_guest(guest)?;
        }
        let mut state = self.inner.claimed.state.lock();
        if let Some(network) = &claim.network {
            state.network = Some(network.clone());
        }
        if let Some(guest) = &claim.guest {
            state.guest = Some(guest.clone());
        }
        Ok(())
    }

    /// Whether `guest` is the one that wrote the last block, or was accepted to go on from
    /// there: its blocks may be rolled back again, or not be there yet. A database that
    /// does not know takes any.
    pub fn check_guest(&self, guest: &GuestId) -> Result<(), OtherGuest> {
        let snapshot = self.snapshot();
        let accepted = self.inner.claimed.last_guest();
        if accepted.is_some_and(|accepted| accepted.sha256 == guest.sha256) {
            return Ok(());
        }
        let recorded = self.identity().guests;
        match (snapshot.tip(), recorded.last()) {
            (Some(tip), Some(last)) if last.guest.sha256 != guest.sha256 => Err(OtherGuest {
                tip: tip.height,
                recorded,
                given: guest.clone(),
                is_fork: false,
            }),
            _ => Ok(()),
        }
    }

    /// Whether `guest` may write the next block, as far as that is settled by a fork. The one
    /// that wrote the blocks below may not: the fork was not made for it.
    fn check_fork(&self, guest: &GuestId) -> Result<(), OtherGuest> {
        let snapshot = self.snapshot();
        let state = self.inner.claimed.state.lock();
        let Identity {
            guests,
            only_last_guest: true,
            ..
        } = &state.recorded
        else {
            return Ok(());
        };
        match (snapshot.tip(), guests.last()) {
            (Some(tip), Some(only)) if only.guest.sha256 != guest.sha256 => Err(OtherGuest {
                recorded: guests.clone(),
                tip: tip.height,
                given: guest.clone(),
                is_fork: true,
            }),
            _ => Ok(()),
        }
    }
}

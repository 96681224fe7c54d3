//! What a database belongs to: the network its blocks are of, where it begins, and
//! which guests wrote it.

use std::fmt;

use crate::block::{BlockHash, Height};

/// A network, as far as it is known: two are the same as long as nothing that is known
/// of both differs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkId {
    /// Its name. It is for people: networks are not told apart by it.
    pub name: Option<String>,
    /// What the frames of its block files begin with.
    pub magic: Option<[u8; 4]>,
    /// The hash of its block 0.
    pub genesis: Option<BlockHash>,
}

impl NetworkId {
    /// Whether nothing is known that tells it from another.
    pub fn is_unknown(&self) -> bool {
        self.magic.is_none() && self.genesis.is_none()
    }

    /// Whether something that is known of both differs.
    pub fn differs_from(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(left: Option<&T>, right: Option<&T>) -> bool {
            left.zip(right).is_some_and(|(left, right)| left != right)
        }
        differ(self.magic.as_ref(), other.magic.as_ref())
            || differ(self.genesis.as_ref(), other.genesis.as_ref())
    }

    /// This network with what `other` adds to it.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            name: self.name.or_else(|| other.name.clone()),
            magic: self.magic.or(other.magic),
            genesis: self.genesis.or(other.genesis),
        }
    }
}

impl fmt::Display for NetworkId {
    /// The name, else what else is known.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.magic, &self.genesis) {
            (Some(name), _, None) => write!(formatter, "{name}"),
            (Some(name), _, Some(genesis)) => write!(formatter, "{name} (block 0 is {genesis})"),
            (None, _, Some(genesis)) => {
                write!(formatter, "the network whose block 0 is {genesis}")
            }
            (None, Some(magic), None) => {
                write!(formatter, "the network with magic {}", hex::display(magic))
            }
            (None, None, None) => write!(formatter, "an unknown network"),
        }
    }
}

/// A guest: what a block's writes are a function of, beside the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuestId {
    /// SHA-256 of its module: it alone tells guests apart.
    pub sha256: [u8; 32],
    /// What it calls itself.
    pub name: Option<String>,
    /// The version it gives itself.
    pub version: Option<String>,
}

impl fmt::Display for GuestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha256 = hex::display(&self.sha256);
        match (&self.name, &self.version) {
            (Some(name), Some(version)) => write!(formatter, "`{name}` {version} (0x{sha256})"),
            (Some(name), None) => write!(formatter, "`{name}` (0x{sha256})"),
            (None, _) => write!(formatter, "a guest without a name (0x{sha256})"),
        }
    }
}

/// A guest, and the first block that it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuestFrom {
    /// The first block that it wrote.
    pub first_height: Height,
    /// The guest.
    pub guest: GuestId,
}

/// What a database belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The network its blocks are of, as far as it is known.
    pub network: NetworkId,
    /// The block it began with; none as long as no block is committed.
    pub first_height: Option<Height>,
    /// The guests that wrote it, each up to where the next one begins. Empty if nobody
    /// said which they are ([`Store::claim`](crate::Store::claim)).
    pub guests: Vec<GuestFrom>,
    /// Whether none but the guest noted last may write the next block: so in a fork that was
    /// made for it, until it has.
    pub only_last_guest: bool,
}

impl Identity {
    /// What of it is in effect while `tip` is the last block: what was noted for blocks
    /// that were never committed, or are rolled back, binds nobody.
    #[must_use]
    pub(crate) fn in_effect(mut self, tip: Option<Height>) -> Self {
        let Some(tip) = tip else {
            return Self::default();
        };
        self.guests.retain(|entry| entry.first_height <= tip);
        self
    }

    /// That of a fork whose last block is `tip`, to be continued by `guest`.
    #[must_use]
    pub(crate) fn forked(self, tip: Height, guest: Option<&GuestId>) -> Self {
        let mut identity = self.in_effect(Some(tip));
        identity.extend(None, guest, tip.saturating_add(1));
        identity.only_last_guest = guest.is_some();
        identity
    }

    /// Adds what is to be noted before `guest` commits block `height` on top of it.
    pub(crate) fn extend(
        &mut self,
        network: Option<&NetworkId>,
        guest: Option<&GuestId>,
        height: Height,
    ) {
        if let Some(network) = network {
            self.network = std::mem::take(&mut self.network).or(network);
        }
        self.first_height.get_or_insert(height);
        self.only_last_guest = false;
        let last = self.guests.last().map(|entry| entry.guest.sha256);
        if let Some(guest) = guest
            && last != Some(guest.sha256)
        {
            self.guests.push(GuestFrom {
                first_height: height,
                guest: guest.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(byte: u8) -> GuestId {
        GuestId {
            sha256: [byte; 32],
            name: None,
            version: None,
        }
    }

    fn heights(identity: &Identity) -> Vec<(Height, u8)> {
        let guests = identity.guests.iter();
        guests
            .map(|entry| (entry.first_height, entry.guest.sha256[0]))
            .collect()
    }

    #[test]
    fn what_was_not_committed_is_replaced() {
        let mut identity = Identity::default();
        identity.extend(None, Some(&guest(1)), 5);
        identity.extend(None, Some(&guest(1)), 6);
        identity.extend(None, Some(&guest(2)), 10);
        assert_eq!(heights(&identity), [(5, 1), (10, 2)]);
        let mut identity = identity.in_effect(Some(9));
        assert_eq!(heights(&identity), [(5, 1)]);
        identity.extend(None, Some(&guest(3)), 10);
        assert_eq!(heights(&identity), [(5, 1), (10, 3)]);
        assert_eq!(identity.first_height, Some(5));
        assert_eq!(identity.in_effect(None), Identity::default());
    }

    #[test]
    fn a_fork_is_bound_to_its_guest_until_that_has_written() {
        let mut identity = Identity::default();
        identity.extend(None, Some(&guest(1)), 5);
        identity.extend(None, Some(&guest(2)), 10);
        let unbound = identity.clone().forked(9, None);
        assert_eq!(
            (heights(&unbound), unbound.only_last_guest),
            (vec![(5, 1)], false)
        );
        let same = identity.clone().forked(9, Some(&guest(1)));
        assert_eq!((heights(&same), same.only_last_guest), (vec![(5, 1)], true));
        let mut forked = identity.forked(8, Some(&guest(3)));
        assert_eq!(heights(&forked), [(5, 1), (9, 3)]);
        assert!(forked.only_last_guest);
        forked.extend(None, Some(&guest(3)), 9);
        assert_eq!(
            (heights(&forked), forked.only_last_guest),
            (vec![(5, 1), (9, 3)], false)
        );
    }

    #[test]
    fn networks_differ_in_what_is_known_of_both() {
        let of = |magic: Option<u8>, genesis: Option<u8>| NetworkId {
            name: Some("any".to_owned()),
            magic: magic.map(|byte| [byte; 4]),
            genesis: genesis.map(|byte| BlockHash::from_bytes([byte; 32])),
        };
        let differ = |left: NetworkId, right: NetworkId| {
            assert_eq!(left.differs_from(&right), right.differs_from(&left));
            left.differs_from(&right)
        };
        assert!(!differ(of(None, None), of(Some(1), Some(1))));
        assert!(!differ(of(Some(1), None), of(None, Some(2))));
        assert!(differ(of(Some(1), Some(2)), of(Some(1), Some(3))));
        assert!(differ(of(Some(1), Some(2)), of(Some(4), Some(2))));
        let both = of(Some(1), None).or(&of(Some(3), Some(2)));
        assert_eq!(both, of(Some(1), Some(2)));
    }
}

//! Finds out of which network a source's blocks are, and so which rules they must keep.
//!
//! What ends indexing must rest on more than a claim: a genesis block counts if it is
//! that of a network with a name, or if the source hands out the block. Nor is a claim
//! enough to leave out the rules of a network with a name.

use metashrew_store::{BlockHash, Claim, ClaimError, NetworkId, Store};
use parking_lot::Mutex;

use crate::error::IndexError;
use crate::fetch::good_block;
use crate::network::Network;
use crate::node::{Node, NodeError};

/// What a source says of its network.
struct Identified {
    id: NetworkId,
    /// What it says its block 0 is, whether that counts or not.
    claimed: Option<BlockHash>,
    /// The network with a name that it is.
    named: Option<Network>,
}

/// What was seen of a source since the start.
#[derive(Default)]
pub(crate) struct Seen {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether its chain was compared with the indexed one.
    is_compared: bool,
    /// The network that it was of then, or at the last look before.
    id: NetworkId,
}

impl Seen {
    /// The source's chain could be compared with the indexed one: it is of its network.
    pub(crate) fn compared(&self) {
        self.state.lock().is_compared = true;
    }

    /// The network that the source was of when its chain was compared; none before.
    fn network(&self) -> Option<NetworkId> {
        let state = self.state.lock();
        state.is_compared.then(|| state.id.clone())
    }

    /// Takes note of what the source is of, unless its chain was compared.
    fn note(&self, id: NetworkId) {
        let mut state = self.state.lock();
        if !state.is_compared {
            state.id = id;
        }
    }

    /// Claims the database for the network that the source is on; answers the one whose
    /// rules the blocks must keep, if they are known. The source is asked every time: it
    /// may be another one than before.
    pub(crate) fn claim(
        &self,
        store: &Store,
        node: &dyn Node,
    ) -> Result<Option<Network>, IndexError> {
        let found = identify(node)?;
        let mut recorded = store.identity().network;
        let compared = self.network();
        // A database without blocks records nothing: what the source was of counts.
        if let Some(network) = compared.as_ref().filter(|_| recorded.is_unknown()) {
            unchanged(network, &found.id)?;
            recorded = network.clone();
        }
        let said = node.network()?;
        // Before the claim: what contradicts itself must not be recorded.
        let network = agreed(said, found.named)?;
        let claim = Claim {
            network: (!found.id.is_unknown()).then(|| found.id.clone()),
            ..Claim::default()
        };
        match store.claim(&claim) {
            // It was of the right one before: one wrong answer must not end indexing.
            Err(error @ ClaimError::OtherNetwork { .. }) if compared.is_some() => {
                let what = error.to_string();
                return Err(NodeError::BadAnswer { what }.into());
            }
            result => result?,
        }
        let rules = rules(network, found.claimed, &recorded)?;
        self.note(found.id);
        Ok(rules)
    }
}

/// An error if a source says that it is of another network than it was, or of one where it
/// was of none that is known: it was of the right one before, and one wrong answer must not
/// end indexing.
fn unchanged(before: &NetworkId, now: &NetworkId) -> Result<(), NodeError> {
    let what = if before.is_unknown() && !now.is_unknown() {
        "it says of which network it is, and was of none that is known".to_owned()
    } else if before.differs_from(now) {
        format!("it says that it is of {now}, and was of {before}")
    } else {
        return Ok(());
    };
    Err(NodeError::BadAnswer { what })
}

/// An error if two networks are named.
fn contradiction(network: Option<Network>, other: Option<Network>) -> Result<(), NodeError> {
    match (network, other) {
        (Some(network), Some(other)) if network != other => Err(NodeError::BadAnswer {
            what: format!("its network is said to be {network}, and {other} as well"),
        }),
        _ => Ok(()),
    }
}

/// The network that a source is said to be on, or else the one that was found: they must
/// not contradict each other. Whoever names a network by its magic is right.
fn agreed(said: Option<Network>, found: Option<Network>) -> Result<Option<Network>, NodeError> {
    contradiction(said.filter(|said| said.is_named()), found)?;
    Ok(said.or(found))
}

/// The network whose rules the blocks must keep, by what the source says, block 0 too,
/// and what the database is recorded as.
fn rules(
    network: Option<Network>,
    claimed: Option<BlockHash>,
    recorded: &NetworkId,
) -> Result<Option<Network>, NodeError> {
    let bad = |what: String| Err(NodeError::BadAnswer { what });
    // Whoever names a network by its magic says that none of the known rules hold.
    if network.is_some_and(|network| !network.is_named()) {
        return Ok(None);
    }
    let recorded = named(recorded.genesis, recorded.magic);
    if let (Some(recorded), Some(claimed)) = (recorded, claimed)
        && recorded.genesis() != Some(claimed)
    {
        return bad(format!(
            "its block 0 is said to be {claimed}, which is not that of {recorded}, as the database is"
        ));
    }
    contradiction(network, recorded)?;
    Ok(network.or(recorded))
}

fn identify(node: &dyn Node) -> Result<Identified, NodeError> {
    let magic = node.magic();
    let claimed = node.genesis()?;
    let genesis = match claimed {
        Some(hash) if is_sure(node, &hash)? => Some(hash),
        _ => None,
    };
    let named = match (genesis, magic) {
        (Some(_), magic) => named(genesis, magic),
        // Blocks that hide their genesis may be of a network that is only like it.
        (None, Some(magic)) if claimed.is_none() => {
            Some(Network::of_magic(magic)).filter(|network| network.is_named())
        }
        _ => None,
    };
    let id = NetworkId {
        name: named.map(|network| network.to_string()),
        magic,
        genesis: genesis.or_else(|| named?.genesis()),
    };
    Ok(Identified { id, claimed, named })
}

/// Whether it is sure that a hash is that of the source's block 0.
fn is_sure(node: &dyn Node, hash: &BlockHash) -> Result<bool, NodeError> {
    if Network::of_genesis(hash).is_some() {
        return Ok(true);
    }
    match good_block(node, None, 0, hash) {
        Ok((header, _)) => Ok(header.parent == BlockHash::from_bytes([0; 32])),
        // A source that has all blocks and not this one does not mean it.
        Err(NodeError::NoBlock { .. }) if node.first()? == Some(0) => Err(NodeError::BadAnswer {
            what: format!("its block 0 is said to be {hash}, and it has no such block"),
        }),
        Err(NodeError::Pruned { .. } | NodeError::NoBlock { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The network with that genesis block, if it has a name, and that magic, if it is known.
fn named(genesis: Option<BlockHash>, magic: Option<[u8; 4]>) -> Option<Network> {
    Network::of_genesis(&genesis?)
        .filter(|network| magic.is_none_or(|magic| magic == network.magic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(network: Option<Network>) -> NetworkId {
        NetworkId {
            genesis: network.and_then(Network::genesis),
            ..NetworkId::default()
        }
    }

    #[test]
    fn rules_are_not_left_out_on_a_claim() {
        let (main, signet) = (Network::Main, Network::Signet);
        let custom = Network::Custom {
            magic: main.magic(),
        };
        let other = Some(BlockHash::from_bytes([7; 32]));
        for (said, claimed, recorded, expected) in [
            (None, main.genesis(), None, Some(Some(main))),
            (None, main.genesis(), Some(main), Some(Some(main))),
            // Nothing is said: what is recorded counts.
            (None, None, Some(main), Some(Some(main))),
            (None, None, None, Some(None)),
            // A network without a name.
            (None, other, None, Some(None)),
            // Two answers that contradict each other, or the record.
            (Some(signet), main.genesis(), None, None),
            (None, other, Some(main), None),
            (Some(main), other, Some(main), None),
            (Some(signet), None, Some(main), None),
            // It was named by its magic.
            (Some(custom), main.genesis(), Some(main), Some(None)),
        ] {
            let rules = agreed(said, named(claimed, None))
                .and_then(|network| rules(network, claimed, &id(recorded)));
            assert_eq!(rules.ok(), expected, "{said:?} {claimed:?} {recorded:?}");
        }
    }
}

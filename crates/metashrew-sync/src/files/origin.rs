//! Of which network the blocks in files are, and who told their heights.

use std::path::PathBuf;

use metashrew_store::{BlockHash, Height};

use super::frames::Found;
use super::{BlockFiles, FilesError, best_chain};
use crate::network::Network;

/// What the files say beside their blocks.
#[derive(Debug)]
pub(super) struct Origin {
    /// What the frames begin with; none for one raw block.
    pub(super) magic: Option<[u8; 4]>,
    /// The hash of block 0, if the chain begins there or right above.
    pub(super) genesis: Option<BlockHash>,
    /// Whether the height of the first block is only what the caller said.
    height_was_given: bool,
}

impl Origin {
    /// That of a chain whose first block has height `first`; `given` is what the caller
    /// said of it, and `raw` says that it is one block without a frame.
    pub(super) fn of(
        chain: &[Found],
        first: Height,
        magic: Option<[u8; 4]>,
        given: Option<Height>,
        raw: bool,
    ) -> Self {
        let lowest = chain.first().map(|block| &block.header);
        let genesis = lowest.and_then(|header| match first {
            0 => Some(header.hash),
            1 => Some(header.parent),
            _ => None,
        });
        let chain: Vec<_> = chain.iter().collect();
        Self {
            magic: magic.filter(|_| !raw),
            genesis,
            height_was_given: given.is_some()
                && (raw || best_chain::first_height(&chain).is_none()),
        }
    }
}

impl BlockFiles {
    /// Whether nothing but the caller of [`open`](Self::open) told the height of the
    /// first block.
    pub fn height_was_given(&self) -> bool {
        self.origin.height_was_given
    }

    /// Checks that the blocks can be of a network: that their frames begin as its do,
    /// and that they do not stand on the genesis block of another.
    pub fn check_network(&self, network: Network) -> Result<(), FilesError> {
        let path = || {
            let first = self.files.first();
            first.map_or_else(PathBuf::new, |file| file.path().to_owned())
        };
        let magic = self.origin.magic;
        if let Some(found) = magic.filter(|magic| *magic != network.magic()) {
            return Err(FilesError::OtherNetwork {
                path: path(),
                found,
                network,
            });
        }
        match (self.origin.genesis, network.genesis()) {
            (Some(found), Some(expected)) if found != expected => Err(FilesError::OtherGenesis {
                path: path(),
                found,
                network,
            }),
            _ => Ok(()),
        }
    }
}

//! Tries the copies of a block, and tells of those that are no good.

use metashrew_store::BlockHash;

use super::FilesError;
use super::block_file::BlockFile;
use super::places::Place;
use crate::block::BlockFault;
use crate::node::{Accept, NodeError};

/// Places named in a message at most.
const MAX_NAMED: usize = 8;

/// What is wrong with a copy.
pub(super) enum CopyFault {
    /// It cannot be read.
    Unreadable(FilesError),
    /// It is not the block.
    Damaged(BlockFault),
}

/// Offers the copy at a place, without what follows the block's end within its frame.
pub(super) fn offer(
    file: &BlockFile,
    place: Place,
    accept: &mut Accept<'_>,
) -> Result<(), CopyFault> {
    let bytes = file.read(place).map_err(CopyFault::Unreadable)?;
    let result = match accept(bytes.clone()) {
        Err(BlockFault::TooLong { extra }) => {
            let block = bytes.len().saturating_sub(extra);
            accept(bytes.slice(..block))
        }
        result => result,
    };
    result.map_err(CopyFault::Damaged)
}

/// The copies of one block that are no good.
#[derive(Default)]
pub(super) struct Damages {
    /// Each with what is wrong.
    places: Vec<String>,
    fault: Option<BlockFault>,
    unreadable: Option<FilesError>,
}

impl Damages {
    pub(super) fn add(&mut self, file: &BlockFile, place: &Place, fault: CopyFault) {
        match fault {
            CopyFault::Unreadable(error) => self.unreadable = Some(error),
            CopyFault::Damaged(fault) => {
                self.places.push(file.name(place));
                self.fault.get_or_insert(fault);
            }
        }
    }

    /// Tells that another copy is good.
    pub(super) fn tell(&self, hash: &BlockHash, good: &str) {
        if let Some(error) = &self.unreadable {
            tracing::warn!("{error}; block {hash} in {good} is taken");
        }
        if let Some(fault) = &self.fault {
            tracing::warn!(
                "block {hash} in {} is damaged: {fault}; its copy in {good} is taken",
                list(self.places.clone())
            );
        }
    }

    /// What is to be said if no copy is good.
    pub(super) fn into_error(self, hash: &BlockHash) -> NodeError {
        let place = list(self.places);
        match (self.unreadable, self.fault) {
            (Some(error), _) => error.into(),
            (None, Some(source)) => NodeError::Damaged { place, source },
            (None, None) => NodeError::NoBlock { hash: *hash },
        }
    }
}

/// Places in one line, those beyond a number as their count.
pub(super) fn list(mut places: Vec<String>) -> String {
    let more = places.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        places.truncate(MAX_NAMED);
        places.push(format!("{more} more places"));
    }
    places.join(" and in ")
}

//! Blocks from files: framed as Bitcoin Core keeps them, one file or a directory
//! of them, or one raw block; each may be packed with bzip2.
//!
//! Blocks may lie in any order, stale ones among them: the chain with the most
//! work counts. Only an index is kept in memory; blocks are read when asked for.

mod best_chain;
mod block_file;
mod frames;
mod live;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use crate::network::Network;
use crate::node::{Node, NodeBlock, NodeError};
use block_file::BlockFile;
use frames::Found;

pub(crate) use live::LiveFiles;

/// The file with the key that masks the block files (XOR), beside them.
const KEY_FILE: &str = "xor.dat";

/// Why block files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or directory could not be read, or unpacked.
    #[error("`{}` could not be read", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The directory has no file with blocks.
    #[error("`{}` has no block files; they are named `*.dat`, `*.bin` or `*.bz2`", path.display())]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// The file begins neither with a frame nor is it one whole block.
    #[error("`{}` is neither a file of framed blocks nor one raw block", path.display())]
    NotBlocks {
        /// The file.
        path: PathBuf,
    },
    /// A frame is not what it should be.
    #[error("`{}` is damaged at byte {offset}: {what}", path.display())]
    BadFrame {
        /// The file.
        path: PathBuf,
        /// Where the frame begins, in bytes; in a packed file, of the unpacked bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The key beside the files is not one.
    #[error("`{}` has {length} bytes; the key of block files has 8", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The files belong to another network.
    #[error("`{}` begins with {found:02x?}, block files of {network} with {:02x?}", path.display(), network.magic())]
    OtherNetwork {
        /// The first file.
        path: PathBuf,
        /// What it begins with.
        found: [u8; 4],
        /// The network expected.
        network: Network,
    },
    /// There is no block in the files.
    #[error("there is no block in `{}`", path.display())]
    Empty {
        /// The path given.
        path: PathBuf,
    },
    /// Nothing tells at which height the chain in the files begins.
    #[error(
        "the height of block {first}, the first in `{}`, is unknown; give it with `--start-height`", path.display()
    )]
    NoHeight {
        /// The path given.
        path: PathBuf,
        /// The first block of the chain.
        first: BlockHash,
    },
}

impl FilesError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the file.
    pub(crate) file: usize,
    /// Of the block itself, in bytes.
    pub(crate) offset: u64,
    /// Bytes of the block.
    pub(crate) length: u32,
}

/// A chain of blocks in files.
#[derive(Debug)]
pub struct BlockFiles {
    files: Vec<BlockFile>,
    first: Height,
    /// The chain, lowest block first.
    chain: Vec<(BlockHash, Place)>,
    /// Indices into the chain.
    by_hash: HashMap<BlockHash, usize>,
}

impl BlockFiles {
    /// Indexes the blocks at a path: a file of framed blocks (of any network: the
    /// first frame's magic counts), a directory of them, or one raw block.
    ///
    /// Heights come from the chain itself where it says so: a known network's
    /// genesis block, or the heights in the coinbases (BIP34) if they all agree.
    /// Otherwise `start_height` is the height of the chain's first block. For a
    /// file of one raw block, `start_height` counts in any case.
    pub fn open(path: &Path, start_height: Option<Height>) -> Result<Self, FilesError> {
        let paths = block_file::list(path)?;
        let key = read_key(path)?;
        let mut files = Vec::with_capacity(paths.len());
        let mut found = Vec::new();
        let mut magic = None;
        let mut raw = false;
        for path in paths {
            let file = BlockFile::open(path, key)?;
            raw = frames::scan(&file, files.len(), &mut magic, &mut found)?;
            files.push(file);
        }
        let chain = best_chain::select(&found);
        let first = chain.first().ok_or_else(|| FilesError::Empty {
            path: path.to_owned(),
        })?;
        if chain.len() < found.len() {
            let left_out = found.len() - chain.len();
            tracing::info!(
                left_out,
                "`{}` holds blocks that are not in its best chain",
                path.display()
            );
        }
        let lone = raw && files.len() == 1;
        let height = match (best_chain::first_height(&chain), start_height) {
            (Some(known), Some(given)) if lone => {
                if known != given {
                    tracing::warn!(
                        "the block in `{}` says it has height {known}, taken as {given}",
                        path.display()
                    );
                }
                given
            }
            (Some(known), _) => known,
            (None, Some(given)) => given,
            (None, None) => {
                return Err(FilesError::NoHeight {
                    path: path.to_owned(),
                    first: first.header.hash,
                });
            }
        };
        Ok(Self::new(files, height, &chain))
    }

    fn new(files: Vec<BlockFile>, first: Height, chain: &[&Found]) -> Self {
        let chain: Vec<_> = chain
            .iter()
            .map(|found| (found.header.hash, found.place))
            .collect();
        let by_hash = chain
            .iter()
            .enumerate()
            .map(|(index, (hash, _))| (*hash, index))
            .collect();
        Self {
            files,
            first,
            chain,
            by_hash,
        }
    }

    /// The height of the chain's first block.
    pub fn first_height(&self) -> Height {
        self.first
    }

    /// The height of the chain's last block.
    pub fn last_height(&self) -> Height {
        self.first
            + Height::try_from(self.chain.len().saturating_sub(1))
                .unwrap_or(Height::MAX - self.first)
    }

    fn find(&self, hash: &BlockHash) -> Option<(&BlockFile, Place)> {
        let (_, place) = self.chain.get(*self.by_hash.get(hash)?)?;
        Some((self.files.get(place.file)?, *place))
    }
}

impl Node for BlockFiles {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        Ok(self.chain.last().map(|(hash, _)| NodeBlock {
            height: self.last_height(),
            hash: *hash,
        }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        Ok(Some(self.first))
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        let index = height
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        Ok(index
            .and_then(|index| self.chain.get(index))
            .map(|(hash, _)| *hash))
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let (file, place) = self.find(hash).ok_or(NodeError::NoBlock { hash: *hash })?;
        Ok(file.read(place)?)
    }

    fn place(&self, hash: &BlockHash) -> Option<String> {
        self.find(hash)
            .map(|(file, place)| format!("`{}` at byte {}", file.path().display(), place.offset))
    }
}

/// The key that masks the files, if there is one beside them.
fn read_key(path: &Path) -> Result<Option<[u8; 8]>, FilesError> {
    let directory = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let Some(key_path) = directory
        .map(|directory| directory.join(KEY_FILE))
        .filter(|key| key.is_file())
    else {
        return Ok(None);
    };
    let bytes = std::fs::read(&key_path).map_err(|source| FilesError::io(&key_path, source))?;
    let length = bytes.len();
    let key = bytes.try_into().map_err(|_| FilesError::BadKey {
        path: key_path,
        length,
    })?;
    Ok(Some(key))
}

//! Why block files cannot be used.

use std::path::{Path, PathBuf};

use metashrew_store::BlockHash;

use crate::block::BlockFault;
use crate::network::Network;

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
    /// There is no frame of a block anywhere in the file, nor is it one whole block.
    #[error("`{}` is neither a file of framed blocks nor one raw block", path.display())]
    NotBlocks {
        /// The file.
        path: PathBuf,
    },
    /// The file is one block but for its witnesses.
    #[error("the block in `{}` cannot be indexed", path.display())]
    BadWitnesses {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: BlockFault,
    },
    /// There are blocks, and no work was done for any.
    #[error("no block in `{}` has proof of work: their hashes do not meet their targets", path.display())]
    NoWork {
        /// The file or directory.
        path: PathBuf,
    },
    /// There is no frame of a block in a file that Core named, and no key beside it.
    #[error(
        "`{}` holds no frame of a block; it may be masked (Bitcoin Core 28 and later do that): copy `xor.dat` from the folder it comes from beside it", path.display()
    )]
    Masked {
        /// The file.
        path: PathBuf,
    },
    /// There is no frame of a block in a file that Core named, with the key beside it.
    #[error(
        "`{}` holds no frame of a block, neither as it is nor unmasked with the `xor.dat` beside it, which may be the key of other files", path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another network than those before it.
    #[error("`{}` begins with {found:02x?}, files before it with {expected:02x?}: they are of different networks", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// What it begins with.
        found: [u8; 4],
        /// What those before it begin with.
        expected: [u8; 4],
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
    /// The blocks stand on another genesis block than the network's.
    #[error(
        "the blocks in `{}` stand on {found}{}, which is not block 0 of {network}", path.display(),
        Network::of_genesis(found).map(|network| format!(", block 0 of {network}")).unwrap_or_default()
    )]
    OtherGenesis {
        /// The first file.
        path: PathBuf,
        /// Their block 0.
        found: BlockHash,
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

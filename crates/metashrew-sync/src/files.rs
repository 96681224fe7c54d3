//! Blocks from files: framed as Bitcoin Core keeps them, one file or a directory
//! of them, or one raw block; each may be packed with bzip2.
//!
//! Blocks may lie in any order, stale ones among them: the chain with the most
//! work counts. Only an index is kept in memory; blocks are read when asked for.
//! Every copy of a block is known, and the first good one is handed out.

mod best_chain;
mod block_file;
mod copies;
mod error;
mod frames;
mod growing;
mod kept;
mod live;
mod origin;
mod places;
mod scan;
mod sift;
mod window;

use std::path::Path;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use crate::block::{self, HEADER_LEN, Header, Rules};
use crate::network::Network;
use crate::node::{Accept, Node, NodeBlock, NodeError};
use block_file::BlockFile;
use copies::Damages;
use frames::Found;
use origin::Origin;
use places::Places;

pub use error::FilesError;
pub(crate) use live::LiveFiles;

/// The file with the key that masks the block files (XOR), beside them.
const KEY_FILE: &str = "xor.dat";

/// A chain of blocks in files.
#[derive(Debug)]
pub struct BlockFiles {
    files: Vec<BlockFile>,
    /// As the caller, the frames or the genesis block say.
    network: Option<Network>,
    first: Height,
    /// The chain, lowest block first.
    chain: Vec<BlockHash>,
    places: Places,
    origin: Origin,
}

impl BlockFiles {
    /// Indexes the blocks at a path: a file of framed blocks (of any network: the
    /// first frame's magic counts), a directory of them, or one raw block. What
    /// stands between the frames is passed over, with a warning.
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
            let mut file = BlockFile::open(path, key)?;
            raw = scan::scan(&mut file, files.len(), &mut magic, &mut found)?;
            files.push(file);
        }
        let network = network(magic, &found);
        let any = !found.is_empty();
        if let Some(magic) = magic {
            found = complete(found, magic, &files)?;
        }
        sift::settle_heights(&mut found, &files)?;
        let chain = best_chain::select(&found);
        if chain.is_empty() {
            let path = path.to_owned();
            return Err(if any {
                FilesError::NoWork { path }
            } else {
                FilesError::Empty { path }
            });
        }
        tell_left_out(path, &found, &chain);
        let lone = raw && files.len() == 1;
        let mut chain: Vec<Found> = chain.into_iter().cloned().collect();
        sift::mend_heights(&mut chain, &files)?;
        let first = first_height(path, &chain, start_height, lone)?;
        let mut places = Places::default();
        for block in &found {
            places.add(block.header.hash, block.place);
        }
        Ok(Self {
            origin: Origin::of(&chain, first, magic, start_height, lone),
            files,
            network,
            first,
            chain: chain.iter().map(|block| block.header.hash).collect(),
            places,
        })
    }

    /// The blocks are of that network, and keep its rules: those of none of the known
    /// networks if it is named by its magic, whichever that is.
    pub fn with_network(mut self, network: Network) -> Result<Self, FilesError> {
        self.check_network(network)?;
        self.network = Some(network);
        Ok(self)
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

    /// The header of the first copy of a block that has it.
    fn header(&self, hash: &BlockHash) -> Result<Option<[u8; HEADER_LEN]>, FilesError> {
        for place in self.places.of(hash) {
            let Some(file) = self.files.get(place.file) else {
                continue;
            };
            let mut header = place;
            header.length = header.length.min(u32::try_from(HEADER_LEN).unwrap_or(0));
            let header = file.read(header)?;
            if Header::read(&header).is_some_and(|header| header.hash == *hash) {
                return Ok(header.first_chunk().copied());
            }
        }
        Ok(None)
    }
}

/// Leaves out what no chain can hold. If blocks are missing then, the files around the
/// gaps are read again, block by block: a frame may have swallowed others.
fn complete(
    found: Vec<Found>,
    magic: [u8; 4],
    files: &[BlockFile],
) -> Result<Vec<Found>, FilesError> {
    let mut found = sift::sift(found, magic, files);
    let indices = sift::files_of_gaps(&found);
    if indices.is_empty() {
        return Ok(found);
    }
    found.retain(|block| !indices.contains(&block.place.file));
    let mut again = Vec::new();
    for index in indices {
        if let Some(file) = files.get(index) {
            again.extend(scan::walk(file, index, magic, true)?);
        }
    }
    found.extend(sift::sift(again, magic, files));
    found.sort_by_key(|block| (block.place.file, block.place.offset));
    Ok(found)
}

/// Tells of blocks that are in no use, and whether one is missing between them.
fn tell_left_out(path: &Path, found: &[Found], chain: &[&Found]) {
    let mut hashes: Vec<_> = found.iter().map(|block| block.header.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let left_out = hashes.len() - chain.len();
    let path = path.display();
    if sift::files_of_gaps(found).is_empty() {
        if left_out > 0 {
            tracing::info!(
                left_out,
                "`{path}` holds blocks that are not in its best chain"
            );
        }
    } else if let Some(first) = chain.first() {
        tracing::warn!(
            left_out,
            "`{path}` holds blocks that do not connect with its best chain, which stands on block {}, and that is not there",
            first.header.parent
        );
    }
}

/// The height of the chain's first block.
fn first_height(
    path: &Path,
    chain: &[Found],
    given: Option<Height>,
    lone: bool,
) -> Result<Height, FilesError> {
    let chain: Vec<_> = chain.iter().collect();
    match (best_chain::first_height(&chain), given) {
        (Some(known), Some(given)) if lone => {
            if known != given {
                tracing::warn!(
                    "the block in `{}` says it has height {known}, taken as {given}",
                    path.display()
                );
            }
            Ok(given)
        }
        (Some(known), _) => Ok(known),
        (None, Some(given)) => Ok(given),
        (None, None) => Err(FilesError::NoHeight {
            path: path.to_owned(),
            first: chain
                .first()
                .map_or(BlockHash::from_bytes([0; 32]), |block| block.header.hash),
        }),
    }
}

impl Node for BlockFiles {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        Ok(self.chain.last().map(|hash| NodeBlock {
            height: self.last_height(),
            hash: *hash,
        }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        Ok(Some(self.first))
    }

    fn network(&self) -> Result<Option<Network>, NodeError> {
        Ok(self.network)
    }

    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        self.first()
    }

    fn headers(&self, from: Height, count: usize) -> Result<Vec<[u8; HEADER_LEN]>, NodeError> {
        let mut headers = Vec::new();
        for hash in self.hashes(from, count)? {
            let header = self.header(&hash)?;
            headers.push(header.ok_or(NodeError::NoBlock { hash })?);
        }
        Ok(headers)
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        let index = height
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        Ok(index.and_then(|index| self.chain.get(index)).copied())
    }

    fn genesis(&self) -> Result<Option<BlockHash>, NodeError> {
        Ok(self.origin.genesis)
    }

    fn magic(&self) -> Option<[u8; 4]> {
        self.origin.magic
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let mut block = None;
        self.offer(hash, &mut |bytes| {
            block::check(&bytes, hash, Rules::alone(self.network, &bytes))?;
            block = Some(bytes);
            Ok(())
        })?;
        block.ok_or(NodeError::NoBlock { hash: *hash })
    }

    fn place(&self, hash: &BlockHash) -> Option<String> {
        let named = self.places.of(hash).into_iter().filter_map(|place| {
            let file = self.files.get(place.file)?;
            Some(file.name(&place))
        });
        let named = copies::list(named.collect());
        (!named.is_empty()).then_some(named)
    }

    fn offer(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> Result<(), NodeError> {
        let places = self.places.of(hash);
        let mut damages = Damages::default();
        for place in &places {
            let Some(file) = self.files.get(place.file) else {
                continue;
            };
            match copies::offer(file, *place, accept) {
                Ok(()) => {
                    damages.tell(hash, &file.name(place));
                    return Ok(());
                }
                Err(fault) => damages.add(file, place, fault),
            }
        }
        Err(damages.into_error(hash))
    }
}

/// The network of the blocks: the frames' magic says it; without frames, a genesis
/// block, or one right above it.
fn network(magic: Option<[u8; 4]>, found: &[Found]) -> Option<Network> {
    if let Some(magic) = magic {
        return Some(Network::of_magic(magic));
    }
    found.iter().find_map(|block| {
        let header = &block.header;
        Network::of_genesis(&header.hash).or_else(|| Network::of_genesis(&header.parent))
    })
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

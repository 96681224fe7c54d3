//! The block files of a running node: an index of what lies where, which grows as
//! the node writes. What is not, or not wholly, there yet is not there.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use metashrew_store::BlockHash;
use parking_lot::{Condvar, Mutex, RwLock};

use super::block_file::{self, BlockFile};
use super::frames::{FRAME_LEN, Frames, Step};
use super::{FilesError, Place, read_key};
use crate::block;
use crate::network::Network;

/// So many bad blocks, and the files are left alone.
const MAX_FAULTS: usize = 16;

/// The index, kept by a thread of its own until it has seen every file, then brought
/// up to date whenever a block is asked for that it does not know.
pub(crate) struct LiveFiles {
    shared: Arc<Shared>,
    first_scan: Option<JoinHandle<()>>,
}

struct Shared {
    blocks: RwLock<Blocks>,
    scan: Mutex<Scan>,
    /// Whether every file was looked at once.
    ready: Mutex<bool>,
    became_ready: Condvar,
    closed: AtomicBool,
    faults: AtomicUsize,
}

/// What is known.
#[derive(Default)]
struct Blocks {
    files: Vec<Arc<BlockFile>>,
    by_hash: HashMap<BlockHash, Place>,
}

/// How far the files have been read.
struct Scan {
    key: Option<[u8; 8]>,
    magic: Option<[u8; 4]>,
    /// The files in the order of their numbers.
    files: Vec<Arc<BlockFile>>,
    /// Those that may still grow.
    open: Vec<Open>,
}

/// A file that may still grow.
struct Open {
    index: usize,
    /// Where the next frame is to begin, in bytes.
    next: u64,
    /// Whether it was looked at.
    seen: bool,
}

impl LiveFiles {
    /// Begins to index the block files in a folder. With a network, the first file
    /// must be one of it; without, the first frame gives the magic.
    pub(crate) fn open(directory: &Path, network: Option<Network>) -> Result<Self, FilesError> {
        let mut scan = Scan {
            key: read_key(directory)?,
            magic: None,
            files: Vec::new(),
            open: Vec::new(),
        };
        let paths = block_file::list(directory)?;
        // Of a folder that Core writes, nothing else counts, and nothing packed.
        let cores = |path: &PathBuf| block_file::after(path).is_some();
        for path in paths.into_iter().filter(cores) {
            scan.add(path)?;
        }
        let first = scan.files.first().ok_or_else(|| FilesError::NoFiles {
            path: directory.to_owned(),
        })?;
        if let Some(network) = network {
            check_magic(first, network)?;
            scan.magic = Some(network.magic());
        }
        let shared = Arc::new(Shared {
            blocks: RwLock::default(),
            scan: Mutex::new(scan),
            ready: Mutex::new(false),
            became_ready: Condvar::new(),
            closed: AtomicBool::new(false),
            faults: AtomicUsize::new(0),
        });
        let first_scan = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("block-files".to_owned())
                .spawn(move || shared.first_scan())
                .map_err(|source| FilesError::io(directory, source))?
        };
        Ok(Self {
            shared,
            first_scan: Some(first_scan),
        })
    }

    /// Waits until every file was looked at once.
    pub(crate) fn wait_until_ready(&self) {
        let mut ready = self.shared.ready.lock();
        while !*ready {
            self.shared.became_ready.wait(&mut ready);
        }
    }

    /// The block of that hash, whole and checked, if the files have it.
    pub(crate) fn block(&self, hash: &BlockHash) -> Option<Bytes> {
        if self.shared.faults.load(Ordering::Relaxed) >= MAX_FAULTS {
            return None;
        }
        let (file, place) = self.shared.find(hash).or_else(|| {
            // Until the first scan is done, the block may be in a file to come.
            let ready = *self.shared.ready.lock();
            ready.then(|| self.shared.scan_again(hash)).flatten()
        })?;
        let what = match file.read(place) {
            Ok(bytes) => match block::check(&bytes, hash) {
                Ok(_) => return Some(bytes),
                Err(fault) => fault.to_string(),
            },
            // A node that prunes takes files away.
            Err(FilesError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.shared.forget(hash);
                return None;
            }
            Err(error) => error.to_string(),
        };
        self.shared.complain(hash, &file, place, &what);
        None
    }
}

impl Drop for LiveFiles {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(first_scan) = self.first_scan.take() {
            // One that panicked has said so.
            let _ = first_scan.join();
        }
    }
}

impl Shared {
    fn first_scan(&self) {
        let mut scan = self.scan.lock();
        self.run(&mut scan);
        drop(scan);
        let blocks = self.blocks.read();
        tracing::info!(
            blocks = blocks.by_hash.len(),
            files = blocks.files.len(),
            "the node's block files are indexed"
        );
        *self.ready.lock() = true;
        self.became_ready.notify_all();
    }

    fn find(&self, hash: &BlockHash) -> Option<(Arc<BlockFile>, Place)> {
        let blocks = self.blocks.read();
        let place = *blocks.by_hash.get(hash)?;
        Some((Arc::clone(blocks.files.get(place.file)?), place))
    }

    /// Takes in what the node wrote meanwhile, unless somebody else has just done so.
    fn scan_again(&self, hash: &BlockHash) -> Option<(Arc<BlockFile>, Place)> {
        let mut scan = self.scan.lock();
        if let Some(found) = self.find(hash) {
            return Some(found);
        }
        self.run(&mut scan);
        drop(scan);
        self.find(hash)
    }

    /// Reads on in all files that may have grown, and in new ones.
    fn run(&self, scan: &mut Scan) {
        scan.add_new();
        let last = scan.files.len().saturating_sub(1);
        for mut open in std::mem::take(&mut scan.open) {
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            let Some(file) = scan.files.get(open.index).cloned() else {
                continue;
            };
            let mut found = Vec::new();
            let is_last = open.index == last;
            let finished = open.read_on(&file, is_last, &mut scan.magic, &mut found);
            let mut blocks = self.blocks.write();
            if blocks.files.len() < scan.files.len() {
                blocks.files.clone_from(&scan.files);
            }
            blocks.by_hash.extend(found);
            drop(blocks);
            match finished {
                Ok(true) => {}
                Ok(false) => scan.open.push(open),
                Err(error) => {
                    tracing::debug!("{error}: blocks of this file come from the node");
                }
            }
        }
    }

    fn forget(&self, hash: &BlockHash) {
        self.blocks.write().by_hash.remove(hash);
    }

    /// Tells of a block that is not what it should be, and does not use it again.
    fn complain(&self, hash: &BlockHash, file: &BlockFile, place: Place, what: &str) {
        self.forget(hash);
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            "block {hash} in `{}` at byte {} cannot be used: {what}; the node is asked for it",
            file.path().display(),
            place.offset
        );
        if faults == MAX_FAULTS {
            tracing::warn!(
                "{faults} blocks in the block files could not be used: no more are read from there"
            );
        }
    }
}

impl Scan {
    fn add(&mut self, path: PathBuf) -> Result<(), FilesError> {
        let file = BlockFile::open(path, self.key)?;
        self.open.push(Open {
            index: self.files.len(),
            next: 0,
            seen: false,
        });
        self.files.push(Arc::new(file));
        Ok(())
    }

    /// Adds the files that the node has begun since. It numbers them.
    fn add_new(&mut self) {
        while let Some(next) = self
            .files
            .last()
            .and_then(|last| block_file::after(last.path()))
        {
            if !next.is_file() || self.add(next).is_err() {
                return;
            }
        }
    }
}

impl Open {
    /// Reads on to where there is no further block; answers whether there will never
    /// be one. In the last file, a block may be in the middle of being written: it
    /// counts once it is whole.
    fn read_on(
        &mut self,
        file: &BlockFile,
        is_last: bool,
        magic: &mut Option<[u8; 4]>,
        found: &mut Vec<(BlockHash, Place)>,
    ) -> Result<bool, FilesError> {
        let first_time = !std::mem::replace(&mut self.seen, true);
        let (mut end, mut at_end) = (self.next, false);
        file.with_file(|opened| {
            let mut walk = Frames::new(file, self.index, opened, self.next, magic)?;
            loop {
                end = walk.position();
                match walk.step()? {
                    Step::Block(block) => found.push((block.header.hash, block.place)),
                    // Zeros between frames are looked through once: at the end of a
                    // file there are megabytes of them.
                    Step::Zeros if first_time && !is_last && walk.skip_zeros()? => {}
                    Step::End => {
                        at_end = true;
                        return Ok(());
                    }
                    Step::Zeros | Step::Cut | Step::Bad(_) => return Ok(()),
                }
            }
        })?;
        if is_last && let Some((_, place)) = found.last() {
            let whole = file.read(*place).is_ok_and(|bytes| block::is_whole(&bytes));
            if !whole {
                end = place.offset - FRAME_LEN;
                found.pop();
            }
        }
        self.next = end;
        // Core cuts off the room it reserved when it begins the next file.
        Ok(at_end && !is_last)
    }
}

/// The first file must begin with the network's magic.
fn check_magic(file: &BlockFile, network: Network) -> Result<(), FilesError> {
    let mut start = file.with_file(|opened| {
        let mut start = [0; 4];
        io::Read::read_exact(opened, &mut start)?;
        Ok(start)
    })?;
    file.unmask(0, &mut start);
    if start == network.magic() {
        return Ok(());
    }
    Err(FilesError::OtherNetwork {
        path: file.path().to_owned(),
        found: start,
        network,
    })
}

//! The block files of a running node: an index of what lies where, which grows as
//! the node writes. What is not, or not wholly, there yet is not there.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use metashrew_store::BlockHash;
use parking_lot::{Condvar, Mutex, RwLock};

use super::block_file::BlockFile;
use super::copies::{self, CopyFault};
use super::growing::Growing;
use super::kept::{self, KeptFile};
use super::places::{Place, Places};
use super::{FilesError, read_key};
use crate::block::{HEADER_LEN, Header};
use crate::fetch::Causes;
use crate::machine::shortage;
use crate::network::Network;
use crate::node::Accept;

/// So many bad blocks, and the files are left alone.
const MAX_FAULTS: usize = 16;

/// The index is written to its file again when so many more files were read to their ends.
const FILES_A_SAVE: usize = 16;

/// The index, kept by a thread of its own until it has seen every file, then brought
/// up to date whenever a block is asked for that it does not know.
pub(crate) struct LiveFiles {
    shared: Arc<Shared>,
    first_scan: Option<JoinHandle<()>>,
}

struct Shared {
    blocks: RwLock<Blocks>,
    scan: Mutex<Growing>,
    /// Whether every file was looked at once.
    ready: Mutex<bool>,
    became_ready: Condvar,
    closed: AtomicBool,
    faults: AtomicUsize,
    is_shortage_told: AtomicBool,
    /// The copies that were no good.
    bad: Mutex<Vec<Place>>,
    keeping: Mutex<Keeping>,
}

/// How the index is kept between starts.
#[derive(Default)]
struct Keeping {
    /// Where; none if it is not.
    path: Option<PathBuf>,
    /// Whether it may be written already.
    may_write: bool,
    /// The files of which all that is known comes from there.
    trusted: HashSet<usize>,
    /// Those that turned out to be others: to be read anew.
    stale: Vec<usize>,
    /// How many files had been read to their ends, and how many blocks were known, when it
    /// was read or written.
    saved: (usize, usize),
    /// How many files had been read to their ends when that was tried last.
    tried: usize,
    /// Whether it was told that it fails.
    is_fault_told: bool,
}

/// What is known.
#[derive(Default)]
struct Blocks {
    files: Vec<Arc<BlockFile>>,
    places: Places,
}

impl LiveFiles {
    /// Begins to index the block files in a folder. With a network, the first file
    /// must be one of it; without, the first frame gives the magic. What an index that
    /// was kept at `index` knows of them is not looked for again.
    pub(crate) fn open(
        directory: &Path,
        network: Option<Network>,
        index: Option<&Path>,
    ) -> Result<Self, FilesError> {
        let mut scan = Growing::open(directory, read_key(directory)?, network)?;
        let (blocks, keeping) = match index {
            Some(path) => read_kept(path, &mut scan),
            None => Default::default(),
        };
        let shared = Arc::new(Shared {
            blocks: RwLock::new(blocks),
            scan: Mutex::new(scan),
            ready: Mutex::new(false),
            became_ready: Condvar::new(),
            closed: AtomicBool::new(false),
            faults: AtomicUsize::new(0),
            is_shortage_told: AtomicBool::new(false),
            bad: Mutex::default(),
            keeping: Mutex::new(keeping),
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

    /// From now on the index may be written where it is kept.
    pub(crate) fn keep(&self) {
        self.shared.keeping.lock().may_write = true;
        // If it is not ready, the first scan ends with this.
        if *self.shared.ready.lock() {
            self.shared.save(&self.shared.scan.lock());
        }
    }

    /// Waits until every file was looked at once.
    pub(crate) fn wait_until_ready(&self) {
        let mut ready = self.shared.ready.lock();
        while !*ready {
            self.shared.became_ready.wait(&mut ready);
        }
    }

    /// Offers the copies of a block that the files have; answers whether one was taken.
    pub(crate) fn offer(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> bool {
        let shared = &self.shared;
        if shared.is_given_up() {
            return false;
        }
        if shared.offer_known(hash, accept) {
            return true;
        }
        // Until the first scan is done, the block may be in a file to come. It may also
        // have been written again since its bad copy was.
        let ready = *shared.ready.lock();
        ready
            && !shared.is_given_up()
            && shared.scan_again(hash)
            && shared.offer_known(hash, accept)
    }
}

impl Drop for LiveFiles {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(first_scan) = self.first_scan.take() {
            // One that panicked has said so.
            let _ = first_scan.join();
        }
        self.shared.save(&self.shared.scan.lock());
    }
}

impl Shared {
    fn first_scan(&self) {
        let mut scan = self.scan.lock();
        self.read_on(&mut scan);
        // First: whoever allows the index to be written has it written if that is late.
        *self.ready.lock() = true;
        self.save(&scan);
        drop(scan);
        let blocks = self.blocks.read();
        tracing::info!(
            blocks = blocks.places.len(),
            files = blocks.files.len(),
            "the node's block files are indexed"
        );
        self.became_ready.notify_all();
    }

    fn find(&self, hash: &BlockHash) -> Vec<(Arc<BlockFile>, Place)> {
        let blocks = self.blocks.read();
        let with_file = |place: Place| Some((Arc::clone(blocks.files.get(place.file)?), place));
        blocks
            .places
            .of(hash)
            .into_iter()
            .filter_map(with_file)
            .collect()
    }

    /// Offers the copies that are known. Those that are no good are forgotten.
    fn offer_known(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> bool {
        for (file, place) in self.find(hash) {
            match copies::offer(&file, place, accept) {
                Ok(()) => return true,
                // A node that prunes takes files away.
                Err(CopyFault::Unreadable(FilesError::Io { source, .. }))
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    self.forget(hash, &place);
                }
                // Nothing is wrong with the file: it can be read another time.
                Err(CopyFault::Unreadable(error)) if shortage(&error).is_some() => {
                    self.tell_shortage(&error);
                }
                Err(_) if self.is_stale(hash, &file, place) => {}
                Err(CopyFault::Unreadable(error)) => self.complain(hash, &file, place, &error),
                Err(CopyFault::Damaged(fault)) => self.complain(hash, &file, place, &fault),
            }
        }
        false
    }

    /// Takes in what the node wrote meanwhile, unless somebody else has just done so;
    /// answers whether the block is known now.
    fn scan_again(&self, hash: &BlockHash) -> bool {
        let mut scan = self.scan.lock();
        if self.find(hash).is_empty() {
            self.read_on(&mut scan);
            let tried = self.keeping.lock().tried;
            if scan.finished() >= tried + FILES_A_SAVE {
                self.save(&scan);
            }
        }
        drop(scan);
        !self.find(hash).is_empty()
    }

    /// Whether a place that a kept index named has another block, or none: then the file
    /// is another than it was, and all that was known of it is forgotten.
    fn is_stale(&self, hash: &BlockHash, file: &BlockFile, place: Place) -> bool {
        let mut header = place;
        header.length = header.length.min(u32::try_from(HEADER_LEN).unwrap_or(0));
        let is_there = file
            .read(header)
            .is_ok_and(|bytes| Header::read(&bytes).is_some_and(|header| header.hash == *hash));
        let mut keeping = self.keeping.lock();
        if is_there || !keeping.trusted.remove(&place.file) {
            return false;
        }
        keeping.stale.push(place.file);
        drop(keeping);
        self.blocks.write().places.remove_file(place.file);
        tracing::info!(
            "`{}` is not as the kept index has it; it is read anew",
            file.path().display()
        );
        true
    }

    /// Writes the index where it is kept, if there is anything new. `scan` says how far
    /// the files were read that `blocks` lie in.
    fn save(&self, scan: &Growing) {
        let mut keeping = self.keeping.lock();
        let (Some(path), Some(common)) = (keeping.path.clone(), scan.common()) else {
            return;
        };
        let blocks = self.blocks.read();
        let now = (scan.finished(), blocks.places.len());
        if !keeping.may_write || keeping.saved == now {
            return;
        }
        let all = blocks.places.all();
        drop(blocks);
        let mut files = scan.keep();
        files.sort_unstable_by_key(|(index, _)| *index);
        let named = files.into_iter().filter_map(|(index, file)| {
            let from = all.partition_point(|(_, place)| place.file < index);
            let to = all.partition_point(|(_, place)| place.file <= index);
            let places = all.get(from..to).unwrap_or_default();
            let blocks = places
                .iter()
                .map(|(hash, place)| (*hash, place.offset, place.length));
            let blocks = blocks.collect();
            let name = scan.files().get(index)?.file_name().to_owned();
            Some((name, KeptFile { blocks, ..file }))
        });
        keeping.tried = now.0;
        match kept::write(&path, common, named) {
            Ok(()) => {
                keeping.saved = now;
                keeping.is_fault_told = false;
            }
            Err(error) if !keeping.is_fault_told => {
                keeping.is_fault_told = true;
                tracing::info!(
                    "the index of the block files cannot be kept in `{}`: {error}",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }

    /// Reads on in all files that may have grown, in new ones, and in those that turned
    /// out to be others.
    fn read_on(&self, scan: &mut Growing) {
        for index in std::mem::take(&mut self.keeping.lock().stale) {
            scan.read_anew(index);
        }
        scan.read_on(|files, found| {
            let bad = self.bad.lock();
            let mut blocks = self.blocks.write();
            if blocks.files.len() < files.len() {
                blocks.files = files.to_vec();
            }
            for (hash, place) in found {
                if !bad.contains(&place) {
                    blocks.places.add(hash, place);
                }
            }
            !self.closed.load(Ordering::Relaxed)
        });
    }

    fn forget(&self, hash: &BlockHash, place: &Place) {
        self.blocks.write().places.remove(hash, place);
    }

    fn is_given_up(&self) -> bool {
        self.faults.load(Ordering::Relaxed) >= MAX_FAULTS
    }

    /// Tells, once, that the machine is short of what it takes to read the files.
    fn tell_shortage(&self, error: &FilesError) {
        if !self.is_shortage_told.swap(true, Ordering::Relaxed) {
            let error = Causes(error);
            tracing::warn!("{error}: blocks come from the node as long as that is so");
        }
    }

    /// Tells of a copy that is not what it should be, and does not use it again.
    fn complain(
        &self,
        hash: &BlockHash,
        file: &BlockFile,
        place: Place,
        what: &dyn std::fmt::Display,
    ) {
        self.bad.lock().push(place);
        self.forget(hash, &place);
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            "block {hash} in {} cannot be used: {what}; another copy is looked for, or the node asked for it",
            file.name(&place)
        );
        if faults == MAX_FAULTS {
            tracing::warn!(
                "{faults} blocks in the block files could not be used: no more are read from there"
            );
        }
    }
}

/// What the index kept at a path knows of the files, if it is one of theirs.
fn read_kept(path: &Path, scan: &mut Growing) -> (Blocks, Keeping) {
    let mut keeping = Keeping {
        path: Some(path.to_owned()),
        ..Keeping::default()
    };
    let mut blocks = Blocks {
        files: scan.files().to_vec(),
        places: Places::default(),
    };
    let Some(common) = scan.common() else {
        return (blocks, keeping);
    };
    match kept::read(path, common) {
        Ok(None) => {}
        Ok(Some(kept)) => {
            for (hash, place) in scan.take_over(kept) {
                keeping.trusted.insert(place.file);
                blocks.places.add(hash, place);
            }
            keeping.saved = (scan.finished(), blocks.places.len());
            keeping.tried = scan.finished();
            tracing::info!(
                blocks = blocks.places.len(),
                files = keeping.trusted.len(),
                "the index of the node's block files was kept"
            );
        }
        Err(fault) => tracing::info!(
            "the index of the block files in `{}` is made anew: {}",
            path.display(),
            Causes(&fault)
        ),
    }
    (blocks, keeping)
}

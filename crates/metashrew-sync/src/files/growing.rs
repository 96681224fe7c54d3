//! How far the block files of a running node have been read, and reading on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use metashrew_store::BlockHash;

use super::block_file::{self, BlockFile};
use super::frames::{Frames, PassedOver, State};
use super::kept::{Common, KeptFile, KeptFiles};
use super::places::Place;
use super::{FilesError, scan};
use crate::fetch::Causes;
use crate::machine::shortage;
use crate::network::Network;

/// How far the files have been read.
pub(super) struct Growing {
    key: Option<[u8; 8]>,
    magic: Option<[u8; 4]>,
    /// The files in the order of their numbers.
    files: Vec<Arc<BlockFile>>,
    /// Those that may still grow.
    open: Vec<Open>,
    /// Those that were read to their ends.
    finished: Vec<Open>,
    is_shortage_told: bool,
}

/// How far a file was read.
struct Open {
    index: usize,
    /// Where the first frame is to begin that was not read: all before it are whole,
    /// and nothing stands between them.
    next: u64,
    /// Whether it was looked at.
    seen: bool,
    /// Its length and the time of the last change when it was looked at last.
    changed: Option<(u64, SystemTime)>,
    /// Whether something in it was warned of.
    told: bool,
}

impl Growing {
    /// The block files that Core wrote into a folder. With a network, the first one
    /// must be of it; without, the first frame gives the magic.
    pub(super) fn open(
        directory: &Path,
        key: Option<[u8; 8]>,
        network: Option<Network>,
    ) -> Result<Self, FilesError> {
        let mut growing = Self {
            key,
            magic: None,
            files: Vec::new(),
            open: Vec::new(),
            finished: Vec::new(),
            is_shortage_told: false,
        };
        let paths = block_file::list(directory)?;
        // Of a folder that Core writes, nothing else counts, and nothing packed.
        let cores = |path: &PathBuf| block_file::after(path).is_some();
        for path in paths.into_iter().filter(cores) {
            growing.add(path)?;
        }
        let first = growing.files.first().ok_or_else(|| FilesError::NoFiles {
            path: directory.to_owned(),
        })?;
        growing.magic = magic_of(first, network)?;
        Ok(growing)
    }

    /// Reads on in all files that may have grown, and in new ones, until it is told to
    /// stop. What is found is handed over file by file.
    pub(super) fn read_on(
        &mut self,
        mut take: impl FnMut(&[Arc<BlockFile>], Vec<(BlockHash, Place)>) -> bool,
    ) {
        self.add_new();
        if self.magic.is_none() {
            let first = self.files.first();
            self.magic = first.and_then(|first| scan::detect(first, 0).ok().flatten());
        }
        let Some(magic) = self.magic else { return };
        let last = self.files.len().saturating_sub(1);
        for mut open in std::mem::take(&mut self.open) {
            let Some(file) = self.files.get(open.index).cloned() else {
                continue;
            };
            let mut found = Vec::new();
            let finished = open.read_on(&file, open.index == last, magic, &mut found);
            let go_on = take(&self.files, found);
            match finished {
                Ok(true) => self.finished.push(open),
                Ok(false) => self.open.push(open),
                // Nothing is wrong with the file: it is read another time.
                Err(error) if shortage(&error).is_some() => {
                    if !std::mem::replace(&mut self.is_shortage_told, true) {
                        tracing::warn!(
                            "{}: blocks of this file come from the node",
                            Causes(&error)
                        );
                    }
                    // Nothing says that the zeros at its end were looked through.
                    open.seen = false;
                    self.open.push(open);
                }
                Err(error) => {
                    tracing::debug!("{error}: blocks of this file come from the node");
                }
            }
            if !go_on {
                return;
            }
        }
    }

    fn add(&mut self, path: PathBuf) -> Result<(), FilesError> {
        let file = BlockFile::open(path, self.key)?;
        self.open.push(Open::unread(self.files.len()));
        self.files.push(Arc::new(file));
        Ok(())
    }

    /// What all files have in common, once the first of them has a frame.
    pub(super) fn common(&self) -> Option<Common> {
        Some(Common {
            key: self.key.unwrap_or_default(),
            magic: self.magic?,
        })
    }

    /// All files.
    pub(super) fn files(&self) -> &[Arc<BlockFile>] {
        &self.files
    }

    /// How many files were read to their ends.
    pub(super) fn finished(&self) -> usize {
        self.finished.len()
    }

    /// Takes over what was known of files that are as they were; answers what lies in
    /// them. All others are yet to be read.
    pub(super) fn take_over(&mut self, mut kept: KeptFiles) -> Vec<(BlockHash, Place)> {
        let mut found = Vec::new();
        for mut open in std::mem::take(&mut self.open) {
            let file = self.files.get(open.index);
            let known = file.and_then(|file| {
                let known = kept.remove(file.file_name())?;
                Some((known, file.changed().ok()?))
            });
            let is_finished = known.is_some_and(|(known, changed)| {
                let is_same = open.take_over(&known, changed);
                if is_same {
                    found.extend(open.places(&known));
                }
                is_same && known.is_finished
            });
            if is_finished {
                self.finished.push(open);
            } else {
                self.open.push(open);
            }
        }
        found
    }

    /// How far each file was read that was looked at, without its blocks.
    pub(super) fn keep(&self) -> Vec<(usize, KeptFile)> {
        let open = self.open.iter().map(|open| (open, false));
        let finished = self.finished.iter().map(|open| (open, true));
        let kept = open.chain(finished).map(|(open, is_finished)| {
            let file = KeptFile {
                changed: open.changed,
                next: open.next,
                is_finished,
                blocks: Vec::new(),
            };
            (open.index, file)
        });
        kept.collect()
    }

    /// Has a file read from its beginning, next time.
    pub(super) fn read_anew(&mut self, index: usize) {
        self.open.retain(|open| open.index != index);
        self.finished.retain(|open| open.index != index);
        self.open.push(Open::unread(index));
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
    fn unread(index: usize) -> Self {
        Self {
            index,
            next: 0,
            seen: false,
            changed: None,
            told: false,
        }
    }

    /// Goes on where a kept index ended, if the file is still as it was then. The last
    /// one only grows.
    fn take_over(&mut self, kept: &KeptFile, changed: (u64, SystemTime)) -> bool {
        let is_same = match kept.changed {
            Some(known) => known == changed,
            None => !kept.is_finished && kept.next <= changed.0,
        };
        if is_same {
            self.next = kept.next;
            self.changed = kept.changed;
        }
        is_same
    }

    /// The blocks of a kept index in this file. Of the last one, those behind what was
    /// read to be followed are read again.
    fn places(&self, kept: &KeptFile) -> impl Iterator<Item = (BlockHash, Place)> {
        let end = match kept.changed {
            Some((length, _)) => length,
            None => kept.next,
        };
        let file = self.index;
        let is_within = move |offset: u64, length: u32| {
            offset
                .checked_add(length.into())
                .is_some_and(|last| last <= end)
        };
        kept.blocks
            .iter()
            .filter(move |(_, offset, length)| is_within(*offset, *length))
            .map(move |(hash, offset, length)| {
                let place = Place {
                    file,
                    offset: *offset,
                    length: *length,
                };
                (*hash, place)
            })
    }

    /// Reads on to where there is no further block; answers whether there will never
    /// be one. In the last file, a block may be in the middle of being written: it
    /// counts once it is whole.
    ///
    /// What stands behind something that is no frame is read again each time: after a
    /// crash, the node writes over it.
    fn read_on(
        &mut self,
        file: &BlockFile,
        is_last: bool,
        magic: [u8; 4],
        found: &mut Vec<(BlockHash, Place)>,
    ) -> Result<bool, FilesError> {
        let changed = file.changed()?;
        if !is_last && self.changed == Some(changed) {
            return Ok(false);
        }
        // Megabytes of zeros at the end of the last file are looked through once.
        let through_zeros = !std::mem::replace(&mut self.seen, true) || !is_last;
        let mut walked = Walked::default();
        file.with_file(|opened| {
            let mut walk = Frames::new(file, self.index, opened, self.next, magic)?;
            while through_zeros || !walk.is_at_zeros()? {
                let places = walk.passed_over().places;
                let Some(block) = walk.next()? else { break };
                walked.is_broken |= walk.passed_over().places > places;
                match block.state {
                    State::Framed | State::Whole => {
                        found.push((block.header.hash, block.place));
                        walked.passed_over = walk.passed_over();
                        walked.damaged = walked.unfinished;
                    }
                    State::Bad | State::Cut => {
                        walked.is_broken = true;
                        walked.unfinished += 1;
                    }
                }
                if !walked.is_broken {
                    self.next = walk.position();
                }
            }
            if !is_last {
                walked.passed_over = walk.passed_over();
                walked.damaged = walked.unfinished;
            }
            walked.at_end = !walked.is_broken && self.next == walk.length();
            Ok(())
        })?;
        self.changed = (!is_last).then_some(changed);
        self.tell(file, &walked);
        // Core cuts off the room it reserved when it begins the next file.
        Ok(walked.at_end && !is_last)
    }

    /// Warns once of what is no block.
    fn tell(&mut self, file: &BlockFile, walked: &Walked) {
        let (over, damaged) = (walked.passed_over, walked.damaged);
        if self.told || (over.places == 0 && damaged == 0) {
            return;
        }
        self.told = true;
        tracing::warn!(
            bytes = over.bytes,
            places = over.places,
            damaged,
            "`{}` holds bytes that are in no block's frame, or damaged blocks; they are passed over",
            file.path().display()
        );
    }
}

/// What one walk through a file met.
#[derive(Default)]
struct Walked {
    /// What was passed over before a good block, or before the end of a file that
    /// is not the last.
    passed_over: PassedOver,
    /// Blocks that are not whole, likewise.
    damaged: u64,
    /// Blocks that are not whole, or not yet.
    unfinished: u64,
    is_broken: bool,
    at_end: bool,
}

/// What the frames begin with; none if there is no frame yet. The first file must be
/// of the network, if one is named.
fn magic_of(first: &BlockFile, network: Option<Network>) -> Result<Option<[u8; 4]>, FilesError> {
    let start = scan::start(first)?;
    let Some(network) = network else {
        let magic = scan::detect(first, 0)?;
        return match (magic, start) {
            (None, Some(_)) => Err(scan::refusal(first)),
            (magic, _) => Ok(magic),
        };
    };
    let magic = network.magic();
    match start {
        Some(start) if start != magic && scan::is_known(start) => Err(FilesError::OtherNetwork {
            path: first.path().to_owned(),
            found: start,
            network,
        }),
        Some(start) if start != magic && scan::first_block(first, 0, magic)?.is_none() => {
            Err(if first.has_key() {
                FilesError::OtherNetwork {
                    path: first.path().to_owned(),
                    found: start,
                    network,
                }
            } else {
                scan::refusal(first)
            })
        }
        _ => Ok(Some(magic)),
    }
}

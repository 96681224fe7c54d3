//! A directory in memory that fails when told to, and of which a power cut keeps what was
//! synced and any part of the rest, page by page.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backend::log::files::{Files, LogFile};

/// Short, so that a frame has many.
const PAGE: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct Sim(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that are not synced; none removes one.
    changes: Vec<Vec<(String, Option<usize>)>>,
    inodes: Vec<Inode>,
    random: u64,
    /// Operations until some fail, and how many then do.
    failing: Option<(u32, u32)>,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    /// What a read answers.
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that a sync would write. After a sync that failed there are none.
    dirty: BTreeSet<usize>,
}

impl Disk {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn chance(&mut self) -> bool {
        self.random() & 64 == 0
    }

    fn fails(&mut self) -> bool {
        match &mut self.failing {
            Some((0, 0)) => {
                self.failing = None;
                false
            }
            Some((0, count)) => {
                *count -= 1;
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn error() -> io::Error {
        io::Error::from_raw_os_error(5)
    }

    fn rename(&mut self, change: Vec<(String, Option<usize>)>) {
        for (name, inode) in &change {
            match inode {
                Some(inode) => self.names.insert(name.clone(), *inode),
                None => self.names.remove(name),
            };
        }
        self.changes.push(change);
    }

    /// Makes part of an inode's dirty pages durable, or all.
    fn write_back(&mut self, index: usize, all: bool) {
        let mut inode = std::mem::take(&mut self.inodes[index]);
        if all || self.chance() {
            inode.durable.resize(inode.cached.len(), 0);
        }
        for page in std::mem::take(&mut inode.dirty) {
            if all || self.chance() {
                let end = ((page + 1) * PAGE)
                    .min(inode.cached.len())
                    .min(inode.durable.len());
                for at in page * PAGE..end {
                    inode.durable[at] = inode.cached[at];
                }
            }
        }
        self.inodes[index] = inode;
    }

    fn sync_names(&mut self, all: bool) {
        for change in std::mem::take(&mut self.changes) {
            if all || self.chance() {
                for (name, inode) in change {
                    match inode {
                        Some(inode) => self.durable_names.insert(name, inode),
                        None => self.durable_names.remove(&name),
                    };
                }
            } else {
                self.changes.push(change);
            }
        }
    }
}

impl Sim {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            random: seed | 1,
            ..Disk::default()
        })))
    }

    pub(super) fn boxed(&self) -> Box<dyn Files> {
        Box::new(self.clone())
    }

    /// After so many operations that change something, this many fail.
    pub(super) fn fail(&self, after: u32, count: u32) {
        self.0.lock().failing = Some((after, count));
    }

    pub(super) fn heal(&self) {
        self.0.lock().failing = None;
    }

    /// Forgets what was not synced, but for any part of it.
    pub(super) fn cut_power(&self) {
        let mut disk = self.0.lock();
        disk.failing = None;
        disk.sync_names(false);
        disk.changes.clear();
        disk.names = disk.durable_names.clone();
        for index in 0..disk.inodes.len() {
            disk.write_back(index, false);
            let durable = disk.inodes[index].durable.clone();
            disk.inodes[index].cached = durable;
        }
    }

    /// Every file, by its name.
    pub(super) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.0.lock();
        let content =
            |(name, inode): (&String, &usize)| (name.clone(), disk.inodes[*inode].cached.clone());
        disk.names.iter().map(content).collect()
    }

    /// A directory that holds these files, all of them synced.
    pub(super) fn of(contents: BTreeMap<String, Vec<u8>>) -> Self {
        let sim = Self::new(1);
        let mut disk = sim.0.lock();
        for (name, bytes) in contents {
            let inode = disk.inodes.len();
            disk.names.insert(name, inode);
            disk.inodes.push(Inode {
                durable: bytes.clone(),
                cached: bytes,
                dirty: BTreeSet::new(),
            });
        }
        disk.durable_names = disk.names.clone();
        drop(disk);
        sim
    }
}

impl Files for Sim {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().names.keys().cloned().collect())
    }

    fn open(&self, name: &str, _writable: bool) -> io::Result<Box<dyn LogFile>> {
        let disk = self.0.lock();
        let inode = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile(Arc::clone(&self.0), inode)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let mut disk = self.0.lock();
        if disk.fails() {
            return Err(Disk::error());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.rename(vec![(name.to_owned(), Some(inode))]);
        Ok(Box::new(SimFile(Arc::clone(&self.0), inode)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.lock();
        let fails = disk.fails();
        // A failure that is reported need not be one.
        if !fails || disk.chance() {
            let inode = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            disk.rename(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        }
        if fails { Err(Disk::error()) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock();
        if disk.fails() {
            return Err(Disk::error());
        }
        disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        disk.rename(vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        let fails = disk.fails();
        disk.sync_names(!fails);
        if fails { Err(Disk::error()) } else { Ok(()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

#[derive(Debug)]
struct SimFile(Arc<Mutex<Disk>>, usize);

impl SimFile {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.0.lock();
        let inode = &mut disk.inodes[self.1];
        let before = inode.cached.clone();
        change(&mut inode.cached);
        let len = before.len().max(inode.cached.len());
        for page in 0..len.div_ceil(PAGE) {
            let range = page * PAGE..(page + 1) * PAGE;
            let part = |bytes: &[u8]| {
                bytes
                    .iter()
                    .skip(range.start)
                    .take(PAGE)
                    .copied()
                    .collect::<Vec<_>>()
            };
            if part(&before) != part(&inode.cached) {
                inode.dirty.insert(page);
            }
        }
    }
}

impl LogFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().inodes[self.1].cached.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let disk = self.0.lock();
        let bytes = disk.inodes[self.1].cached.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fails = self.0.lock().fails();
        let part = if fails {
            let len = self.0.lock().random() as usize % (bytes.len() + 1);
            &bytes[..len]
        } else {
            bytes
        };
        let (start, end) = (offset as usize, offset as usize + part.len());
        self.change(|content| {
            content.resize(content.len().max(end), 0);
            content[start..end].copy_from_slice(part);
        });
        if fails { Err(Disk::error()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.0.lock().fails() {
            return Err(Disk::error());
        }
        self.change(|content| content.resize(len as usize, 0));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        let fails = disk.fails();
        disk.write_back(self.1, !fails);
        if fails { Err(Disk::error()) } else { Ok(()) }
    }
}

//! The recording file system, mounted (FUSE).

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use parking_lot::Mutex;

use super::{Inode, Recording};

/// Nothing changes but through the mount.
const TTL: Duration = Duration::from_hours(1);
const BLOCK_SIZE: u32 = 4_096;
/// What it says that it has room for: a terabyte.
const BLOCKS: u64 = 1 << 28;

/// A recording file system that is mounted, until it is dropped.
#[derive(Debug)]
pub struct Mounted {
    recording: Arc<Mutex<Recording>>,
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts an empty file system at `path`. Needs the right to mount.
    pub fn at(path: &Path) -> io::Result<Self> {
        let recording = Arc::new(Mutex::new(Recording::default()));
        let session = fuser::spawn_mount(Server(Arc::clone(&recording)), path, &Config::default())?;
        Ok(Self {
            recording,
            _session: session,
        })
    }

    /// What was done so far: a moment to cut the power at.
    pub fn moment(&self) -> usize {
        self.recording.lock().moment()
    }

    /// Ends it, and returns all that was done to it.
    pub fn into_recording(self) -> Recording {
        std::mem::take(&mut *self.recording.lock())
    }
}

struct Server(Arc<Mutex<Recording>>);

#[allow(
    clippy::cast_possible_truncation,
    reason = "a test's files fit into memory"
)]
fn index(number: impl Into<u64>) -> usize {
    number.into() as usize
}

fn attributes(recording: &Recording, inode: Inode) -> FileAttr {
    let content = recording.content(inode);
    let size = content.map_or(0, |content| content.len() as u64);
    let kind = match content {
        Some(_) => FileType::RegularFile,
        None => FileType::Directory,
    };
    FileAttr {
        ino: INodeNo(inode as u64),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o755,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let recording = self.0.lock();
        match recording.find(index(parent), name) {
            Some(inode) => reply.entry(&TTL, &attributes(&recording, inode), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(&self.0.lock(), index(inode)));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut recording = self.0.lock();
        if let Some(size) = size {
            recording.set_len(index(inode), index(size));
        }
        reply.attr(&TTL, &attributes(&recording, index(inode)));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let mut recording = self.0.lock();
        let inode = recording.create(index(parent), name, true);
        reply.entry(&TTL, &attributes(&recording, inode), Generation(0));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut recording = self.0.lock();
        let inode = recording.create(index(parent), name, false);
        let attributes = attributes(&recording, inode);
        reply.created(
            &TTL,
            &attributes,
            Generation(0),
            FileHandle(0),
            FopenFlags::empty(),
        );
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.0.lock().remove(index(parent), name);
        reply.ok();
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut recording = self.0.lock();
        let inode = recording.find(index(parent), name);
        if inode.is_some_and(|inode| !recording.names(inode).is_empty()) {
            return reply.error(Errno::ENOTEMPTY);
        }
        recording.remove(index(parent), name);
        reply.ok();
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((index(parent), name), (index(new_parent), new_name));
        self.0.lock().rename(from, to);
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let recording = self.0.lock();
        let content = recording
            .content(index(inode))
            .map_or(&[][..], Vec::as_slice);
        let start = index(offset).min(content.len());
        let end = (start + size as usize).min(content.len());
        reply.data(content.get(start..end).unwrap_or_default());
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.0.lock().write(index(inode), index(offset), data);
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.lock().sync(index(inode));
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.lock().sync(index(inode));
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let recording = self.0.lock();
        let names = recording.names(index(inode));
        for (position, (name, inode)) in (1..).zip(names).skip(index(offset)) {
            let kind = attributes(&recording, inode).kind;
            if reply.add(INodeNo(inode as u64), position, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(
            BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCK_SIZE, 255, BLOCK_SIZE,
        );
    }
}

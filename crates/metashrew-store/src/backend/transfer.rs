//! Taking a file that never changes into another directory where it cannot be linked: by
//! sharing its blocks, where the file system does that, else by copying it.

use std::fs::File;
use std::io;
use std::path::Path;

/// How a file was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// It has another name: it takes no space as long as both are there.
    Linked,
    /// It shares its blocks on the disk.
    Cloned,
    /// It was copied byte by byte.
    Copied,
}

/// Files that were taken by one means, or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Files {
    /// How many.
    pub count: u64,
    /// Their lengths together.
    pub bytes: u64,
}

/// How the tables of a database were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transferred {
    /// Tables that have a second name now, in the other database. They take no space
    /// until one of the two no longer needs them.
    pub linked: Files,
    /// Tables that share their blocks on the disk (btrfs, XFS), since they cannot be linked.
    pub cloned: Files,
    /// Tables that were copied, since the other directory is on another file system.
    pub copied: Files,
}

impl Transferred {
    pub(super) fn add(&mut self, means: Means, bytes: u64) {
        let files = match means {
            Means::Linked => &mut self.linked,
            Means::Cloned => &mut self.cloned,
            Means::Copied => &mut self.copied,
        };
        files.count += 1;
        files.bytes += bytes;
    }
}

/// Takes the file `from` as the new file `to`, durably.
pub(super) fn transfer(from: &Path, to: &Path) -> io::Result<(Means, u64)> {
    let (mut source, mut target) = (File::open(from)?, File::create_new(to)?);
    let means = if share_blocks(&source, &target) {
        Means::Cloned
    } else {
        io::copy(&mut source, &mut target)?;
        Means::Copied
    };
    target.sync_all()?;
    Ok((means, target.metadata()?.len()))
}

/// Has `target` share the blocks of `source`, if the file system can.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn share_blocks(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn share_blocks(_source: &File, _target: &File) -> bool {
    false
}

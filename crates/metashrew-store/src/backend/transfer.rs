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

#[cfg(test)]
mod tests {
    use super::*;

    /// `METASHREW_TEST_REFLINKS` names a directory on a file system whose files can share blocks.
    #[test]
    fn a_file_is_taken_whole_and_stays_without_the_other() {
        let sharing = std::env::var_os("METASHREW_TEST_REFLINKS");
        let directory = match &sharing {
            Some(path) => tempfile::tempdir_in(path),
            None => tempfile::tempdir(),
        };
        let directory = directory.unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        // Not whole blocks of the file system.
        let bytes: Vec<_> = (0..1_000_003_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&from, &bytes).unwrap();
        let (means, length) = transfer(&from, &to).unwrap();
        assert_eq!(length, bytes.len() as u64);
        match sharing {
            Some(_) => assert_eq!(means, Means::Cloned),
            None => assert_ne!(means, Means::Linked),
        }
        std::fs::remove_file(&from).unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);
        // What is there is left alone.
        std::fs::write(&from, b"other").unwrap();
        let refused = transfer(&from, &to).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert!(std::fs::read(&to).unwrap() == bytes);
    }
}

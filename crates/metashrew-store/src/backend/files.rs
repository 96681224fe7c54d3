//! The files that an engine must have, checked before it is opened.
//!
//! lsm-tree makes a tree anew that it does not find. So nothing may be missing when it is
//! opened. It also trusts lengths in its
//! version and table files before it has checked their checksums, and a flipped bit
//! can make it ask for more memory than there is: those checksums are checked here.
//!
//! The formats are lsm-tree's (3.1): `current` holds the number of a version (`u64`),
//! the XXH3-128 of the file `vN`, and a zero; `vN` and all tables are archives
//! of the crate sfa, which end in a table of contents and a trailer.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::Space;
use super::damage::corrupt;
use super::disk::io;
use crate::error::OpenError;

pub(super) const TREES: &str = "trees";
pub(super) const LOG: &str = "log";
pub(super) const TABLES: &str = "tables";
pub(super) const CURRENT: &str = "current";
const CURRENT_LEN: usize = 8 + 16 + 1;
/// Magic, version, checksum type, checksum, position and length of the contents.
const TRAILER_LEN: usize = 4 + 1 + 1 + 16 + 8 + 8;
const TRAILER_MAGIC: &[u8] = b"SFA!\x01\x00";
/// No archive has more than a dozen sections.
const MAX_CONTENTS_LEN: u64 = 64 << 10;
/// A version names 33 bytes for each table.
const MAX_VERSION_LEN: u64 = 256 << 20;

/// The directory of a space's tree in the engine at `engine`.
pub(super) fn tree(engine: &Path, space: Space) -> PathBuf {
    engine.join(TREES).join(space.name())
}

/// One tree's current version: the file's name, and the tables it consists of.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) file: String,
    pub(super) tables: Vec<u64>,
}

/// Checks that the engine at `engine` has every file it needs, and that those which
/// say what there is are whole. Returns each tree's version.
pub(super) fn check(engine: &Path) -> Result<Vec<(Space, Version)>, OpenError> {
    if !engine.is_dir() {
        return Err(corrupt("the directory `engine` is gone"));
    }
    let check = |space| Ok((space, check_tree(&tree(engine, space))?));
    Space::ALL.into_iter().map(check).collect()
}

fn check_tree(folder: &Path) -> Result<Version, OpenError> {
    let version = version(folder)?;
    for table in &version.tables {
        let path = folder.join(TABLES).join(table.to_string());
        let file = File::open(&path).map_err(gone_or_failed(&path))?;
        if !is_archive(file).map_err(io("reading a table"))? {
            return Err(damaged(&path));
        }
    }
    Ok(version)
}

/// The version that the tree in `folder` is at, by its own files.
pub(super) fn version(folder: &Path) -> Result<Version, OpenError> {
    let current = read(&folder.join(CURRENT), CURRENT_LEN as u64)?;
    let (Some(number), Some(checksum), Some(0), CURRENT_LEN) = (
        current.first_chunk().copied().map(u64::from_le_bytes),
        array(&current, 8).map(u128::from_le_bytes),
        current.last(),
        current.len(),
    ) else {
        return Err(damaged(&folder.join(CURRENT)));
    };
    let file = format!("v{number}");
    let path = folder.join(&file);
    let bytes = read(&path, MAX_VERSION_LEN)?;
    if xxh3_128(&bytes) != checksum {
        return Err(damaged(&path));
    }
    let tables = table_ids(bytes).ok_or_else(|| damaged(&path))?;
    Ok(Version { file, tables })
}

/// The tables that a version file names, whose bytes are known to be whole.
fn table_ids(bytes: Vec<u8>) -> Option<Vec<u64>> {
    let mut archive = Cursor::new(bytes);
    let reader = sfa::Reader::from_reader(&mut archive).ok()?;
    let section = reader.toc().section(b"tables")?;
    let (start, len) = (
        usize::try_from(section.pos()).ok()?,
        usize::try_from(section.len()).ok()?,
    );
    let bytes = archive.into_inner();
    let mut bytes = bytes.get(start..start.checked_add(len)?)?;
    let mut tables = Vec::new();
    for _ in 0..take::<1>(&mut bytes)?[0] {
        for _ in 0..take::<1>(&mut bytes)?[0] {
            for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
                tables.push(u64::from_le_bytes(take(&mut bytes)?));
                // Kind of checksum, checksum, number of its batch.
                take::<{ 1 + 16 + 8 }>(&mut bytes)?;
            }
        }
    }
    Some(tables)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

/// Whether a file ends in contents with the right checksum, and a trailer.
fn is_archive(mut file: File) -> io::Result<bool> {
    let len = file.metadata()?.len();
    let Some(trailer_start) = len.checked_sub(TRAILER_LEN as u64) else {
        return Ok(false);
    };
    let mut trailer = [0; TRAILER_LEN];
    file.seek(SeekFrom::Start(trailer_start))?;
    file.read_exact(&mut trailer)?;
    let (Some(checksum), Some(start), Some(contents_len)) = (
        array(&trailer, 6).map(u128::from_le_bytes),
        array(&trailer, 22).map(u64::from_le_bytes),
        array(&trailer, 30).map(u64::from_le_bytes),
    ) else {
        return Ok(false);
    };
    if !trailer.starts_with(TRAILER_MAGIC)
        || contents_len > MAX_CONTENTS_LEN
        || start.checked_add(contents_len) != Some(trailer_start)
    {
        return Ok(false);
    }
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(contents_len).read_to_end(&mut contents)?;
    Ok(xxh3_128(&contents) == checksum)
}

fn array<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..)?.first_chunk().copied()
}

/// A file's content; one that is longer than `max_len` is damaged.
fn read(path: &Path, max_len: u64) -> Result<Vec<u8>, OpenError> {
    let file = File::open(path).map_err(gone_or_failed(path))?;
    let mut bytes = Vec::new();
    file.take(max_len.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io("reading the engine's files"))?;
    if bytes.len() as u64 > max_len {
        return Err(damaged(path));
    }
    Ok(bytes)
}

fn gone_or_failed(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            corrupt(format!("`{}` is gone", path.display()))
        }
        _ => io("reading the engine's files")(error),
    }
}

fn damaged(path: &Path) -> OpenError {
    corrupt(format!("`{}` is not what was written", path.display()))
}

//! One block file: finding, unpacking, unmasking, reading at a place.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use bzip2::read::MultiBzDecoder;
use parking_lot::Mutex;

use super::places::Place;
use super::{FilesError, KEY_FILE};

/// A file that may be masked with a key (XOR), or was unpacked.
#[derive(Debug)]
pub(super) struct BlockFile {
    path: PathBuf,
    key: Option<[u8; 8]>,
    /// The unpacked bytes of a packed file, in a nameless temporary one.
    unpacked: Option<Mutex<File>>,
}

impl BlockFile {
    pub(super) fn open(path: PathBuf, key: Option<[u8; 8]>) -> Result<Self, FilesError> {
        let unpacked = match path.extension() {
            Some(extension) if extension == "bz2" => Some(Mutex::new(unpack(&path)?)),
            _ => None,
        };
        // The key belongs to the files that Core writes; what somebody put
        // beside them is as it is.
        let key = key.filter(|_| is_cores(&path));
        Ok(Self {
            path,
            key,
            unpacked,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, without the folder.
    pub(super) fn file_name(&self) -> &str {
        name(&self.path)
    }

    /// Whether the name is one that Core gives to its block files, packed or not.
    pub(super) fn is_cores(&self) -> bool {
        is_cores(&self.path)
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Takes the file as it is, whatever key lies beside it.
    pub(super) fn forget_key(&mut self) {
        self.key = None;
    }

    /// Its length in bytes, and when it was changed last.
    pub(super) fn changed(&self) -> Result<(u64, SystemTime), FilesError> {
        let read = || {
            let metadata = fs::metadata(&self.path)?;
            Ok((metadata.len(), metadata.modified()?))
        };
        read().map_err(|source| FilesError::io(&self.path, source))
    }

    /// Where a block lies, for messages.
    pub(super) fn name(&self, place: &Place) -> String {
        format!("`{}` at byte {}", self.path.display(), place.offset)
    }

    /// Reads a block, and what follows it within its frame.
    pub(super) fn read(&self, place: Place) -> Result<Bytes, FilesError> {
        let read = |file: &mut File| {
            file.seek(SeekFrom::Start(place.offset))?;
            let mut bytes = vec![0; usize::try_from(place.length).unwrap_or(usize::MAX)];
            file.read_exact(&mut bytes)?;
            self.unmask(place.offset, &mut bytes);
            Ok(Bytes::from(bytes))
        };
        self.with_file(read)
    }

    /// Gives the open file to a function, at any position.
    pub(super) fn with_file<T>(
        &self,
        act: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> Result<T, FilesError> {
        let result = match &self.unpacked {
            Some(file) => act(&mut file.lock()),
            None => File::open(&self.path).and_then(|mut file| act(&mut file)),
        };
        result.map_err(|source| FilesError::io(&self.path, source))
    }

    /// Undoes the XOR of bytes that were read at an offset.
    pub(super) fn unmask(&self, offset: u64, bytes: &mut [u8]) {
        let Some(mut key) = self.key else { return };
        key.rotate_left(usize::try_from(offset % 8).unwrap_or_default());
        // Whole words, which takes a fraction of the time that bytes take.
        let (words, rest) = bytes.as_chunks_mut::<8>();
        let mask = u64::from_le_bytes(key);
        for word in words {
            *word = (u64::from_le_bytes(*word) ^ mask).to_le_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(key) {
            *byte ^= mask;
        }
    }
}

/// Unpacks into a temporary file, so that memory stays bounded.
fn unpack(path: &Path) -> Result<File, FilesError> {
    let copy = || {
        let mut packed = MultiBzDecoder::new(BufReader::new(File::open(path)?));
        let mut unpacked = tempfile::tempfile()?;
        io::copy(&mut packed, &mut unpacked)?;
        unpacked.flush()?;
        Ok(unpacked)
    };
    copy().map_err(|source| FilesError::io(path, source))
}

/// The block files at a path, in the order of their names: those that Core
/// named if there are any, else all that look like block files.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let error = |source| FilesError::io(path, source);
    if !fs::metadata(path).map_err(error)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.is_file() && is_block_file(&path) {
            paths.push(path);
        }
    }
    if paths.iter().any(|path| is_cores(path)) {
        paths.retain(|path| is_cores(path));
    }
    if paths.is_empty() {
        return Err(FilesError::NoFiles {
            path: path.to_owned(),
        });
    }
    paths.sort();
    Ok(paths)
}

fn is_block_file(path: &Path) -> bool {
    let name = name(path);
    // Core keeps undo data, framed likewise, in rev*.dat.
    let known = path
        .extension()
        .is_some_and(|end| end == "dat" || end == "bin" || end == "bz2");
    known && name != KEY_FILE && !name.starts_with("rev")
}

/// The path of the block file after one that Core named.
pub(super) fn after(path: &Path) -> Option<PathBuf> {
    let digits = name(path).strip_prefix("blk")?.strip_suffix(".dat")?;
    let number = digits.parse::<u32>().ok()? + 1;
    Some(path.with_file_name(format!("blk{number:05}.dat")))
}

/// Whether the name is one that Core gives to its block files, packed or not.
fn is_cores(path: &Path) -> bool {
    let name = name(path);
    let name = name.strip_suffix(".bz2").unwrap_or(name);
    name.starts_with("blk") && Path::new(name).extension().is_some_and(|end| end == "dat")
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

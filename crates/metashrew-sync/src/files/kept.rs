//! The index of a node's block files, kept in a file between starts: what lay where, and
//! how far each file had been read.
//!
//! Nothing rests on it. A file whose length or time of change is another is read anew, a
//! block is checked whenever it is handed out, and an index that is damaged, of another
//! format, or of files with another mask or magic is passed over and made anew.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, sha256};
use metashrew_store::BlockHash;

/// What the file begins with; the number is the format's.
const BEGINNING: &[u8] = b"metashrew block files 1\n";

/// A longer file is none that was written here: it would be of 20 million blocks.
const MAX_LEN: u64 = 1 << 30;

const CHECKSUM_LEN: usize = 32;

/// What all the files have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Common {
    /// The mask of the files that have one; zeros for none.
    pub(super) key: [u8; 8],
    pub(super) magic: [u8; 4],
}

/// What was known of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptFile {
    /// Its length and the time of its last change when it was read to its end; none as
    /// long as it was the last one.
    pub(super) changed: Option<(u64, SystemTime)>,
    /// Where to go on in it.
    pub(super) next: u64,
    /// Whether nothing can follow there.
    pub(super) is_finished: bool,
    /// Its blocks: offset and length, in the order of their offsets.
    pub(super) blocks: Vec<(BlockHash, u64, u32)>,
}

/// The files by their names.
pub(super) type KeptFiles = HashMap<String, KeptFile>;

/// Why a kept index is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptFault {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("it is of another format, or no index")]
    Format,
    #[error("it is damaged")]
    Damaged,
    #[error("it is of files with another mask or magic")]
    OtherFiles,
}

/// Reads the index at a path. None if there is none.
pub(super) fn read(path: &Path, common: Common) -> Result<Option<KeptFiles>, KeptFault> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    if metadata.len() > MAX_LEN {
        return Err(KeptFault::Format);
    }
    decode(&fs::read(path)?, common).map(Some)
}

fn decode(bytes: &[u8], common: Common) -> Result<KeptFiles, KeptFault> {
    let rest = bytes.strip_prefix(BEGINNING).ok_or(KeptFault::Format)?;
    let (body, checksum) = rest
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or(KeptFault::Damaged)?;
    if sha256::Hash::hash(body).to_byte_array() != *checksum {
        return Err(KeptFault::Damaged);
    }
    let mut reader = Reader(body);
    let of = Common {
        key: reader.take().ok_or(KeptFault::Damaged)?,
        magic: reader.take().ok_or(KeptFault::Damaged)?,
    };
    if of != common {
        return Err(KeptFault::OtherFiles);
    }
    let mut files = KeptFiles::new();
    while !reader.0.is_empty() {
        let (name, file) = reader.file().ok_or(KeptFault::Damaged)?;
        files.insert(name, file);
    }
    Ok(files)
}

/// Writes an index in place of the one at a path, if there is one: wholly or not at all.
/// Meanwhile it lies beside it, under a name with `.new` behind it.
pub(super) fn write(
    path: &Path,
    common: Common,
    files: impl IntoIterator<Item = (String, KeptFile)>,
) -> io::Result<()> {
    let mut body = Vec::new();
    body.extend_from_slice(&common.key);
    body.extend_from_slice(&common.magic);
    for (name, file) in files {
        encode(&mut body, &name, &file);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    write_synced(new, &body)
        .and_then(|()| fs::rename(new, path))
        .inspect_err(|_| {
            // The room may be what is missing.
            let _ = fs::remove_file(new);
        })?;
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn write_synced(path: &Path, body: &[u8]) -> io::Result<()> {
    // One that a killed process left is written over.
    let mut file = File::create(path)?;
    file.write_all(BEGINNING)?;
    file.write_all(body)?;
    file.write_all(&sha256::Hash::hash(body).to_byte_array())?;
    file.sync_all()
}

fn encode(bytes: &mut Vec<u8>, name: &str, file: &KeptFile) {
    // Core's names are short, and no file holds so many blocks.
    let name_len = u32::try_from(name.len()).unwrap_or(0);
    let count = u32::try_from(file.blocks.len()).unwrap_or(0);
    let changed = file.changed.and_then(|(length, time)| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some((length, since))
    });
    let (length, since) = changed.unwrap_or_default();
    bytes.extend_from_slice(&name_len.to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(u8::from(changed.is_some()) | u8::from(file.is_finished) << 1);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&since.as_secs().to_le_bytes());
    bytes.extend_from_slice(&since.subsec_nanos().to_le_bytes());
    bytes.extend_from_slice(&file.next.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for (hash, offset, length) in &file.blocks {
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn file(&mut self) -> Option<(String, KeptFile)> {
        let name_len = usize::try_from(self.u32()?).ok()?;
        let (name, rest) = self.0.split_at_checked(name_len)?;
        self.0 = rest;
        let [flags] = self.take()?;
        let length = self.u64()?;
        let since = Duration::from_secs(self.u64()?)
            .checked_add(Duration::from_nanos(self.u32()?.into()))?;
        let time = SystemTime::UNIX_EPOCH.checked_add(since)?;
        let next = self.u64()?;
        let mut blocks = Vec::new();
        for _ in 0..self.u32()? {
            let hash = BlockHash::from_bytes(self.take()?);
            blocks.push((hash, self.u64()?, self.u32()?));
        }
        let file = KeptFile {
            changed: (flags & 1 != 0).then_some((length, time)),
            next,
            is_finished: flags & 2 != 0,
            blocks,
        };
        Some((String::from_utf8(name.to_vec()).ok()?, file))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMON: Common = Common {
        key: [7; 8],
        magic: [1, 2, 3, 4],
    };

    fn any_file() -> impl Strategy<Value = KeptFile> {
        let block = (any::<[u8; 32]>(), any::<u64>(), any::<u32>());
        (
            proptest::option::of((any::<u64>(), 0..1u64 << 40, 0..1_000_000_000u32)),
            any::<u64>(),
            any::<bool>(),
            proptest::collection::vec(block, 0..5),
        )
            .prop_map(|(changed, next, is_finished, blocks)| KeptFile {
                changed: changed.map(|(length, secs, nanos)| {
                    let since = Duration::new(secs, nanos);
                    (length, SystemTime::UNIX_EPOCH + since)
                }),
                next,
                is_finished,
                blocks: blocks
                    .into_iter()
                    .map(|(hash, offset, length)| (BlockHash::from_bytes(hash), offset, length))
                    .collect(),
            })
    }

    proptest! {
        #[test]
        fn an_index_is_read_as_it_was_written_or_not_at_all(
            files in proptest::collection::hash_map("[a-z0-9.]{0,12}", any_file(), 0..4),
            at in any::<prop::sample::Index>(), by in 1..=255u8, cut in any::<prop::sample::Index>(),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("index");
            prop_assert!(read(&path, COMMON).unwrap().is_none());
            write(&path, COMMON, files.clone()).unwrap();
            prop_assert_eq!(read(&path, COMMON).unwrap(), Some(files));
            let other = Common { key: [8; 8], ..COMMON };
            prop_assert!(matches!(read(&path, other), Err(KeptFault::OtherFiles)));
            let bytes = fs::read(&path).unwrap();
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= by;
            prop_assert!(decode(&flipped, COMMON).is_err());
            prop_assert!(decode(&bytes[..cut.index(bytes.len())], COMMON).is_err());
        }
    }
}

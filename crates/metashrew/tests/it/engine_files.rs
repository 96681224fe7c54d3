//! What the files of a database tell of the moment at which the process that wrote it was
//! killed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How a finished table ends: this, and so many bytes more.
const TRAILER: &[u8] = b"SFA!";
const TRAILER_LEN: i64 = 38;

/// What was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnderWay {
    /// Recent writes were being written out: the log had got a new segment, and the old one
    /// was still needed.
    Flush,
    /// A table of a flush was being written.
    FlushedTable,
    /// A table was being written, and by no flush.
    MergedTable,
    /// A tree was going over to another version.
    Switch,
}

/// All that was under way. The directory may be changing.
pub(crate) fn under_way(database: &Path) -> Vec<UnderWay> {
    let engine = database.join("engine");
    let segments = names(&engine.join("log"))
        .iter()
        .filter(|name| Path::new(name).extension() == Some("log".as_ref()))
        .count();
    let mut found = Vec::new();
    if segments > 1 {
        found.push(UnderWay::Flush);
    }
    for tree in names(&engine.join("trees")) {
        let tree = engine.join("trees").join(tree);
        let tables = tree.join("tables");
        let mut tables = names(&tables).into_iter().map(|name| tables.join(name));
        if tables.any(|table| is_unfinished(&table)) {
            found.push(if segments > 1 {
                UnderWay::FlushedTable
            } else {
                UnderWay::MergedTable
            });
        }
        let current = fs::read(tree.join("current")).unwrap_or_default();
        let current = current.first_chunk().copied().map(u64::from_le_bytes);
        let is_beyond = |name: &String| {
            let version = name.strip_prefix('v').and_then(|it| it.parse().ok());
            name.starts_with(".tmp") || (current.is_some() && version > current)
        };
        if names(&tree).iter().any(is_beyond) {
            found.push(UnderWay::Switch);
        }
    }
    found.dedup();
    found
}

/// Whether the log holds batches, to be read again.
pub(crate) fn has_log(database: &Path) -> bool {
    /// Of a segment's header, behind which the batches come.
    const HEADER_LEN: u64 = 48;
    let log = database.join("engine/log");
    let len = |name| fs::metadata(log.join(name)).map_or(0, |it| it.len());
    names(&log).into_iter().any(|name| len(name) > HEADER_LEN)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.filter_map(Result::ok).map(name).collect()
}

fn is_unfinished(table: &Path) -> bool {
    let Ok(mut file) = File::open(table) else {
        return false;
    };
    let mut end = [0; TRAILER.len()];
    file.seek(SeekFrom::End(-TRAILER_LEN)).is_err()
        || file.read_exact(&mut end).is_err()
        || end != *TRAILER
}

//! Directories as tests compare, copy and damage them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file and folder below a directory, with what the files hold.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What the directory holds, by paths relative to it.
pub(crate) fn read(directory: &Path) -> Tree {
    read_with(directory, &|path| fs::read(path).unwrap())
}

/// As [`read`], but of a table only when it was last written and how long it is.
pub(crate) fn read_lightly(directory: &Path) -> Tree {
    read_with(directory, &|path| {
        if is_table(path) {
            let metadata = fs::metadata(path).unwrap();
            format!("{:?} {}", metadata.modified().unwrap(), metadata.len()).into_bytes()
        } else {
            fs::read(path).unwrap()
        }
    })
}

fn is_table(path: &Path) -> bool {
    path.parent()
        .is_some_and(|folder| folder.ends_with("tables"))
}

fn read_with(directory: &Path, content: &dyn Fn(&Path) -> Vec<u8>) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
                tree.insert(name, None);
            } else {
                tree.insert(name, Some(content(&path)));
            }
        }
    }
    tree
}

/// Panics with the names of what differs: the contents are too long to print.
pub(crate) fn assert_same(before: &Tree, after: &Tree, context: &str) {
    let names = |left: &Tree, right: &Tree| -> Vec<PathBuf> {
        left.iter()
            .filter(|(name, content)| right.get(*name) != Some(content))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let (gone, new) = (names(before, after), names(after, before));
    assert!(
        gone.is_empty() && new.is_empty(),
        "{context}: gone or changed {gone:?}, new or changed {new:?}"
    );
}

/// A temporary directory, in memory where the system has such a place: for tests that
/// open hundreds of databases, each of which syncs its files.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    copy_with(from, to, &|from, to| fs::copy(from, to).map(|_| ()));
}

/// Copies a directory, but for tables, which the engine never writes to again: those
/// are linked. [`replace`] changes one.
pub(crate) fn copy_lightly(from: &Path, to: &Path) {
    copy_with(from, to, &|from, to| {
        if is_table(from) {
            fs::hard_link(from, to)
        } else {
            fs::copy(from, to).map(|_| ())
        }
    });
}

fn copy_with(from: &Path, to: &Path, file: &dyn Fn(&Path, &Path) -> std::io::Result<()>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_with(&entry.path(), &target, file);
        } else {
            file(&entry.path(), &target).unwrap();
        }
    }
}

/// Puts a file of its own in the place of one that may be linked, with other content.
pub(crate) fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

//! Directories as tests compare, copy and damage them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Every file and folder below a directory, with what the files hold.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What the directory holds, by paths relative to it.
pub(crate) fn read(directory: &Path) -> Tree {
    try_read(directory).unwrap()
}

/// Fails if what is to be read goes meanwhile.
fn try_read(directory: &Path) -> io::Result<Tree> {
    read_with(directory, &|path| fs::read(path))
}

/// As [`read`], but of a table only when it was last written and how long it is.
pub(crate) fn read_lightly(directory: &Path) -> Tree {
    let read = |path: &Path| {
        if is_table(path) {
            let metadata = fs::metadata(path)?;
            Ok(format!("{:?} {}", metadata.modified()?, metadata.len()).into_bytes())
        } else {
            fs::read(path)
        }
    };
    read_with(directory, &read).unwrap()
}

fn is_table(path: &Path) -> bool {
    path.parent()
        .is_some_and(|folder| folder.ends_with("tables"))
}

fn read_with(directory: &Path, content: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(directory).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
                tree.insert(name, None);
            } else {
                tree.insert(name, Some(content(&path)?));
            }
        }
    }
    Ok(tree)
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

/// Copies the directory of a database that is open, as a killed process would leave it:
/// what was committed last is in its log. Waits until the engine has nothing to do.
pub(crate) fn copy_open(from: &Path, to: &Path) {
    loop {
        let copied = try_copy(from, to, &|from, to| fs::copy(from, to).map(|_| ()));
        let (now, then) = (try_read(from), try_read(to));
        if copied.is_ok() && now.is_ok() && now.ok() == then.ok() {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// A temporary directory, in memory where the system has such a place: for tests that
/// open hundreds of databases, each of which syncs its files.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    try_copy(from, to, &|from, to| fs::copy(from, to).map(|_| ())).unwrap();
}

/// Copies a directory, but for tables, which the engine never writes to again: those
/// are linked. [`replace`] changes one.
pub(crate) fn copy_lightly(from: &Path, to: &Path) {
    let file = |from: &Path, to: &Path| {
        if is_table(from) {
            fs::hard_link(from, to)
        } else {
            fs::copy(from, to).map(|_| ())
        }
    };
    try_copy(from, to, &file).unwrap();
}

fn try_copy(
    from: &Path,
    to: &Path,
    file: &dyn Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            try_copy(&entry.path(), &target, file)?;
        } else {
            file(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Puts a file of its own in the place of one that may be linked, with other content.
pub(crate) fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

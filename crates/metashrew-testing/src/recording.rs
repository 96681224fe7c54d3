//! A file system that records what is done to it, so that a power cut at any moment can
//! be tried: what was not synced may be gone, or there in part.
//!
//! It promises what POSIX does and no more. Syncing a file makes its content durable, not
//! its name; syncing a directory makes durable which names it has. Whatever was not synced
//! is on the disk or not, page by page and name by name, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

#[cfg(target_os = "linux")]
mod mounted;

#[cfg(target_os = "linux")]
pub use mounted::Mounted;

/// What a disk writes at once.
const PAGE: usize = 4_096;

/// A file or directory, by its number.
pub(crate) type Inode = usize;

/// The directory that all others lie in.
pub(crate) const ROOT: Inode = 1;

/// A name in a directory, and what has it from now on.
type Naming = (Inode, OsString, Option<Inode>);

#[derive(Debug, Clone)]
enum Change {
    Create {
        is_directory: bool,
    },
    Write(Inode, usize, Vec<u8>),
    SetLen(Inode, usize),
    Sync(Inode),
    /// They happen together.
    Name(Vec<Naming>),
}

/// One thing that was done to a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its path at the time, below where the file system was mounted.
    pub path: PathBuf,
    /// What was done.
    pub kind: StepKind,
}

/// What was done to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// It was made, which does not give it a name yet: the path is empty.
    Created,
    /// It got its name, in the place of what had it.
    Named,
    /// It lost its name.
    Removed,
    /// Bytes were written to it, or it was cut or lengthened.
    Written,
    /// It was synced.
    Synced,
}

/// All that was done to a file system, in order.
#[derive(Debug, Default)]
pub struct Recording {
    changes: Vec<Change>,
    now: Files,
}

/// Files and directories as programs see them.
#[derive(Debug)]
struct Files {
    /// None for a directory. The first two are never files.
    contents: Vec<Option<Vec<u8>>>,
    names: BTreeMap<(Inode, OsString), Inode>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            contents: vec![None, None],
            names: BTreeMap::new(),
        }
    }
}

impl Files {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { is_directory } => {
                self.contents.push((!is_directory).then(Vec::new));
            }
            Change::Write(file, offset, bytes) => {
                let content = self.content_mut(*file);
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                if let Some(part) = content.get_mut(*offset..end) {
                    part.copy_from_slice(bytes);
                }
            }
            Change::SetLen(file, len) => self.content_mut(*file).resize(*len, 0),
            Change::Sync(_) => {}
            Change::Name(namings) => self.name(namings),
        }
    }

    fn name(&mut self, namings: &[Naming]) {
        for (directory, name, inode) in namings {
            let key = (*directory, name.clone());
            match inode {
                Some(inode) => self.names.insert(key, *inode),
                None => self.names.remove(&key),
            };
        }
    }

    fn content(&self, file: Inode) -> Option<&Vec<u8>> {
        self.contents.get(file)?.as_ref()
    }

    fn content_mut(&mut self, file: Inode) -> &mut Vec<u8> {
        let content = self.contents.get_mut(file).and_then(Option::as_mut);
        content.expect("only files are written")
    }

    /// Writes everything below `directory` to a directory of the machine.
    fn write_out(&self, directory: Inode, target: &Path) -> io::Result<()> {
        fs::create_dir_all(target)?;
        for ((_, name), inode) in self.names.iter().filter(|((it, _), _)| *it == directory) {
            let target = target.join(name);
            match self.content(*inode) {
                Some(content) => fs::write(target, content)?,
                None => self.write_out(*inode, &target)?,
            }
        }
        Ok(())
    }
}

impl Recording {
    fn record(&mut self, change: Change) {
        self.now.apply(&change);
        self.changes.push(change);
    }

    /// How much was done so far: a moment to cut the power at.
    pub fn moment(&self) -> usize {
        self.changes.len()
    }

    /// All that was done, in order: at moment M the first M steps had been.
    pub fn steps(&self) -> Vec<Step> {
        let mut paths = Paths::default();
        let step = |change: &Change| match change {
            Change::Create { .. } => Step {
                path: PathBuf::new(),
                kind: StepKind::Created,
            },
            Change::Write(inode, ..) | Change::SetLen(inode, _) => Step {
                path: paths.of(*inode),
                kind: StepKind::Written,
            },
            Change::Sync(inode) => Step {
                path: paths.of(*inode),
                kind: StepKind::Synced,
            },
            Change::Name(namings) => paths.name(namings),
        };
        self.changes.iter().map(step).collect()
    }

    pub(crate) fn create(&mut self, directory: Inode, name: &OsStr, is_directory: bool) -> Inode {
        let inode = self.now.contents.len();
        self.record(Change::Create { is_directory });
        self.record(Change::Name(vec![(directory, name.into(), Some(inode))]));
        inode
    }

    pub(crate) fn write(&mut self, file: Inode, offset: usize, bytes: &[u8]) {
        self.record(Change::Write(file, offset, bytes.to_vec()));
    }

    pub(crate) fn set_len(&mut self, file: Inode, len: usize) {
        self.record(Change::SetLen(file, len));
    }

    pub(crate) fn sync(&mut self, inode: Inode) {
        self.record(Change::Sync(inode));
    }

    pub(crate) fn remove(&mut self, directory: Inode, name: &OsStr) {
        self.record(Change::Name(vec![(directory, name.into(), None)]));
    }

    pub(crate) fn rename(&mut self, from: (Inode, &OsStr), to: (Inode, &OsStr)) {
        let inode = self.find(from.0, from.1);
        self.record(Change::Name(vec![
            (from.0, from.1.into(), None),
            (to.0, to.1.into(), inode),
        ]));
    }

    pub(crate) fn find(&self, directory: Inode, name: &OsStr) -> Option<Inode> {
        self.now.names.get(&(directory, name.into())).copied()
    }

    pub(crate) fn content(&self, file: Inode) -> Option<&Vec<u8>> {
        self.now.content(file)
    }

    pub(crate) fn names(&self, directory: Inode) -> Vec<(OsString, Inode)> {
        let names = self.now.names.iter();
        names
            .filter(|((it, _), _)| *it == directory)
            .map(|((_, name), inode)| (name.clone(), *inode))
            .collect()
    }

    /// Writes to `target` what the disk holds if the power is cut at `moment`: all that
    /// was synced by then, and of the rest what `rng` draws.
    pub fn cut(&self, moment: usize, rng: &mut Rng, target: &Path) -> io::Result<()> {
        let mut disk = Disk::default();
        for change in self.changes.iter().take(moment) {
            disk.apply(change);
        }
        disk.lose(rng).write_out(ROOT, target)
    }
}

/// The last name of each file and directory.
#[derive(Default)]
struct Paths(BTreeMap<Inode, (Inode, OsString)>);

impl Paths {
    fn of(&self, inode: Inode) -> PathBuf {
        match self.0.get(&inode) {
            Some((directory, name)) => self.of(*directory).join(name),
            None => PathBuf::new(),
        }
    }

    fn name(&mut self, namings: &[Naming]) -> Step {
        let mut step = Step {
            path: PathBuf::new(),
            kind: StepKind::Removed,
        };
        // Of a renaming, the new name is the last.
        for (directory, name, inode) in namings {
            step.path = self.of(*directory).join(name);
            if let Some(inode) = inode {
                step.kind = StepKind::Named;
                self.0.insert(*inode, (*directory, name.clone()));
            }
        }
        step
    }
}

/// What a disk holds, and what the system has not written to it yet.
#[derive(Debug, Default)]
struct Disk {
    cached: Files,
    durable: Files,
    dirty: BTreeMap<Inode, BTreeSet<usize>>,
    namings: Vec<Vec<Naming>>,
}

impl Disk {
    fn apply(&mut self, change: &Change) {
        self.cached.apply(change);
        match change {
            Change::Create { .. } => self.durable.apply(change),
            Change::Write(file, offset, bytes) => {
                let pages = offset / PAGE..(offset + bytes.len()).div_ceil(PAGE);
                self.dirty.entry(*file).or_default().extend(pages);
            }
            Change::SetLen(file, len) => {
                let pages = self.dirty.entry(*file).or_default();
                pages.insert(len / PAGE);
            }
            Change::Sync(inode) => {
                self.write_back(*inode, 1_000, &mut Rng::new(0));
                let of_directory = |namings: &mut Vec<Naming>| {
                    namings.iter().any(|(directory, ..)| directory == inode)
                };
                for namings in self.namings.extract_if(.., of_directory) {
                    self.durable.name(&namings);
                }
            }
            Change::Name(namings) => self.namings.push(namings.clone()),
        }
    }

    /// Writes so many of a thousand of a file's dirty pages to the disk.
    fn write_back(&mut self, file: Inode, per_mille: u64, rng: &mut Rng) {
        let Some(pages) = self.dirty.remove(&file) else {
            return;
        };
        let cached = self.cached.content(file).cloned().unwrap_or_default();
        let durable = self.durable.content_mut(file);
        if rng.chance(per_mille) {
            durable.resize(cached.len(), 0);
        }
        for page in pages.into_iter().filter(|_| rng.chance(per_mille)) {
            let end = ((page + 1) * PAGE).min(cached.len()).min(durable.len());
            let range = (page * PAGE).min(end)..end;
            if let (Some(to), Some(from)) = (durable.get_mut(range.clone()), cached.get(range)) {
                to.copy_from_slice(from);
            }
        }
    }

    /// What is left without power.
    fn lose(mut self, rng: &mut Rng) -> Files {
        let share = [0, 100, 500, 900, 1_000];
        let of_pages = share.get(rng.index(share.len())).copied().unwrap_or(0);
        let of_names = share.get(rng.index(share.len())).copied().unwrap_or(0);
        for file in self.dirty.keys().copied().collect::<Vec<_>>() {
            self.write_back(file, of_pages, rng);
        }
        for namings in std::mem::take(&mut self.namings) {
            if rng.chance(of_names) {
                self.durable.name(&namings);
            }
        }
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a power cut at the end leaves, in twenty draws.
    fn images(recording: &Recording) -> Vec<BTreeMap<OsString, Vec<u8>>> {
        let image = |seed| {
            let target = tempfile::tempdir().unwrap();
            let moment = recording.moment();
            recording
                .cut(moment, &mut Rng::new(seed), target.path())
                .unwrap();
            let entries = fs::read_dir(target.path()).unwrap();
            entries
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
                .collect()
        };
        (0..20).map(image).collect()
    }

    #[test]
    fn steps_tell_what_was_done_to_which_path() {
        let mut recording = Recording::default();
        let directory = recording.create(ROOT, "d".as_ref(), true);
        let file = recording.create(directory, "a".as_ref(), false);
        recording.write(file, 0, b"bytes");
        recording.rename((directory, "a".as_ref()), (ROOT, "b".as_ref()));
        recording.sync(file);
        recording.remove(ROOT, "b".as_ref());
        let steps = recording.steps();
        let steps: Vec<_> = steps
            .iter()
            .map(|step| (step.path.to_str().unwrap(), step.kind))
            .collect();
        assert_eq!(
            steps,
            [
                ("", StepKind::Created),
                ("d", StepKind::Named),
                ("", StepKind::Created),
                ("d/a", StepKind::Named),
                ("d/a", StepKind::Written),
                ("b", StepKind::Named),
                ("b", StepKind::Synced),
                ("b", StepKind::Removed),
            ]
        );
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_go() {
        let mut recording = Recording::default();
        let file = recording.create(ROOT, "a".as_ref(), false);
        recording.write(file, 0, b"first");
        recording.sync(file);
        // Without its directory a file is nowhere.
        assert!(images(&recording).iter().any(BTreeMap::is_empty));
        recording.sync(ROOT);
        for image in images(&recording) {
            assert_eq!(image[OsStr::new("a")], b"first");
        }
        recording.write(file, PAGE, b"second");
        recording.rename((ROOT, "a".as_ref()), (ROOT, "b".as_ref()));
        let images = images(&recording);
        assert!(images.iter().all(|image| image.len() == 1));
        let lens: BTreeSet<_> = images
            .iter()
            .flat_map(BTreeMap::values)
            .map(Vec::len)
            .collect();
        assert_eq!(lens, [5, PAGE + 6].into());
        assert!(
            images
                .iter()
                .any(|image| image.contains_key(OsStr::new("a")))
        );
        assert!(
            images
                .iter()
                .any(|image| image.contains_key(OsStr::new("b")))
        );
    }
}

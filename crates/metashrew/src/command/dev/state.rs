//! What `metashrew dev` keeps beside a project, in `.metashrew`: a database for each guest that is
//! in use, and the state at the checkpoint.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use metashrew_store::{BlockHash, OpenError, ReadError};
use serde::{Deserialize, Serialize};

use super::failure::chain;
use super::form::Form;

/// The directory in that of the project.
const DIRECTORY: &str = ".metashrew";

const LOCK: &str = "lock";
const BUILDS: &str = "builds";
const CHECKPOINT: &str = "checkpoint";
const DATABASE: &str = "db";
const ABOUT: &str = "about.json";

/// The directory, which no other process uses meanwhile.
#[derive(Debug)]
pub(super) struct StateDirectory {
    path: PathBuf,
    builds: AtomicU64,
    /// Unlocked when closed.
    _lock: File,
}

/// A directory that goes when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

/// What the state at a checkpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) height: u32,
    /// The last block, in hex.
    pub(super) hash: String,
    /// What the guest told that made it.
    pub(super) form: Form,
}

impl Checkpoint {
    /// The state of a guest through a block.
    pub(super) fn new(height: u32, hash: BlockHash, form: Form) -> Self {
        Self {
            height,
            hash: hash.to_string(),
            form,
        }
    }

    /// Whether it is the state through this block.
    pub(super) fn is_at(&self, height: u32, hash: BlockHash) -> bool {
        (height, hash.to_string()) == (self.height, self.hash.clone())
    }
}

impl StateDirectory {
    /// Takes the directory of the project in `project`, and removes what an earlier process
    /// left there.
    ///
    /// # Errors
    /// If another process has it, or it cannot be written to.
    pub(super) fn take(project: &Path) -> Result<Self> {
        let path = project.join(DIRECTORY);
        let failed = || format!("`{}` cannot be used", path.display());
        fs::create_dir_all(&path).with_context(failed)?;
        let lock = File::create(path.join(LOCK)).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another `metashrew dev` runs in this directory: end it first")
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        // Whatever the project's own file says.
        fs::write(path.join(".gitignore"), "*\n").with_context(failed)?;
        remove(&path.join(BUILDS)).with_context(failed)?;
        Ok(Self {
            path,
            builds: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Removes all databases but the checkpoint, whoever still has them open: the process ends.
    pub(super) fn clear(&self) {
        if let Err(error) = remove(&self.path.join(BUILDS)) {
            tracing::warn!(
                "what is left in `{}` cannot be removed: {error}",
                self.path.display()
            );
        }
    }

    /// The path of a database that is not there yet, and goes with the answer.
    pub(super) fn new_database(&self) -> Result<Temporary> {
        let number = self.builds.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(BUILDS).join(number.to_string());
        fs::create_dir_all(&path)
            .with_context(|| format!("`{}` cannot be made", path.display()))?;
        Ok(Temporary(path))
    }

    /// What the checkpoint that is kept is; none if there is none.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        let about = fs::read(self.path.join(CHECKPOINT).join(ABOUT)).ok()?;
        serde_json::from_slice(&about).ok()
    }

    /// Keeps a database, which nobody has open, as the checkpoint, in place of another one.
    pub(super) fn keep(&self, database: &Temporary, about: &Checkpoint) -> Result<()> {
        let failed = "the state at the checkpoint cannot be kept";
        fs::write(database.0.join(ABOUT), serde_json::to_vec(about)?).context(failed)?;
        let kept = self.path.join(CHECKPOINT);
        remove(&kept).context(failed)?;
        // All of it is there at once, or nothing.
        fs::rename(&database.0, &kept).context(failed)
    }

    /// Says that the checkpoint is of no use, and why.
    pub(super) fn of_no_use(&self, error: &anyhow::Error) -> String {
        // The advice at the end of it is for databases that cannot just be made anew.
        let damage =
            error
                .chain()
                .find_map(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
                    (Some(OpenError::Corrupt { what, .. }), _)
                    | (_, Some(ReadError::Corrupt { what })) => Some(what.clone()),
                    _ => None,
                });
        let what = damage.unwrap_or_else(|| chain(error).replace('\n', ": "));
        let kept = self.path.join(CHECKPOINT);
        format!(
            "the one that is kept in `{}` is of no use: {what}",
            kept.display()
        )
    }

    /// Has the next try make the checkpoint anew, since `error` tells that it is damaged; says so.
    pub(super) fn forget_checkpoint(&self, error: &anyhow::Error) -> anyhow::Error {
        let what = self.of_no_use(error);
        match fs::remove_file(self.path.join(CHECKPOINT).join(ABOUT)) {
            Ok(()) => anyhow!(
                "the state at the checkpoint is made anew with the next build, for which `r` and Enter will do: {what}"
            ),
            Err(cannot) => anyhow!("remove the state at the checkpoint: {what}; {cannot}"),
        }
    }

    /// A copy of the database at the checkpoint.
    pub(super) fn copy_checkpoint(&self) -> Result<Temporary> {
        let copy = self.new_database()?;
        let kept = self.path.join(CHECKPOINT).join(DATABASE);
        copy_all(&kept, &copy.database())
            .context("the state at the checkpoint cannot be copied")?;
        Ok(copy)
    }
}

impl Temporary {
    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!("`{}` cannot be removed: {error}", self.0.display());
        }
    }
}

/// Removes a directory, if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a directory with what is below it; a file system that can share the bytes does so.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_the_directory_and_finds_only_the_checkpoint_in_it() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDirectory::take(project.path()).unwrap();
        let error = StateDirectory::take(project.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("another `metashrew dev`"),
            "{error}"
        );
        assert_eq!(state.checkpoint(), None);
        let left = state.new_database().unwrap();
        let gone = state.new_database().unwrap();
        let gone_path = gone.0.clone();
        drop(gone);
        assert!(!gone_path.exists());
        let hash = BlockHash::from_bytes([1; 32]);
        let about = Checkpoint::new(7, hash, Form::default());
        let made = state.new_database().unwrap();
        fs::create_dir_all(made.database().join("deep")).unwrap();
        fs::write(made.database().join("deep/file"), "text").unwrap();
        state.keep(&made, &about).unwrap();
        let left_path = left.0.clone();
        // As a process that is killed.
        std::mem::forget(left);
        drop(state);
        let state = StateDirectory::take(project.path()).unwrap();
        assert!(!left_path.exists());
        assert_eq!(state.checkpoint(), Some(about));
        let copy = state.copy_checkpoint().unwrap();
        let text = fs::read_to_string(copy.database().join("deep/file")).unwrap();
        assert_eq!(text, "text");
    }
}

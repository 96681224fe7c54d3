//! Temporary files without a name: they are gone when the process is, however it ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::error::VerifyError;

/// Where temporary files are made.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: PathBuf,
}

impl Temporary {
    /// In the directory that was asked for; else in the database's, if files can be made
    /// there; else in the system's.
    pub(super) fn new(asked: Option<&Path>, database: Option<&Path>) -> Self {
        let writable = |directory: &&Path| match tempfile::tempfile_in(directory) {
            Ok(_) => true,
            Err(error) => {
                tracing::info!(%error, "the temporary file goes to the system's temporary directory");
                false
            }
        };
        let directory = asked
            .or_else(|| database.filter(writable))
            .map_or_else(std::env::temp_dir, Path::to_owned);
        Self { directory }
    }

    /// A new, empty file.
    pub(super) fn file(&self) -> Result<TemporaryFile, VerifyError> {
        match tempfile::tempfile_in(&self.directory) {
            Ok(file) => Ok(TemporaryFile {
                directory: self.directory.clone(),
                contents: Mutex::new(Contents { file, end: 0 }),
            }),
            Err(source) => Err(VerifyError::Temporary {
                directory: self.directory.clone(),
                source,
            }),
        }
    }
}

/// A temporary file that several threads write and read.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    directory: PathBuf,
    contents: Mutex<Contents>,
}

#[derive(Debug)]
struct Contents {
    file: File,
    end: u64,
}

impl TemporaryFile {
    /// Writes `bytes` at the end, and says where that is.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64, VerifyError> {
        let mut contents = self.contents.lock();
        let offset = contents.end;
        self.told(write(&mut contents.file, offset, bytes))?;
        contents.end += bytes.len() as u64;
        Ok(offset)
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), VerifyError> {
        self.told(write(&mut self.contents.lock().file, offset, bytes))
    }

    /// Fills `bytes` with what lies at `offset`.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), VerifyError> {
        let file = &mut self.contents.lock().file;
        let read = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(bytes));
        self.told(read)
    }

    fn told<T>(&self, result: io::Result<T>) -> Result<T, VerifyError> {
        result.map_err(|source| VerifyError::Temporary {
            directory: self.directory.clone(),
            source,
        })
    }
}

fn write(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

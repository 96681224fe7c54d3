//! Where events go: a line each to standard output, and the cursor to a file behind them.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::Output as WriteError;
use crate::bounded;
use crate::printable;

/// How long a cursor may wait for its file while events come without a pause.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Bytes of a cursor's file at most: many times those of a cursor.
const MAX_CURSOR: u64 = 64 << 10;

/// Lines, and where the last one stands.
pub(super) struct Sink<W: Write> {
    out: BufWriter<W>,
    file: Option<CursorFile>,
    /// Printed, and not yet in the file.
    cursor: Option<String>,
    settled: Instant,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W, file: Option<CursorFile>) -> Self {
        Self {
            out: BufWriter::new(out),
            file,
            cursor: None,
            settled: Instant::now(),
        }
    }

    /// Writes an event's line. More may be there already, so that neither it nor its cursor needs to be out
    /// at once.
    pub(super) fn print(&mut self, line: &str, cursor: Option<&str>, has_more: bool) -> Result<()> {
        let line = printable::json(line);
        writeln!(self.out, "{line}").map_err(WriteError)?;
        if let Some(cursor) = cursor {
            self.cursor = Some(cursor.to_owned());
        }
        if has_more && self.settled.elapsed() < LONGEST_WAIT {
            return Ok(());
        }
        self.settle()
    }

    /// Brings out the lines, and then the cursor.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.out.flush().map_err(WriteError)?;
        if let (Some(file), Some(cursor)) = (&self.file, self.cursor.take()) {
            file.write(&cursor)?;
        }
        self.settled = Instant::now();
        Ok(())
    }
}

/// A file with a cursor, which is replaced as a whole.
#[derive(Debug, Clone)]
pub(super) struct CursorFile(PathBuf);

impl CursorFile {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The cursor, if there is a file.
    pub(super) fn read(&self) -> Result<Option<String>> {
        let path = self.0.display();
        match bounded::read_text(&self.0, MAX_CURSOR) {
            Ok(text) => {
                let cursor = text.trim();
                let is_one = !cursor.is_empty() && !cursor.contains(char::is_whitespace);
                ensure!(
                    is_one,
                    "the file `{path}` holds no cursor; remove it to begin anew"
                );
                Ok(Some(cursor.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("the cursor file `{path}` cannot be read"))
            }
        }
    }

    fn write(&self, cursor: &str) -> Result<()> {
        self.replace(cursor)
            .with_context(|| format!("the cursor file `{}` cannot be written", self.0.display()))
    }

    fn replace(&self, cursor: &str) -> io::Result<()> {
        let directory = self
            .0
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        writeln!(file, "{cursor}")?;
        file.as_file().sync_all()?;
        file.persist(&self.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_in_its_file_once_its_line_is_out_and_no_more_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(&directory.path().join("cursor"));
        assert_eq!(file.read().unwrap(), None);
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out, Some(file.clone()));
        sink.print("{\"a\":\"\u{9b}\"}", Some("1:0xaa"), true)
            .unwrap();
        assert_eq!(file.read().unwrap(), None);
        sink.print("{}", Some("2:0xbb"), false).unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("2:0xbb"));
        // An event without a cursor stands nowhere else.
        sink.print("{}", None, false).unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("2:0xbb"));
        drop(sink);
        assert_eq!(out, b"{\"a\":\"\\u009b\"}\n{}\n{}\n");
    }

    #[test]
    fn a_line_that_cannot_be_written_leaves_the_cursor_where_it_was() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(&directory.path().join("cursor"));
        let mut sink = Sink::new(Full, Some(file.clone()));
        sink.print("{}", Some("1:0xaa"), false).unwrap_err();
        assert_eq!(file.read().unwrap(), None);
    }

    #[test]
    fn a_file_without_a_cursor_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "\n", "1:0xaa 2:0xbb\n"] {
            let path = directory.path().join("cursor");
            std::fs::write(&path, text).unwrap();
            CursorFile::new(&path).read().unwrap_err();
        }
    }
}

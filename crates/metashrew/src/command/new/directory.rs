//! A new directory with files in it: there whole, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::template;

/// Makes the directory, here, where nothing or an empty one of its name is.
pub(super) fn write(name: &str, files: &[(&str, Vec<u8>)]) -> Result<()> {
    match fs::read_dir(name).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Ok(true) => bail!(
            "`{name}` is here already, and is not empty: choose another name, or another folder to run this in"
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("`{name}` cannot be made here"));
        }
    }
    // Beside it, and so on the same file system; dropped, it takes its content along.
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let being_made = builder
        .tempdir_in(".")
        .with_context(|| format!("`{name}` cannot be made here"))?;
    for (path, content) in files {
        write_file(&being_made.path().join(path), content)
            .with_context(|| format!("`{name}/{path}` cannot be written"))?;
    }
    fs::rename(being_made.path(), name).with_context(|| format!("`{name}` cannot be made here"))?;
    // Nothing is left where it was.
    let _ = being_made.keep();
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if template::is_script(content) {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o777);
    }
    options.open(path)?.write_all(content)
}

//! Reads files that the command line or a setting names. None is read beyond what one of its kind may
//! have: what is named may be another file, or no file, and never end.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The file's bytes; an error if there are more than `most`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_from(File::open(path)?, most)
}

/// The same of what is open already.
pub(crate) fn read_from(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it has more than the {most} bytes that it may have");
        return Err(io::Error::new(ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// The file's text.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let no_text = |error| io::Error::new(ErrorKind::InvalidData, error);
    String::from_utf8(read(path, most)?).map_err(no_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_there_may_be() {
        assert_eq!(read_from(&b"four"[..], 4).unwrap(), b"four");
        let error = read_from(&b"five."[..], 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let endless = read_from(io::repeat(0), 1_000).unwrap_err();
        assert_eq!(
            endless.to_string(),
            "it has more than the 1000 bytes that it may have"
        );
    }
}

//! States as text, and files of text that tests compare with.

use metashrew_abi::layout;
use metashrew_abi::proto::Storage;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Has [`assert_snapshot`] write its file.
const UPDATE: &str = "UPDATE_SNAPSHOTS";

/// A state as text, one line a key, in the order of keys. Keys of the tables are shown by
/// their names. Of the others, text is shown as text, and bytes that are none as `\x00`.
/// Values that are not text are in hexadecimal.
///
/// ```
/// let state = [(b"a/\x07".to_vec(), vec![1, 2]), (b"tip".to_vec(), b"five".to_vec())];
/// let text = metashrew_test::snapshot_text(&state.into(), &[]);
/// assert_eq!(text, "a/\\x07 = 0x0102\ntip = \"five\"\n");
/// ```
pub fn text(state: &BTreeMap<Vec<u8>, Vec<u8>>, tables: &[Storage]) -> String {
    let mut text = String::new();
    for (key, value) in state {
        let is_text = value.iter().all(|byte| (b' '..=b'~').contains(byte));
        let _ = match layout::decode(tables, key) {
            Some(decoded) => write!(text, "{decoded} = "),
            None => write!(text, "{} = ", key.escape_ascii()),
        };
        if is_text {
            let _ = write!(text, "\"{}\"", value.escape_ascii());
        } else {
            text.push_str("0x");
            for byte in value {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text.push('\n');
    }
    text
}

/// Compares a text with a file, whose path is relative to the package. With
/// `UPDATE_SNAPSHOTS=1` in the environment, the file is written instead.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("snapshot-{}.txt", std::process::id()));
/// # std::fs::write(&path, "tip = \"five\"\n")?;
/// metashrew_test::assert_snapshot(&path, "tip = \"five\"\n");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// If they differ, with the first line that does; or if there is no such file.
pub fn assert_snapshot(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        if let Some(directory) = path.parent() {
            let made = std::fs::create_dir_all(directory);
            made.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        }
        let written = std::fs::write(path, text);
        return written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let kept = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; set {UPDATE}=1 to write it", path.display()));
    let (mut found, mut expected) = (text.lines(), kept.lines());
    for number in 1.. {
        let (found, expected) = (found.next(), expected.next());
        assert!(
            found == expected,
            "{}:{number}: it is no longer the same; set {UPDATE}=1 to take the new text\n  kept: {}\n  new:  {}",
            path.display(),
            expected.unwrap_or("(ended)"),
            found.unwrap_or("(ended)"),
        );
        if found.is_none() {
            break;
        }
    }
}

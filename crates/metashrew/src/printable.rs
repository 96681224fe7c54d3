//! Text from guests, nodes, servers and files, made harmless for a terminal and a log.
//!
//! Every log line, every error and everything that a command prints as text passes
//! here. Nothing that is shown as it came can move the cursor, change colours, reorder
//! or hide what stands beside it, or fill the screen.

use std::borrow::Cow;
use std::fmt::Write;

/// The longest text that is shown whole, in bytes.
pub(crate) const MAX_SHOWN: usize = 8 * 1024;

/// One line: what a terminal would obey, line ends among them, is escaped as in Rust
/// (`\n`, `\u{1b}`), and what is longer than [`MAX_SHOWN`] is cut.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let cut = text.floor_char_boundary(MAX_SHOWN);
    let (whole, left) = text.split_at(cut);
    if left.is_empty() && whole.chars().all(is_harmless) {
        return Cow::Borrowed(whole);
    }
    let mut shown = String::with_capacity(whole.len() + 16);
    whole
        .chars()
        .for_each(|character| push(&mut shown, character));
    push_left(&mut shown, left);
    Cow::Owned(shown)
}

/// As [`line()`], but lines stay lines. Those after the first are set in, so that none
/// can be taken for one of ours; the frames of a backtrace are already.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return line(text);
    }
    let cut = text.floor_char_boundary(MAX_SHOWN);
    let (whole, left) = text.split_at(cut);
    let mut shown = String::with_capacity(whole.len() + 16);
    for (index, part) in whole.split('\n').enumerate() {
        match (index, is_frame(part)) {
            (0, _) => {}
            (_, true) => shown.push('\n'),
            (_, false) => shown.push_str("\n    "),
        }
        shown.push_str(&line(part));
    }
    push_left(&mut shown, left);
    Cow::Owned(shown)
}

/// Whether a line is a frame of a backtrace, such as `  3: name at 0x1f`.
fn is_frame(line: &str) -> bool {
    let number = line
        .strip_prefix("  ")
        .and_then(|line| line.split_once(": "));
    number.is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn push_left(shown: &mut String, left: &str) {
    if !left.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(shown, "… ({} more bytes)", left.len());
    }
}

/// As it was, whatever its length, with what a terminal would obey escaped.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_text(character) {
            shown.push(character);
        } else {
            push(&mut shown, character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal shows a character, or breaks lines at it.
pub(crate) fn is_text(character: char) -> bool {
    is_harmless(character) || matches!(character, '\n' | '\r' | '\t')
}

/// Adds a character, escaped if a terminal would obey it.
fn push(shown: &mut String, character: char) {
    match character {
        harmless if is_harmless(harmless) => shown.push(harmless),
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        other => {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(other));
        }
    }
}

/// JSON as it was, with what a terminal would obey escaped in its strings, where alone
/// it can stand.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    // Line ends stand between values: within strings they are escaped already.
    let is_plain = |character| is_harmless(character) || character == '\n';
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal shows a character and obeys nothing. Not so: controls (C0, C1,
/// delete), marks that reorder or hide text, line and paragraph separators, tags.
pub(crate) fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let check = |text: &str, expect: &str| assert_eq!(line(text), expect, "{text:?}");
        check("plain é 漢 👩‍🚀", "plain é 漢 👩‍🚀");
        check("\x1b[2J\x1b]0;title\x07", "\\u{1b}[2J\\u{1b}]0;title\\u{7}");
        check("\u{9b}31m", "\\u{9b}31m");
        check(
            "a\u{202e}b\u{2066}c\u{200f}",
            "a\\u{202e}b\\u{2066}c\\u{200f}",
        );
        check("a\r\nb\tc\x7f\0", "a\\r\\nb\\tc\\u{7f}\\u{0}");
        assert_eq!(lines("a\nerror: b\x1b"), "a\n    error: b\\u{1b}");
        assert_eq!(
            lines("a\n  0: f at 0x1\n  hint: x"),
            "a\n  0: f at 0x1\n      hint: x"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "é".repeat(MAX_SHOWN);
        let shown = line(&text);
        assert!(
            shown.ends_with(&format!("é… ({MAX_SHOWN} more bytes)")),
            "{shown}"
        );
        assert!(shown.len() < MAX_SHOWN + 32);
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "{\n  \"a\u{202e}\": \"\u{9b}31m\u{e0001} é\"\n}";
        let shown = json(text);
        assert!(
            shown.chars().all(|c| is_harmless(c) || c == '\n'),
            "{shown:?}"
        );
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(text));
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(line(&text).chars().all(is_harmless));
            prop_assert!(lines(&text).chars().all(|c| is_harmless(c) || c == '\n'));
        }
    }
}

//! A view's input from the command line, and its answer on the terminal.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};

use crate::bounded;
use crate::cli::{Form, Input};
use crate::printable;

/// Bytes of an input at most: a guest is told their number as an `i32`.
const MAX_INPUT: u64 = i32::MAX as u64;

/// The bytes of an input.
pub(crate) fn read(input: &Input) -> Result<Cow<'_, [u8]>> {
    match input {
        Input::Given(bytes) => Ok(Cow::Borrowed(bytes)),
        Input::Stdin => {
            let bytes = bounded::read_from(std::io::stdin().lock(), MAX_INPUT)
                .context("the input could not be read from standard input")?;
            Ok(Cow::Owned(bytes))
        }
        Input::File(path) => bounded::read(path, MAX_INPUT)
            .map(Cow::Owned)
            .with_context(|| format!("the input could not be read from `{}`", path.display())),
    }
}

/// The answer as it is printed. Without a wish, what a terminal would obey instead of
/// showing makes it hex. With one it is printed as it is, unless to a terminal.
pub(crate) fn print(answer: &[u8], form: Option<Form>, to_terminal: bool) -> Result<Cow<'_, str>> {
    let text = std::str::from_utf8(answer);
    let hex = || hex::encode_prefixed(answer);
    match (form, text) {
        (Some(Form::Utf8), Ok(text)) if to_terminal => Ok(printable::text(text)),
        (Some(Form::Utf8), Ok(text)) => Ok(Cow::Borrowed(text)),
        (Some(Form::Utf8), Err(error)) => bail!(
            "the answer is not UTF-8 from byte {} on: {}",
            error.valid_up_to(),
            hex()
        ),
        (None, Ok(text)) if text.chars().all(printable::is_text) => Ok(Cow::Borrowed(text)),
        _ => Ok(Cow::Owned(hex())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0, 255]).unwrap();
        let input = Input::File(file.path().to_owned());
        assert_eq!(read(&input).unwrap(), &[0, 255][..]);
        let error = read(&Input::File("/no/such".into())).unwrap_err();
        assert!(error.to_string().contains("`/no/such`"));
    }

    #[test]
    fn answers_print_as_text_where_that_is_safe() {
        let check = |answer: &[u8], form, expect: &str| {
            assert_eq!(print(answer, form, false).unwrap(), expect);
        };
        check(b"{\"a\":\n1}", None, "{\"a\":\n1}");
        check("é".as_bytes(), None, "é");
        check(b"", None, "");
        check(b"\xff", None, "0xff");
        check(b"\x1b[2J", None, "0x1b5b324a");
        check("\u{202e}".as_bytes(), None, "0xe280ae");
        check(b"ab", Some(Form::Hex), "0x6162");
        check(b"\x00", Some(Form::Utf8), "\0");
        assert!(print(b"a\xff", Some(Form::Utf8), false).is_err());
        let shown = print(b"a\n\x1b[2J", Some(Form::Utf8), true).unwrap();
        assert_eq!(shown, "a\n\\u{1b}[2J");
    }
}

//! A view's input on the command line, and its answer on the terminal.

use std::borrow::Cow;
use std::io::Read;

use anyhow::{Context, Result, bail};

use crate::cli::Form;

/// The bytes that `text` stands for: `0x…` is hex, `@FILE` a file's content, `@-`
/// what comes on standard input, and anything else itself.
pub(crate) fn read(text: &str) -> Result<Cow<'_, [u8]>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return hex::decode(digits)
            .map(Cow::Owned)
            .with_context(|| format!("the input `{text}` is not hex"));
    }
    match text.strip_prefix('@') {
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("the input could not be read from standard input")?;
            Ok(Cow::Owned(bytes))
        }
        Some(path) => std::fs::read(path)
            .map(Cow::Owned)
            .with_context(|| format!("the input could not be read from `{path}`")),
        None => Ok(Cow::Borrowed(text.as_bytes())),
    }
}

/// The answer as it is printed. Without a wish, control characters make it hex:
/// they would be obeyed by a terminal instead of shown.
pub(crate) fn print(answer: &[u8], form: Option<Form>) -> Result<Cow<'_, str>> {
    let text = std::str::from_utf8(answer);
    let hex = || hex::encode_prefixed(answer);
    match (form, text) {
        (Some(Form::Utf8), Ok(text)) => Ok(Cow::Borrowed(text)),
        (Some(Form::Utf8), Err(error)) => bail!(
            "the answer is not UTF-8 from byte {} on: {}",
            error.valid_up_to(),
            hex()
        ),
        (None, Ok(text)) if text.chars().all(is_printable) => Ok(Cow::Borrowed(text)),
        _ => Ok(Cow::Owned(hex())),
    }
}

fn is_printable(character: char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\r' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_hex_and_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0, 255]).unwrap();
        let check = |text: &str, expect: &[u8]| assert_eq!(read(text).unwrap(), expect, "{text}");
        check("", b"");
        check("plain", b"plain");
        check("0x", b"");
        check("0x00Ff", &[0, 255]);
        check(&format!("@{}", file.path().display()), &[0, 255]);
        let error = read("0x0").unwrap_err();
        assert_eq!(error.to_string(), "the input `0x0` is not hex");
        let error = read("@/no/such").unwrap_err();
        assert!(error.to_string().contains("`/no/such`"));
    }

    #[test]
    fn answers_print_as_text_where_that_is_safe() {
        let check = |answer: &[u8], form, expect: &str| {
            assert_eq!(print(answer, form).unwrap(), expect);
        };
        check(b"{\"a\":\n1}", None, "{\"a\":\n1}");
        check("é".as_bytes(), None, "é");
        check(b"", None, "");
        check(b"\xff", None, "0xff");
        check(b"\x1b[2J", None, "0x1b5b324a");
        check(b"ab", Some(Form::Hex), "0x6162");
        check(b"\x00", Some(Form::Utf8), "\0");
        assert!(print(b"a\xff", Some(Form::Utf8)).is_err());
    }
}

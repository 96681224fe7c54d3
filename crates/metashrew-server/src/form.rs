//! The form of a view's answer: hex, JSON, a text, or its bytes.

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::answer::Answer;
use crate::fault::{self, RpcError};
use crate::offload::Offload;

/// What a view's answer is given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// A text of `0x` and hex digits.
    #[default]
    Hex,
    /// The JSON that the answer is.
    Json,
    /// The text that the answer is in UTF-8.
    Text,
    /// The bytes: over HTTP only, since JSON has none.
    Bytes,
}

impl Form {
    /// What `as` calls it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Json => "json",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }

    /// The form that stands within JSON and is called so, or what is wrong.
    pub(crate) fn of_json(name: &str) -> Result<Self, String> {
        let forms = [Self::Json, Self::Text, Self::Hex];
        let found = forms.into_iter().find(|form| form.as_str() == name);
        found.ok_or_else(|| "it must be `json`, `text` or `hex`".to_owned())
    }

    /// The form of a body that is called so, or what is wrong.
    pub(crate) fn of_http(name: &str) -> Result<Self, String> {
        let forms = [Self::Json, Self::Text, Self::Hex, Self::Bytes];
        let found = forms.into_iter().find(|form| form.as_str() == name);
        found.ok_or_else(|| "it must be `json`, `text`, `hex` or `bytes`".to_owned())
    }

    /// Bytes of JSON that [`Self::result`] has at least: those of hex are known exactly.
    pub(crate) fn least_length(self, bytes: &[u8]) -> usize {
        match self {
            Self::Hex | Self::Bytes => 2 * bytes.len() + r#""0x""#.len(),
            Self::Json => bytes.len(),
            Self::Text => bytes.len() + r#""""#.len(),
        }
    }

    /// A view's answer as a JSON value. Fails where the answer does not have the form.
    pub(crate) async fn result(self, bytes: Bytes, work: &Offload) -> Result<Answer, RpcError> {
        let mut answer = Answer::default();
        match self {
            Self::Hex | Self::Bytes => answer.push_hex(bytes),
            Self::Json => {
                self.check(&bytes, work).await?;
                answer.push_raw(bytes);
            }
            Self::Text => {
                let read = bytes.clone();
                let length = work.run(bytes.len(), move || {
                    std::str::from_utf8(&read).map(crate::answer::escaped_length)
                });
                let length = length.await?.map_err(|error| self.wrong(&error))?;
                answer.push_text(bytes, length);
            }
        }
        Ok(answer)
    }

    /// A view's answer as a body of its own. Fails where the answer does not have the form.
    pub(crate) async fn body(self, bytes: Bytes, work: &Offload) -> Result<Answer, RpcError> {
        let mut answer = Answer::default();
        match self {
            Self::Hex => answer.push_digits(bytes),
            Self::Bytes => answer.push_raw(bytes),
            Self::Json | Self::Text => {
                self.check(&bytes, work).await?;
                answer.push_raw(bytes);
            }
        }
        Ok(answer)
    }

    /// Whether the bytes have the form. Long ones are read where they hold up nobody.
    async fn check(self, bytes: &Bytes, work: &Offload) -> Result<(), RpcError> {
        let (length, bytes) = (bytes.len(), bytes.clone());
        let checked = work.run(length, move || {
            let text = std::str::from_utf8(&bytes).map_err(|error| self.wrong(&error))?;
            if self == Self::Json {
                serde_json::from_str::<IgnoredAny>(text).map_err(|error| self.wrong(&error))?;
            }
            Ok(())
        });
        checked.await?
    }

    fn wrong(self, error: &dyn std::error::Error) -> RpcError {
        fault::answer_form(self, &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let executor = tokio::runtime::Builder::new_current_thread().build();
        executor.unwrap().block_on(future)
    }

    fn result(form: Form, answer: &[u8]) -> Result<Vec<u8>, RpcError> {
        let given = Bytes::copy_from_slice(answer);
        let work = Offload::new(NonZeroUsize::MIN);
        block_on(form.result(given.clone(), &work)).map(|answer| {
            let (told, written) = (answer.len(), answer.into_bytes());
            assert_eq!(told, written.len());
            assert!(form.least_length(&given) <= told);
            written
        })
    }

    fn body(form: Form, answer: &[u8]) -> Result<Vec<u8>, RpcError> {
        let answer = Bytes::copy_from_slice(answer);
        let work = Offload::new(NonZeroUsize::MIN);
        block_on(form.body(answer, &work)).map(Answer::into_bytes)
    }

    #[test]
    fn json_is_passed_on_as_it_is() {
        for json in [
            "null",
            " [1, 2.50,1e3]\n",
            r#"{"b":1,"a":"\u00e9","b":2}"#,
            "123456789012345678901234567890",
        ] {
            assert_eq!(
                result(Form::Json, json.as_bytes()).unwrap(),
                json.as_bytes()
            );
            assert_eq!(body(Form::Json, json.as_bytes()).unwrap(), json.as_bytes());
        }
    }

    #[test]
    fn what_does_not_have_the_form_is_an_error() {
        let not_json: [&[u8]; 7] = [
            b"",
            b"{",
            b"1 2",
            b"nul",
            b"\"\xff\"",
            b"\xef\xbb\xbf1",
            b"'a'",
        ];
        for answer in not_json {
            for given in [result(Form::Json, answer), body(Form::Json, answer)] {
                let error = given.unwrap_err();
                let data = error.data.unwrap();
                assert_eq!(data["kind"], "answer_form");
                assert_eq!(data["as"], "json");
            }
        }
        for given in [result(Form::Text, b"a\xff"), body(Form::Text, b"a\xff")] {
            assert_eq!(given.unwrap_err().data.unwrap()["as"], "text");
        }
    }

    #[test]
    fn bodies_are_plain() {
        assert_eq!(
            body(Form::Text, "é\n".as_bytes()).unwrap(),
            "é\n".as_bytes()
        );
        assert_eq!(body(Form::Hex, b"\x00\xff").unwrap(), b"0x00ff");
        assert_eq!(body(Form::Bytes, b"\x00\xff").unwrap(), b"\x00\xff");
    }

    #[test]
    fn long_answers_are_checked_too() {
        let mut long = serde_json::to_vec(&vec!["é\""; 300_000]).unwrap();
        assert!(result(Form::Json, &long).unwrap() == long);
        let text = String::from_utf8(long.clone()).unwrap();
        let expect = json!(text).to_string();
        assert!(result(Form::Text, &long).unwrap() == expect.as_bytes());
        long.pop();
        assert!(result(Form::Json, &long).is_err());
    }

    #[test]
    fn forms_have_names() {
        for name in ["json", "text", "hex"] {
            assert_eq!(Form::of_json(name).unwrap().as_str(), name);
            assert_eq!(Form::of_http(name).unwrap().as_str(), name);
        }
        assert_eq!(Form::of_http("bytes"), Ok(Form::Bytes));
        for wrong in ["bytes", "JSON", ""] {
            assert!(Form::of_json(wrong).is_err());
        }
        assert!(Form::of_http("xml").is_err());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let written = result(Form::Text, text.as_bytes()).unwrap();
            prop_assert_eq!(&written, &serde_json::to_vec(&text).unwrap());
            prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        }
    }
}

//! Reading a call's parameters, by position or by name.
//!
//! Every complaint is `-32602` and names the parameter.

use std::borrow::Cow;
use std::fmt;

use hex::FromHexError;
use metashrew_runtime::ViewAt;
use metashrew_store::{BlockId, ParseBlockIdError};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

use crate::fault::{self, INVALID_PARAMS, RpcError};
use crate::input;
use crate::request::Name;

/// Bytes of a client's text that an error quotes.
const QUOTED: usize = 200;

/// The parameters of one call, in the order of the method's parameter names.
/// Parameters that are `null` count as left out.
pub(crate) struct Arguments<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
    /// Where they stand: empty, or the parameter that holds them.
    within: String,
}

impl<'a, const N: usize> Arguments<'a, N> {
    /// Sorts `params`, an array or an object, by the method's parameter `names`.
    pub(crate) fn read(
        params: Option<&'a str>,
        names: [&'static str; N],
    ) -> Result<Self, RpcError> {
        Self::parse(params.unwrap_or("[]"), names, String::new())
    }

    /// Sorts what stands in the parameter `within`, an array or an object.
    pub(crate) fn nested(
        value: &'a RawValue,
        names: [&'static str; N],
        within: String,
    ) -> Result<Self, RpcError> {
        if !value.get().starts_with(['[', '{']) {
            return Err(invalid(Some(&within), "it must be an array or an object"));
        }
        Self::parse(value.get(), names, within)
    }

    /// `values` in the order of `names`, which stand in the parameter `within`.
    pub(crate) fn of(
        values: [Option<&'a RawValue>; N],
        names: [&'static str; N],
        within: String,
    ) -> Self {
        Self {
            names,
            values: values.map(|value| value.filter(|value| value.get() != "null")),
            within,
        }
    }

    fn parse(text: &'a str, names: [&'static str; N], within: String) -> Result<Self, RpcError> {
        let all = (!within.is_empty()).then_some(within.as_str());
        let sorted = serde_json::Deserializer::from_str(text).deserialize_any(Sorter { names });
        let values = match sorted {
            Ok(Sorted::Values(values)) => values,
            Ok(Sorted::TooMany(count)) => {
                let reason = format!("{count} parameters are given, at most {N} are taken");
                return Err(invalid(all, &reason));
            }
            Ok(Sorted::Wrong { name, reason }) => {
                return Err(invalid(Some(&path(&within, &name)), reason));
            }
            Err(error) => return Err(invalid(all, &error.to_string())),
        };
        Ok(Self::of(values, names, within))
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &'static str) -> Result<Cow<'a, str>, RpcError> {
        let value = self.needed(name)?;
        text_of(value).map_err(|reason| self.invalid(name, &reason))
    }

    /// The input of a view: hex, JSON or a text; none if left out.
    pub(crate) fn input(&self, name: &'static str) -> Result<Vec<u8>, RpcError> {
        self.value(name).map_or_else(
            || Ok(Vec::new()),
            |value| input::read(value).map_err(|reason| self.invalid(name, &reason)),
        )
    }

    /// The name of a block; the last committed one if left out.
    pub(crate) fn block(&self, name: &'static str) -> Result<BlockId, RpcError> {
        let Some(value) = self.value(name) else {
            return Ok(BlockId::Latest);
        };
        let text = self.block_text(name, value)?;
        block_of(&text).map_err(|reason| self.invalid(name, &reason))
    }

    /// As [`Self::block`], or `pending`.
    pub(crate) fn view_at(&self, name: &'static str) -> Result<ViewAt, RpcError> {
        match self.value(name) {
            Some(value) if text_of(value).is_ok_and(|text| text == "pending") => {
                Ok(ViewAt::Pending)
            }
            _ => self.block(name).map(ViewAt::Block),
        }
    }

    fn block_text(
        &self,
        name: &'static str,
        value: &'a RawValue,
    ) -> Result<Cow<'a, str>, RpcError> {
        if value.get().starts_with('"') {
            text_of(value).map_err(|reason| self.invalid(name, &reason))
        } else if value.get().bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Cow::Borrowed(value.get()))
        } else {
            Err(self.invalid(
                name,
                "it must be a height (a number or a text), a block hash, `height:hash` or `latest`",
            ))
        }
    }

    /// A value that must be there.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&'a RawValue, RpcError> {
        self.value(name)
            .ok_or_else(|| self.invalid(name, "it is missing"))
    }

    pub(crate) fn value(&self, name: &'static str) -> Option<&'a RawValue> {
        debug_assert!(self.names.contains(&name), "`{name}` is no parameter");
        self.names
            .iter()
            .zip(self.values)
            .find_map(|(known, value)| (*known == name).then_some(value))
            .flatten()
    }

    /// The error `-32602` about the parameter `name`.
    pub(crate) fn invalid(&self, name: &str, reason: &str) -> RpcError {
        invalid(Some(&path(&self.within, name)), reason)
    }

    /// Where the parameter `name` stands, for those within it.
    pub(crate) fn path(&self, name: &str) -> String {
        path(&self.within, name).into_owned()
    }
}

fn path<'a>(within: &str, name: &'a str) -> Cow<'a, str> {
    if within.is_empty() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("{within}.{name}"))
    }
}

/// Parameters in the order of their names, or what is wrong with them.
enum Sorted<'a, const N: usize> {
    Values([Option<&'a RawValue>; N]),
    TooMany(usize),
    Wrong {
        name: Cow<'a, str>,
        reason: &'static str,
    },
}

/// Sorts an array or an object by the names of its values. Those that are too many are
/// counted, not kept.
struct Sorter<const N: usize> {
    names: [&'static str; N],
}

impl<'de, const N: usize> Visitor<'de> for Sorter<N> {
    type Value = Sorted<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut listed: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        let mut count = 0;
        for value in &mut values {
            *value = listed.next_element()?;
            count += usize::from(value.is_some());
        }
        if count < N {
            return Ok(Sorted::Values(values));
        }
        while listed.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(if count > N {
            Sorted::TooMany(count)
        } else {
            Sorted::Values(values)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(Name(name)) = given.next_key()? {
            let known = self.names.iter().zip(&mut values);
            let mut known = known.filter(|(known, _)| **known == name);
            let reason = match known.next() {
                None => "no parameter has this name",
                Some((_, Some(_))) => "it is given twice",
                Some((_, value)) => {
                    *value = Some(given.next_value()?);
                    continue;
                }
            };
            given.next_value::<IgnoredAny>()?;
            while given.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Sorted::Wrong { name, reason });
        }
        Ok(Sorted::Values(values))
    }
}

/// The text that a value is, or what is wrong with it.
pub(crate) fn text_of(value: &RawValue) -> Result<Cow<'_, str>, String> {
    serde_json::from_str::<Name<'_>>(value.get())
        .map(|name| name.0)
        .map_err(|_| "it must be a text".to_owned())
}

/// The bytes that a value is in hex, or what is wrong with it.
pub(crate) fn hex_of(value: &RawValue) -> Result<Vec<u8>, String> {
    let decoded = serde_json::Deserializer::from_str(value.get()).deserialize_str(Hex);
    decoded
        .map_err(|_| "it must be a text".to_owned())?
        .map_err(not_hex)
}

/// The block that a text names, or what is wrong with it.
fn block_of(text: &str) -> Result<BlockId, String> {
    text.parse().map_err(|_: ParseBlockIdError| {
        let text = quoted(text).into_owned();
        ParseBlockIdError { text }.to_string()
    })
}

/// As [`block_of`], or `pending`.
pub(crate) fn view_at(text: &str) -> Result<ViewAt, String> {
    if text == "pending" {
        return Ok(ViewAt::Pending);
    }
    block_of(text).map(ViewAt::Block)
}

/// The bytes that a text is in hex, or what is wrong with it.
pub(crate) fn hex_of_text(text: &str) -> Result<Vec<u8>, String> {
    decode(text).map_err(not_hex)
}

fn not_hex(error: FromHexError) -> String {
    format!("it must be hex, but: {error}")
}

fn decode(text: &str) -> Result<Vec<u8>, FromHexError> {
    match text.strip_prefix("0X") {
        // The decoder takes this prefix off, which is the second one here.
        Some(digits) if digits.starts_with("0x") => {
            Err(FromHexError::InvalidHexCharacter { c: 'x', index: 1 })
        }
        Some(digits) => hex::decode(digits),
        None => hex::decode(text),
    }
}

/// Decodes a text's digits, wherever the text is.
struct Hex;

impl Visitor<'_> for Hex {
    type Value = Result<Vec<u8>, FromHexError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(decode(text))
    }
}

/// A client's text as errors quote it.
fn quoted(text: &str) -> Cow<'_, str> {
    match text.get(..text.floor_char_boundary(QUOTED)) {
        Some(start) if start.len() < text.len() => Cow::Owned(format!("{start}…")),
        _ => Cow::Borrowed(text),
    }
}

/// The error `-32602`, about `parameter` or about all of them.
pub(crate) fn invalid(parameter: Option<&str>, reason: &str) -> RpcError {
    let parameter = parameter.map(quoted);
    let message = match &parameter {
        Some(parameter) => format!("Invalid params: `{parameter}`: {reason}"),
        None => format!("Invalid params: {reason}"),
    };
    fault::object(
        INVALID_PARAMS,
        message,
        json!({ "kind": "invalid_params", "parameter": parameter }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["function", "input", "block"];

    fn read(json: &str) -> Result<(String, Vec<u8>, BlockId), String> {
        let params = Some(json).filter(|json| *json != "null");
        let read = || {
            let arguments = Arguments::read(params, NAMES)?;
            Ok((
                arguments.text("function")?.into_owned(),
                arguments.input("input")?,
                arguments.block("block")?,
            ))
        };
        read().map_err(|error: RpcError| {
            assert_eq!(error.code, INVALID_PARAMS);
            error.message.into_owned()
        })
    }

    fn check(json: &str, input: &[u8], block: BlockId) {
        assert_eq!(
            read(json),
            Ok(("f".to_owned(), input.to_vec(), block)),
            "{json}"
        );
    }

    #[test]
    fn by_position_and_by_name() {
        let latest = BlockId::Latest;
        check(r#"["f", "0x0aFF", 7]"#, &[10, 255], BlockId::Height(7));
        check(r#"["f", "0aff", "7"]"#, &[10, 255], BlockId::Height(7));
        check(r#"["f", "0X0aFf", "0X7"]"#, &[10, 255], BlockId::Height(7));
        check(r#"["f", "", "0x7"]"#, &[], BlockId::Height(7));
        check(r#"["f", "0x", "latest"]"#, &[], latest);
        check(r#"["f", null, null]"#, &[], latest);
        check(r#"["f"]"#, &[], latest);
        check(r#"["\u0066"]"#, &[], latest);
        check(r#"{"function": "f"}"#, &[], latest);
        check(
            r#"{"block": 7, "input": "00", "function": "f"}"#,
            &[0],
            BlockId::Height(7),
        );
    }

    #[test]
    fn complaints_name_the_parameter() {
        let check = |json: &str, expect: &str| {
            let message = read(json).unwrap_err();
            assert!(message.contains(expect), "{json}: {message}");
        };
        check("[]", "`function`: it is missing");
        check("null", "`function`: it is missing");
        check("[null]", "`function`: it is missing");
        check("[1]", "`function`: it must be a text");
        check(r#"["f", "0x0"]"#, "`input`: it must be hex");
        check(r#"["f", "zz"]"#, "`input`: it must be hex");
        check(r#"["f", "0x0X00"]"#, "`input`: it must be hex");
        check(r#"["f", "0X0x00"]"#, "`input`: it must be hex");
        check(r#"["f", 12]"#, "`input`: it must be hex");
        check(r#"["f", "", -1]"#, "`block`: it must be a height");
        check(r#"["f", "", 1.5]"#, "`block`: it must be a height");
        check(r#"["f", "", {}]"#, "`block`: it must be a height");
        check(r#"["f", "", true]"#, "`block`: it must be a height");
        check(
            r#"["f", "", 4294967296]"#,
            "`block`: `4294967296` names no block",
        );
        check(r#"["f", "", "first"]"#, "`block`: `first` names no block");
        check(r#"["f", "", 1, 2]"#, "4 parameters are given, at most 3");
        check(r#"{"fn": "f"}"#, "`fn`: no parameter has this name");
        let twice = r#"{"function": "f", "f\u0075nction": null, "x": 1}"#;
        check(twice, "`function`: it is given twice");
        let many = format!("[{}0]", "0,".repeat(99_999));
        check(&many, "100000 parameters are given, at most 3");
    }

    #[test]
    fn complaints_quote_no_more_than_need_be() {
        let long = "ä".repeat(1_000_000);
        for json in [
            format!(r#"{{"{long}": 1}}"#),
            format!(r#"["f", "", "{long}"]"#),
        ] {
            let message = read(&json).unwrap_err();
            assert!(message.len() < 2 * QUOTED, "{}", message.len());
            assert!(message.contains("äääää…"), "{message}");
        }
    }
}

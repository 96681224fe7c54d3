//! Reading a call's parameters, by position or by name.
//!
//! Every complaint is `-32602` and names the parameter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jsonrpsee::types::error::INVALID_PARAMS_CODE;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::ViewAt;
use metashrew_store::{BlockId, ParseBlockIdError};
use serde_json::json;
use serde_json::value::RawValue;

/// The parameters of one call, in the order of the method's parameter names.
/// Parameters that are `null` count as left out.
pub(crate) struct Arguments<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
    /// Where they stand: empty, or the parameter that holds them.
    within: String,
}

impl<'a, const N: usize> Arguments<'a, N> {
    /// Sorts `params` by the method's parameter `names`.
    pub(crate) fn read(
        params: &'a Params<'_>,
        names: [&'static str; N],
    ) -> Result<Self, ErrorObjectOwned> {
        Self::parse(params.as_str().unwrap_or("[]"), names, String::new())
    }

    /// Sorts what stands in the parameter `within`, an array or an object.
    pub(crate) fn nested(
        value: &'a RawValue,
        names: [&'static str; N],
        within: String,
    ) -> Result<Self, ErrorObjectOwned> {
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

    fn parse(
        text: &'a str,
        names: [&'static str; N],
        within: String,
    ) -> Result<Self, ErrorObjectOwned> {
        let all = (!within.is_empty()).then_some(within.as_str());
        let unreadable = |error: serde_json::Error| invalid(all, &error.to_string());
        let mut values = [None; N];
        if text.trim_start().starts_with('{') {
            let by_name: BTreeMap<Cow<'a, str>, &'a RawValue> =
                serde_json::from_str(text).map_err(unreadable)?;
            for (name, value) in by_name {
                let slot = names
                    .iter()
                    .zip(values.iter_mut())
                    .find_map(|(known, slot)| (*known == name).then_some(slot));
                let Some(slot) = slot else {
                    let unknown = path(&within, &name);
                    return Err(invalid(Some(&unknown), "no parameter has this name"));
                };
                *slot = Some(value);
            }
        } else {
            let listed: Option<Vec<&'a RawValue>> =
                serde_json::from_str(text).map_err(unreadable)?;
            let listed = listed.unwrap_or_default();
            if listed.len() > N {
                let count = listed.len();
                let reason = format!("{count} parameters are given, at most {N} are taken");
                return Err(invalid(all, &reason));
            }
            for (slot, value) in values.iter_mut().zip(listed) {
                *slot = Some(value);
            }
        }
        Ok(Self::of(values, names, within))
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &'static str) -> Result<Cow<'a, str>, ErrorObjectOwned> {
        let value = self.needed(name)?;
        text_of(value).map_err(|reason| self.invalid(name, &reason))
    }

    /// Bytes as hex, with or without `0x`; none if left out.
    pub(crate) fn hex_or_empty(&self, name: &'static str) -> Result<Vec<u8>, ErrorObjectOwned> {
        self.value(name).map_or_else(
            || Ok(Vec::new()),
            |value| hex_of(value).map_err(|reason| self.invalid(name, &reason)),
        )
    }

    /// The name of a block; the last committed one if left out.
    pub(crate) fn block(&self, name: &'static str) -> Result<BlockId, ErrorObjectOwned> {
        let Some(value) = self.value(name) else {
            return Ok(BlockId::Latest);
        };
        self.block_text(name, value)?
            .parse()
            .map_err(|error: ParseBlockIdError| self.invalid(name, &error.to_string()))
    }

    /// As [`Self::block`], or `pending`.
    pub(crate) fn view_at(&self, name: &'static str) -> Result<ViewAt, ErrorObjectOwned> {
        match self.value(name) {
            Some(value) if value.get() == "\"pending\"" => Ok(ViewAt::Pending),
            _ => self.block(name).map(ViewAt::Block),
        }
    }

    fn block_text(
        &self,
        name: &'static str,
        value: &'a RawValue,
    ) -> Result<Cow<'a, str>, ErrorObjectOwned> {
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
    pub(crate) fn needed(&self, name: &'static str) -> Result<&'a RawValue, ErrorObjectOwned> {
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
    pub(crate) fn invalid(&self, name: &str, reason: &str) -> ErrorObjectOwned {
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

/// The text that a value is, or what is wrong with it.
pub(crate) fn text_of(value: &RawValue) -> Result<Cow<'_, str>, String> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get())
        .map(|text| text.0)
        .map_err(|_| "it must be a text".to_owned())
}

/// The bytes that a value is in hex, or what is wrong with it.
pub(crate) fn hex_of(value: &RawValue) -> Result<Vec<u8>, String> {
    let text = text_of(value)?;
    let bytes = match text.strip_prefix("0X") {
        Some(digits) => hex::decode(format!("0x{digits}")),
        None => hex::decode(text.as_ref()),
    };
    bytes.map_err(|error| format!("it must be hex, but: {error}"))
}

/// The error `-32602`, about `parameter` or about all of them.
pub(crate) fn invalid(parameter: Option<&str>, reason: &str) -> ErrorObjectOwned {
    let message = match parameter {
        Some(parameter) => format!("Invalid params: `{parameter}`: {reason}"),
        None => format!("Invalid params: {reason}"),
    };
    ErrorObjectOwned::owned(
        INVALID_PARAMS_CODE,
        message,
        Some(json!({ "kind": "invalid_params", "parameter": parameter })),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["function", "input", "block"];

    fn read(json: &str) -> Result<(String, Vec<u8>, BlockId), String> {
        let params = Params::new(Some(json));
        let read = || {
            let arguments = Arguments::read(&params, NAMES)?;
            Ok((
                arguments.text("function")?.into_owned(),
                arguments.hex_or_empty("input")?,
                arguments.block("block")?,
            ))
        };
        read().map_err(|error: ErrorObjectOwned| {
            assert_eq!(error.code(), INVALID_PARAMS_CODE);
            error.message().to_owned()
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
        check(r#"["f", 12]"#, "`input`: it must be a text");
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
    }
}

//! Reading a call's parameters, by position or by name.
//!
//! Every complaint is `-32602` and names the parameter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jsonrpsee::types::error::INVALID_PARAMS_CODE;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_store::BlockId;
use serde_json::json;
use serde_json::value::RawValue;

/// The parameters of one call, in the order of the method's parameter names.
/// Parameters that are `null` count as left out.
pub(crate) struct Arguments<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Arguments<'a, N> {
    /// Sorts `params` by the method's parameter `names`.
    pub(crate) fn read(
        params: &'a Params<'_>,
        names: [&'static str; N],
    ) -> Result<Self, ErrorObjectOwned> {
        let mut values = [None; N];
        let text = params.as_str().unwrap_or("[]");
        if params.is_object() {
            let by_name: BTreeMap<Cow<'a, str>, &'a RawValue> =
                serde_json::from_str(text).map_err(|error| invalid(None, &error.to_string()))?;
            for (name, value) in by_name {
                let slot = names
                    .iter()
                    .zip(values.iter_mut())
                    .find_map(|(known, slot)| (*known == name).then_some(slot));
                match slot {
                    Some(slot) => *slot = Some(value),
                    None => return Err(invalid(Some(&name), "no parameter has this name")),
                }
            }
        } else {
            let listed: Option<Vec<&'a RawValue>> =
                serde_json::from_str(text).map_err(|error| invalid(None, &error.to_string()))?;
            let listed = listed.unwrap_or_default();
            if listed.len() > N {
                return Err(invalid(
                    None,
                    &format!(
                        "{} parameters are given, at most {N} are taken",
                        listed.len()
                    ),
                ));
            }
            for (slot, value) in values.iter_mut().zip(listed) {
                *slot = Some(value);
            }
        }
        let values = values.map(|value| value.filter(|value| value.get() != "null"));
        Ok(Self { names, values })
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &'static str) -> Result<Cow<'a, str>, ErrorObjectOwned> {
        match self.value(name) {
            Some(value) => text_of(name, value),
            None => Err(invalid(Some(name), "it is missing")),
        }
    }

    /// Bytes as hex, with or without `0x`, that must be there.
    pub(crate) fn hex(&self, name: &'static str) -> Result<Vec<u8>, ErrorObjectOwned> {
        match self.value(name) {
            Some(value) => hex_of(name, value),
            None => Err(invalid(Some(name), "it is missing")),
        }
    }

    /// Bytes as hex, with or without `0x`; none if left out.
    pub(crate) fn hex_or_empty(&self, name: &'static str) -> Result<Vec<u8>, ErrorObjectOwned> {
        self.value(name)
            .map_or_else(|| Ok(Vec::new()), |value| hex_of(name, value))
    }

    /// The name of a block; the last committed one if left out.
    pub(crate) fn block(&self, name: &'static str) -> Result<BlockId, ErrorObjectOwned> {
        let Some(value) = self.value(name) else {
            return Ok(BlockId::Latest);
        };
        let text = if value.get().starts_with('"') {
            text_of(name, value)?
        } else if value.get().bytes().all(|byte| byte.is_ascii_digit()) {
            Cow::Borrowed(value.get())
        } else {
            return Err(invalid(
                Some(name),
                "it must be a height (a number or a text), a block hash, `height:hash` or `latest`",
            ));
        };
        text.parse()
            .map_err(|error: metashrew_store::ParseBlockIdError| {
                invalid(Some(name), &error.to_string())
            })
    }

    fn value(&self, name: &'static str) -> Option<&'a RawValue> {
        debug_assert!(self.names.contains(&name), "`{name}` is no parameter");
        self.names
            .iter()
            .zip(self.values)
            .find_map(|(known, value)| (*known == name).then_some(value))
            .flatten()
    }
}

fn text_of<'a>(name: &str, value: &'a RawValue) -> Result<Cow<'a, str>, ErrorObjectOwned> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'a>>(value.get())
        .map(|text| text.0)
        .map_err(|_| invalid(Some(name), "it must be a text"))
}

fn hex_of(name: &str, value: &RawValue) -> Result<Vec<u8>, ErrorObjectOwned> {
    let text = text_of(name, value)?;
    hex::decode(text.as_ref())
        .map_err(|error| invalid(Some(name), &format!("it must be hex, but: {error}")))
}

/// The error `-32602`, about `parameter` or about all of them.
fn invalid(parameter: Option<&str>, reason: &str) -> ErrorObjectOwned {
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

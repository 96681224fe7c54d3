//! What an answer must be by JSON-RPC 2.0, read by a parser that takes no liberties.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// One answer: its id to the letter, and the code of its error if it is one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) error: Option<i64>,
}

/// What a body answers: one thing, or an array of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    One(Told),
    Batch(Vec<Told>),
}

/// Reads an answer; what is wrong with it if it is not legal.
pub(crate) fn read(answer: &[u8]) -> Result<Answered, String> {
    let text = std::str::from_utf8(answer).map_err(|error| error.to_string())?;
    if !text.starts_with('[') {
        return one(text).map(Answered::One);
    }
    let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if entries.is_empty() {
        return Err("a batch of no answers".to_owned());
    }
    let told = entries.into_iter().map(|entry| one(entry.get()));
    Ok(Answered::Batch(told.collect::<Result<_, _>>()?))
}

fn one(text: &str) -> Result<Told, String> {
    let wrong = |what: &str| format!("{what}: {text}");
    let members = members(text)?;
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    let failed = match names.as_slice() {
        ["error", "id", "jsonrpc"] => true,
        ["id", "jsonrpc", "result"] => false,
        _ => return Err(wrong("these are not the members of an answer")),
    };
    if members["jsonrpc"] != "\"2.0\"" {
        return Err(wrong("another version"));
    }
    let id = members["id"].clone();
    let is_id = id == "null" || id.starts_with(['"', '-']) || id.starts_with(char::is_numeric);
    if !is_id {
        return Err(wrong("no id"));
    }
    let error = failed.then(|| code(&members["error"])).transpose()?;
    Ok(Told { id, error })
}

/// The members of an object to the letter; none may be there twice.
fn members(text: &str) -> Result<BTreeMap<String, String>, String> {
    struct Members(BTreeMap<String, String>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut given: A,
                ) -> Result<Members, A::Error> {
                    let mut members = BTreeMap::new();
                    while let Some((name, value)) = given.next_entry::<String, &RawValue>()? {
                        if members.insert(name, value.get().to_owned()).is_some() {
                            return Err(serde::de::Error::custom("a member is there twice"));
                        }
                    }
                    Ok(Members(members))
                }
            }
            from.deserialize_map(Visitor)
        }
    }
    let members = serde_json::from_str::<Members>(text);
    let members = members.map_err(|error| format!("{error}: {text}"))?;
    Ok(members.0)
}

/// The code of an error object.
fn code(text: &str) -> Result<i64, String> {
    let wrong = |what: &str| format!("{what}: {text}");
    let members = members(text)?;
    let known = ["code", "data", "message"];
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(wrong(&format!("an error has no `{name}`")));
    }
    let member = |name: &str| {
        let text = members
            .get(name)
            .ok_or_else(|| wrong("it lacks a member"))?;
        serde_json::from_str::<Value>(text).map_err(|error| error.to_string())
    };
    if !member("message")?.is_string() {
        return Err(wrong("its message is no text"));
    }
    member("code")?
        .as_i64()
        .ok_or_else(|| wrong("its code is no whole number"))
}

#[test]
fn what_is_not_legal_is_found() {
    for good in [
        r#"{"jsonrpc":"2.0","id":1e3,"result":null}"#,
        r#"[{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":""}}]"#,
    ] {
        assert!(read(good.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        "",
        "[]",
        "1",
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":true,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"","more":1}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":1},2]"#,
    ] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
}

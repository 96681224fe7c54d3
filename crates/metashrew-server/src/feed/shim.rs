//! What is to come from elsewhere.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::fault::RpcError;
use crate::params::{hex_of, invalid};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    #[default]
    Hex,
    Json,
    Text,
}

impl Form {
    pub(crate) fn of_json(name: &str) -> Result<Self, String> {
        match name {
            "hex" => Ok(Self::Hex),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("it must be `json`, `text` or `hex`".to_owned()),
        }
    }

    pub(crate) async fn result(
        self,
        bytes: Bytes,
        _: &crate::offload::Offload,
    ) -> Result<crate::answer::Answer, RpcError> {
        let wrong = |error: &dyn std::error::Error| {
            let data = serde_json::json!({ "kind": "answer_form" });
            crate::fault::object(-32017, error.to_string(), data)
        };
        let json = match self {
            Self::Hex => serde_json::json!(hex::encode_prefixed(bytes)),
            Self::Json => serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?,
            Self::Text => {
                serde_json::json!(std::str::from_utf8(&bytes).map_err(|error| wrong(&error))?)
            }
        };
        let mut answer = crate::answer::Answer::default();
        answer.push(&json.to_string());
        Ok(answer)
    }
}

pub(super) fn input(value: &RawValue) -> Result<Vec<u8>, String> {
    match serde_json::from_str(value.get()) {
        Ok(serde_json::Value::Object(members)) if members.contains_key("json") => {
            Ok(members["json"].to_string().into_bytes())
        }
        _ => hex_of(value),
    }
}

pub(crate) fn compact(json: &str) -> Vec<u8> {
    json.as_bytes().to_vec()
}

pub(crate) fn hex_of_text(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|error| format!("it must be hex, but: {error}"))
}

#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Result<Self, RpcError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Ok(Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
        ))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    pub(crate) fn take_as<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, RpcError> {
        let value = self.take(name);
        let value = value.map(|value| read(&value)).transpose();
        value.map_err(|reason| invalid(Some(name), &reason))
    }

    pub(crate) fn take_input(&mut self) -> Result<Option<Vec<u8>>, RpcError> {
        if let Some(json) = self.take("json") {
            return Ok(Some(json.into_bytes()));
        }
        self.take_as("input", hex_of_text)
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

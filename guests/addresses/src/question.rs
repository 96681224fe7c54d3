//! Which script a question is about.

use crate::keys::{self, ScriptId};
use crate::script;
use serde::Deserialize;

/// One of `address`, `script` and `scripthash`, and what pages a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// An address of any Bitcoin network.
    address: Option<String>,
    /// A locking script, in hex.
    script: Option<String>,
    /// Electrum's script hash: the script's SHA-256, bytes reversed, in hex.
    scripthash: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<u32>,
    pub(crate) offset: Option<u32>,
    pub(crate) order: Option<Order>,
}

/// Which end of a history comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The oldest.
    Asc,
    /// The newest.
    Desc,
}

impl Question {
    /// The script it is about.
    pub(crate) fn script_id(&self) -> Result<ScriptId, String> {
        match (&self.address, &self.script, &self.scripthash) {
            (Some(address), None, None) => Ok(keys::script_id(&script::of_address(address)?)),
            (None, Some(script), None) => {
                let script = hex::decode(script).map_err(|_| "`script` is not hex")?;
                Ok(keys::script_id(&script))
            }
            (None, None, Some(hash)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(hash, &mut bytes)
                    .map_err(|_| "`scripthash` is not 64 hex digits")?;
                bytes.reverse();
                Ok(keys::id_of_hash(&bytes))
            }
            _ => Err("give one of `address`, `script` and `scripthash`".to_owned()),
        }
    }

    /// How many entries to answer with.
    pub(crate) fn limit(&self, default: u32, most: u32) -> Result<u32, String> {
        match self.limit.unwrap_or(default) {
            limit if (1..=most).contains(&limit) => Ok(limit),
            limit => Err(format!("`limit` is {limit}; it may be 1 to {most}")),
        }
    }
}

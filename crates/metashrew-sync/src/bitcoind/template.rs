//! The block the node would mine next.

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// What the node would put into the block on its tip.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockTemplate {
    /// The tip's hash.
    #[serde(
        rename = "previousblockhash",
        deserialize_with = "super::answer::from_text"
    )]
    pub parent: BlockHash,
    /// The block's height: the tip's and one.
    pub height: Height,
    /// The block's time, in seconds since 1970.
    #[serde(rename = "curtime")]
    pub time: u32,
    /// The block's version.
    pub version: i32,
    /// The target, in compact form.
    #[serde(deserialize_with = "from_hex_number")]
    pub bits: u32,
    /// What the coinbase may pay, fees included, in satoshi.
    #[serde(rename = "coinbasevalue")]
    pub coinbase_value: u64,
    /// The script of the coinbase output that commits to the witnesses, if there is
    /// to be one.
    #[serde(
        rename = "default_witness_commitment",
        default,
        deserialize_with = "from_optional_hex"
    )]
    pub witness_commitment: Option<Bytes>,
    /// The transactions without the coinbase, consensus-encoded, in their order.
    #[serde(deserialize_with = "from_transactions")]
    pub transactions: Vec<Bytes>,
}

#[derive(Deserialize)]
struct Transaction {
    data: String,
}

fn from_hex_number<'a, D: Deserializer<'a>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    u32::from_str_radix(&text, 16).map_err(D::Error::custom)
}

fn from_optional_hex<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(from_hex).transpose()
}

fn from_transactions<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<Bytes>, D::Error> {
    let transactions = Vec::<Transaction>::deserialize(deserializer)?;
    transactions
        .into_iter()
        .map(|transaction| from_hex(transaction.data))
        .collect()
}

fn from_hex<E: serde::de::Error>(text: String) -> Result<Bytes, E> {
    hex::decode(text).map(Bytes::from).map_err(E::custom)
}

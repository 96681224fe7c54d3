//! What can be asked: JSON in, JSON out. A view sees the state of the block it is asked about, and changes nothing.

use crate::index;
use crate::tables::OUTPUTS;
use metashrew_core::range::Cursor;
use serde::{Deserialize, Serialize};
use std::error::Error;

/// The longest page of outputs.
const MAX_LIMIT: usize = 1_000;

/// Which script, in hex.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The locking script.
    #[serde(with = "hex")]
    pub script: Vec<u8>,
}

/// What a script has.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The block that the answer is about.
    pub height: u32,
    /// What it has, in satoshi.
    pub satoshi: u64,
}

/// What a script has.
#[metashrew_core::view(json)]
pub fn balance(height: u32, question: &Script) -> Result<Balance, Box<dyn Error>> {
    let satoshi = index::balance(&question.script)?;
    Ok(Balance { height, satoshi })
}

/// Which outputs to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The locking script.
    #[serde(with = "hex")]
    pub script: Vec<u8>,
    /// How many, 1 to 1,000.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// The `next` of the page before; the first page if left out.
    #[serde(default)]
    pub after: Option<String>,
}

fn default_limit() -> usize {
    100
}

/// An unspent output.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its transaction's id, as explorers write it.
    pub txid: String,
    /// Its number in the transaction.
    pub vout: u32,
    /// What it is worth, in satoshi.
    pub value: u64,
    /// The block that it is from.
    pub height: u32,
}

/// A page of unspent outputs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The block that the answer is about.
    pub height: u32,
    /// The outputs, in the order of their stored ids.
    pub outputs: Vec<Listed>,
    /// What to ask with for the next page; none if this is the last.
    pub next: Option<String>,
}

/// The unspent outputs of a script.
#[metashrew_core::view(json)]
pub fn outputs(height: u32, question: &Question) -> Result<Page, Box<dyn Error>> {
    // An error is the caller's answer; the guest goes on.
    if !(1..=MAX_LIMIT).contains(&question.limit) {
        return Err(format!("limit is {}, and may be 1 to {MAX_LIMIT}", question.limit).into());
    }
    let of_script = OUTPUTS.multi(|by| &by.0).prefix(&question.script);
    let after = question.after.as_ref().map(hex::decode).transpose()?;
    let after = after.map(Cursor::from_bytes);
    let page = of_script.key_page(question.limit, after.as_ref())?;
    let mut outputs = Vec::new();
    for (mut txid, vout) in page.rows {
        let Some(unspent) = OUTPUTS.get((txid, vout))? else {
            continue;
        };
        txid.reverse();
        outputs.push(Listed {
            txid: hex::encode(txid),
            vout,
            value: unspent.value,
            height: unspent.height,
        });
    }
    Ok(Page {
        height,
        outputs,
        next: page.next.map(|next| hex::encode(next.to_bytes())),
    })
}

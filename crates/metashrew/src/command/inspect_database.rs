//! `metashrew inspect --db`: what a database is, as it says itself.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use metashrew_store::{Identity, Store};
use serde_json::{Value, json};

/// What is printed. Nothing is opened or locked: another process may hold it.
pub(super) fn run(path: &Path, as_json: bool) -> Result<String> {
    let identity = Store::identity_of(path)
        .with_context(|| format!("`{}` cannot be inspected", path.display()))?;
    Ok(if as_json {
        format!("{:#}\n", json_of(&identity))
    } else {
        text_of(&identity)
    })
}

fn json_of(identity: &Identity) -> Value {
    let network = &identity.network;
    let guests = identity.guests.iter().map(|entry| {
        json!({
            "sha256": hex::encode_prefixed(entry.guest.sha256),
            "name": entry.guest.name,
            "version": entry.guest.version,
            "from": entry.first_height,
        })
    });
    json!({
        "format": metashrew_store::FORMAT,
        "network": {
            "name": network.name,
            "magic": network.magic.map(hex::encode),
            "genesis": network.genesis.map(|hash| hash.to_string()),
        },
        "first_height": identity.first_height,
        "guests": guests.collect::<Vec<_>>(),
    })
}

fn text_of(identity: &Identity) -> String {
    let first = identity.first_height;
    let mut text = format!(
        "format: {}\nnetwork: {}\nfirst block: {}\n",
        metashrew_store::FORMAT,
        identity.network,
        first.map_or_else(|| "none yet".to_owned(), |height| height.to_string())
    );
    for entry in &identity.guests {
        writeln!(
            text,
            "guest from block {}: {}",
            entry.first_height, entry.guest
        )
        .expect("a String takes every line");
    }
    text
}

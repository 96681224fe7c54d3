//! `metashrew inspect --db`: what a database is, as it says itself.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use metashrew_store::{Identity, Store};
use serde_json::{Value, json};

use crate::printable;

/// What is printed. Nothing is opened or locked: another process may hold it.
pub(super) fn run(path: &Path, as_json: bool) -> Result<String> {
    let identity = Store::identity_of(path)
        .with_context(|| format!("`{}` cannot be inspected", path.display()))?;
    Ok(if as_json {
        let text = format!("{:#}\n", json_of(&identity));
        printable::json(&text).into_owned()
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
        "only_last_guest": identity.only_last_guest,
    })
}

fn text_of(identity: &Identity) -> String {
    let first = identity.first_height;
    let mut text = format!(
        "format: {}\nnetwork: {}\nfirst block: {}\n",
        metashrew_store::FORMAT,
        printable::line(&identity.network.to_string()),
        first.map_or_else(|| "none yet".to_owned(), |height| height.to_string())
    );
    for entry in &identity.guests {
        writeln!(
            text,
            "guest from block {}: {}",
            entry.first_height,
            printable::line(&entry.guest.to_string())
        )
        .expect("a String takes every line");
    }
    if identity.only_last_guest {
        text.push_str("a fork: only the last guest may write the next block\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use metashrew_store::{GuestFrom, GuestId, NetworkId};

    use super::*;

    #[test]
    fn what_the_file_says_is_shown_harmlessly() {
        let harmful = || Some("\x1b[2J\nguest from block 0: ".to_owned());
        let identity = Identity {
            network: NetworkId {
                name: harmful(),
                ..NetworkId::default()
            },
            first_height: Some(1),
            guests: vec![GuestFrom {
                first_height: 1,
                guest: GuestId {
                    sha256: [7; 32],
                    name: harmful(),
                    version: harmful(),
                },
            }],
            only_last_guest: false,
        };
        let text = text_of(&identity);
        assert_eq!(text.lines().count(), 4, "{text:?}");
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}

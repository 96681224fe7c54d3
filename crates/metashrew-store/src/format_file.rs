//! The file `FORMAT` beside the engine: what a database is, in plain text.
//!
//! It is read before anything is opened or created, so that a directory that is not
//! ours, or is of another format, is left as it is. It is replaced as a whole: written
//! beside its place, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::backend::BackendError;
use crate::block::{Height, hex32};
use crate::directory;
use crate::error::OpenError;
use crate::fork;
use crate::identity::{GuestFrom, GuestId, Identity, NetworkId};
use crate::keys::FORMAT;
use crate::open::HINT;

const FILE: &str = "FORMAT";
/// Where a new one is written, to be renamed.
const UNFINISHED: &str = "FORMAT.new";
/// The engine that this program uses, with its major version.
const ENGINE: &str = "lsm-tree 3";
/// The last format without the file. It and the one before look alike from outside.
const LAST_WITHOUT: u32 = 2;
/// Far beyond what any database writes there, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// The number alone, which every format has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct Content {
    format: u32,
    engine: String,
    network: Network,
    first_height: Option<Height>,
    guests: Vec<Guest>,
    /// Left out where it is false, as it is in all but forks that nobody has continued yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    only_last_guest: bool,
}

#[derive(Serialize, Deserialize)]
struct Network {
    name: Option<String>,
    magic: Option<String>,
    genesis: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Guest {
    first_height: Height,
    sha256: String,
    name: Option<String>,
    version: Option<String>,
}

/// Reads what the directory `path` says it is; none if there is no database yet: it is
/// missing, empty, or holds what a killed creation or a new file system leaves. Changes
/// nothing.
///
/// Any other directory is refused: of another format, not ours, or damaged.
pub(crate) fn read(path: &Path) -> Result<Option<Identity>, OpenError> {
    let Some(text) = read_text(&path.join(FILE))? else {
        return check_unused(path).map(|()| None);
    };
    if fork::is_unfinished(path) {
        return Err(foreign(path, fork::MARKER));
    }
    let has_engine = path.join("engine").is_dir();
    let malformed = |what: String| {
        if has_engine {
            OpenError::Corrupt { what, hint: HINT }
        } else {
            foreign(path, FILE)
        }
    };
    let Version { format } = serde_json::from_str(&text)
        .map_err(|error| malformed(format!("the file `{FILE}` is malformed: {error}")))?;
    if format != FORMAT {
        return Err(OpenError::Format {
            found: format,
            supported: FORMAT,
        });
    }
    let content: Content = serde_json::from_str(&text)
        .map_err(|error| malformed(format!("the file `{FILE}` is malformed: {error}")))?;
    if content.engine != ENGINE {
        return Err(OpenError::Engine {
            found: content.engine,
            supported: ENGINE,
        });
    }
    let identity = content.identity().ok_or_else(|| {
        malformed(format!(
            "the file `{FILE}` is malformed: a hash or a magic is no hex"
        ))
    })?;
    if identity.first_height.is_some() && !has_engine {
        return Err(OpenError::Corrupt {
            what: "the directory `engine` is missing".to_owned(),
            hint: HINT,
        });
    }
    Ok(Some(identity))
}

/// Writes the file of a new database, unless it is there. The caller holds the lock.
pub(crate) fn create_if_missing(path: &Path) -> Result<(), OpenError> {
    if read(path)?.is_none() {
        write(path, &Identity::default())
            .map_err(|error| BackendError::new("writing the FORMAT file", error))?;
    }
    Ok(())
}

/// Replaces the file, durably.
pub(crate) fn write(path: &Path, identity: &Identity) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&Content::of(identity))?;
    text.push('\n');
    let unfinished = path.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, path.join(FILE))?;
    directory::sync(path)
}

/// The file's text; none if there is no such file.
fn read_text(file: &Path) -> Result<Option<String>, OpenError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_LEN).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackendError::new("reading the FORMAT file", error).into()),
    }
}

/// Checks that a directory without the file is free to be made a database.
fn check_unused(path: &Path) -> Result<(), OpenError> {
    let unreadable = |error| BackendError::new("looking into the database's directory", error);
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable)?,
    };
    if path.join(fork::MARKER).exists() {
        return Err(foreign(path, fork::MARKER));
    }
    if path.join("engine").is_dir() {
        return Err(OpenError::Format {
            found: LAST_WITHOUT,
            supported: FORMAT,
        });
    }
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let metadata = entry.metadata().map_err(unreadable)?;
        let is_harmless = match entry.file_name().to_str() {
            Some("lock") => metadata.is_file() && metadata.len() == 0,
            Some(UNFINISHED) => metadata.is_file(),
            // What a fresh file system has in it.
            Some("lost+found") => metadata.is_dir(),
            _ => false,
        };
        if !is_harmless {
            return Err(foreign(path, &entry.file_name().to_string_lossy()));
        }
    }
    Ok(())
}

fn foreign(path: &Path, entry: &str) -> OpenError {
    OpenError::NotOurs {
        path: path.to_owned(),
        entry: entry.to_owned(),
    }
}

impl Content {
    fn of(identity: &Identity) -> Self {
        let network = &identity.network;
        Self {
            format: FORMAT,
            engine: ENGINE.to_owned(),
            network: Network {
                name: network.name.clone(),
                magic: network.magic.map(hex::encode),
                genesis: network.genesis.map(|genesis| genesis.to_string()),
            },
            first_height: identity.first_height,
            guests: identity.guests.iter().map(Guest::of).collect(),
            only_last_guest: identity.only_last_guest,
        }
    }

    fn identity(self) -> Option<Identity> {
        let Network {
            name,
            magic,
            genesis,
        } = self.network;
        let genesis = genesis.map(|text| text.parse().ok());
        let guests = self.guests.into_iter().map(Guest::read);
        Some(Identity {
            network: NetworkId {
                name,
                magic: given(magic.map(|text| parse_magic(&text)))?,
                genesis: given(genesis)?,
            },
            first_height: self.first_height,
            guests: guests.collect::<Option<_>>()?,
            only_last_guest: self.only_last_guest,
        })
    }
}

impl Guest {
    fn of(entry: &GuestFrom) -> Self {
        Self {
            first_height: entry.first_height,
            sha256: hex::encode(entry.guest.sha256),
            name: entry.guest.name.clone(),
            version: entry.guest.version.clone(),
        }
    }

    fn read(self) -> Option<GuestFrom> {
        Some(GuestFrom {
            first_height: self.first_height,
            guest: GuestId {
                sha256: hex32(&self.sha256)?,
                name: self.name,
                version: self.version,
            },
        })
    }
}

/// None only if there is a text that says nothing.
#[allow(
    clippy::option_option,
    reason = "what is missing is no mistake, what cannot be read is one"
)]
fn given<T>(parsed: Option<Option<T>>) -> Option<Option<T>> {
    match parsed {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}

fn parse_magic(text: &str) -> Option<[u8; 4]> {
    let is_hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u32::from_str_radix(text, 16).ok())?;
    number.map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::BlockHash;

    fn any_identity() -> impl Strategy<Value = Identity> {
        let network = (
            any::<Option<String>>(),
            any::<Option<[u8; 4]>>(),
            any::<Option<[u8; 32]>>(),
        );
        let guest = (
            any::<u32>(),
            any::<[u8; 32]>(),
            any::<Option<String>>(),
            any::<Option<String>>(),
        );
        let guests = proptest::collection::vec(guest, 0..4);
        let parts = (network, guests, any::<bool>());
        parts.prop_map(
            |((name, magic, genesis), guests, only_last_guest)| Identity {
                only_last_guest,
                network: NetworkId {
                    name,
                    magic,
                    genesis: genesis.map(BlockHash::from_bytes),
                },
                first_height: None,
                guests: guests
                    .into_iter()
                    .map(|(first_height, sha256, name, version)| GuestFrom {
                        first_height,
                        guest: GuestId {
                            sha256,
                            name,
                            version,
                        },
                    })
                    .collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(identity in any_identity()) {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), &identity).unwrap();
            prop_assert_eq!(read(directory.path()).unwrap(), Some(identity));
        }

        #[test]
        fn a_text_cut_short_is_refused(identity in any_identity(), share in 0u8..=254) {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), &identity).unwrap();
            fs::create_dir(directory.path().join("engine")).unwrap();
            let file = directory.path().join(FILE);
            let whole = fs::read(&file).unwrap();
            let cut = (whole.len() - 1) * usize::from(share) / 255;
            fs::write(&file, &whole[..cut]).unwrap();
            let error = read(directory.path()).unwrap_err();
            prop_assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        }
    }

    #[test]
    fn the_text_is_as_documented() {
        let identity = Identity {
            network: NetworkId {
                name: Some("regtest".to_owned()),
                magic: Some([0xfa, 0xbf, 0xb5, 0xda]),
                genesis: Some(BlockHash::from_bytes([0x11; 32])),
            },
            first_height: Some(7),
            guests: vec![GuestFrom {
                first_height: 7,
                guest: GuestId {
                    sha256: [0x22; 32],
                    name: Some("blocks".to_owned()),
                    version: None,
                },
            }],
            only_last_guest: false,
        };
        let text = serde_json::to_string_pretty(&Content::of(&identity)).unwrap();
        let expect = format!(
            r#"{{
  "format": 4,
  "engine": "lsm-tree 3",
  "network": {{
    "name": "regtest",
    "magic": "fabfb5da",
    "genesis": "{}"
  }},
  "first_height": 7,
  "guests": [
    {{
      "first_height": 7,
      "sha256": "{}",
      "name": "blocks",
      "version": null
    }}
  ]
}}"#,
            "11".repeat(32),
            "22".repeat(32)
        );
        assert_eq!(text, expect);
    }
}

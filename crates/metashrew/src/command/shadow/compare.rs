//! What two sides wrote in one block, and what that makes of the state.

use std::borrow::Cow;

use metashrew_store::{ReadError, State, WriteSet};

use crate::difference::differences;

/// Bytes of a value that are printed.
const SHOWN_BYTES: usize = 64;

/// What came of one block.
pub(super) struct Outcome {
    pub(super) height: u32,
    pub(super) compared: Compared,
}

pub(super) enum Compared {
    Writes {
        /// How many keys have another value after the block.
        differ: u64,
        /// The first of them.
        keys: Vec<Changed>,
        /// How many keys one side wrote and the other did not, or otherwise, though they have
        /// the same value: the history root differs, what a guest reads does not.
        idle: u64,
    },
    /// The other guest fails on the block.
    Failed { error: String },
}

/// A key with both values after the block, in hex. One that is absent is empty: so a guest
/// reads it.
pub(super) struct Changed {
    pub(super) key: Vec<u8>,
    pub(super) old: String,
    pub(super) new: String,
}

/// A value in hex; of a long one the first bytes, and how long it is.
fn shown(value: &[u8]) -> String {
    match value.len() {
        0 => "none".to_owned(),
        len if len <= SHOWN_BYTES => hex::encode_prefixed(value),
        len => {
            let start = value.get(..SHOWN_BYTES).unwrap_or_default();
            format!("{}… ({len} bytes)", hex::encode_prefixed(start))
        }
    }
}

/// What a side wrote, and the state below.
pub(super) struct Side<'a> {
    pub(super) writes: &'a WriteSet,
    pub(super) below: &'a State,
}

impl Side<'_> {
    /// The value of a key after the block, of which this side wrote `written`.
    fn value<'w>(&self, key: &[u8], written: Option<&'w [u8]>) -> Result<Cow<'w, [u8]>, ReadError> {
        if let Some(value) = written {
            return Ok(value.into());
        }
        let version = self.below.get(key)?;
        Ok(version.map_or_else(Cow::default, |version| version.value.to_vec().into()))
    }
}

/// Compares what was written, and keeps the first `limit` keys that have another value.
pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, limit: usize) -> Result<Compared, ReadError> {
    let (mut differ, mut idle, mut keys) = (0, 0, Vec::new());
    for it in differences(old.writes, new.writes) {
        let values = (old.value(it.key, it.first)?, new.value(it.key, it.second)?);
        if values.0 == values.1 {
            idle += 1;
            continue;
        }
        differ += 1;
        if keys.len() < limit {
            keys.push(Changed {
                key: it.key.to_vec(),
                old: shown(&values.0),
                new: shown(&values.1),
            });
        }
    }
    Ok(Compared::Writes { differ, keys, idle })
}

#[cfg(test)]
mod tests {
    use metashrew_store::{BlockHash, BlockRef, Store};

    use super::*;

    fn writes(pairs: &[(&str, &str)]) -> WriteSet {
        let mut writes = WriteSet::default();
        for (key, value) in pairs {
            writes.insert(key, value).unwrap();
        }
        writes
    }

    #[test]
    fn what_has_no_effect_is_told_apart() {
        let store = Store::in_memory();
        let block = BlockRef::new(
            0,
            BlockHash::from_bytes([1; 32]),
            BlockHash::from_bytes([0; 32]),
        );
        store
            .commit(&block, &writes(&[("a", "1"), ("b", "1")]))
            .unwrap();
        let below = store.snapshot().latest();
        let check = |old: &[(&str, &str)], new: &[(&str, &str)], expect: (u64, u64), keys: &str| {
            let (old, new) = (writes(old), writes(new));
            let side = |writes| Side {
                writes,
                below: &below,
            };
            let compared = compare(&side(&old), &side(&new), 2).unwrap();
            let Compared::Writes {
                differ,
                keys: found,
                idle,
            } = compared
            else {
                panic!("nothing ran that could fail");
            };
            assert_eq!((differ, idle), expect);
            let found: Vec<_> = found
                .iter()
                .map(|it| format!("{}:{}>{}", String::from_utf8_lossy(&it.key), it.old, it.new))
                .collect();
            assert_eq!(found.join(" "), keys);
        };
        check(&[("a", "2")], &[("a", "2")], (0, 0), "");
        check(&[("a", "2")], &[("a", "3")], (1, 0), "a:0x32>0x33");
        // Written again as it is, or not at all.
        check(&[("a", "1")], &[], (0, 1), "");
        check(&[], &[("c", "")], (0, 1), "");
        check(&[("a", "2")], &[], (1, 0), "a:0x32>0x31");
        check(&[], &[("a", "")], (1, 0), "a:0x31>none");
        check(
            &[("c", "3"), ("d", "4")],
            &[("a", "2"), ("b", "1")],
            (3, 1),
            "a:0x31>0x32 c:0x33>none",
        );
    }
}

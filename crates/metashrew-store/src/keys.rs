//! The layouts of all keys and records (`docs/storage.md` shows them).
//!
//! Invariant: the encoding of a user key in the history is order-preserving and
//! prefix-free, so no key's versions can lie among another's.

use bytes::{BufMut, Bytes, BytesMut};

use crate::block::{BlockHash, BlockRecord, Height, HistoryRoot};
use crate::chainwork::Chainwork;
use crate::error::ReadError;
use crate::write_set::Version;

/// The longest key a guest may write, in bytes.
///
/// In the history every byte may need an escape, and the engines take keys of
/// at most 65,535 bytes; the rest is room for the height and for their own tags.
pub const MAX_KEY_LEN: usize = 32_000;

/// The longest value a guest may write, in bytes: 256 MiB.
pub const MAX_VALUE_LEN: usize = 1 << 28;

/// What a guest may write in one block: 1 GiB.
///
/// Every key and value that is flushed counts with its length and [`WRITE_OVERHEAD`],
/// also where it replaces what the same block wrote before. So a guest that flushes
/// without end comes to its end, on every machine at the same pair.
pub const MAX_BLOCK_WRITES: usize = 1 << 30;

/// What each key and value that is written counts beside its length, in bytes: about
/// what a host keeps of it in its tables.
pub const WRITE_OVERHEAD: usize = 64;

/// The format this program writes, and the only one it reads.
pub const FORMAT: u32 = 4;

/// Where the format version lies in [`Space::Meta`](crate::Space::Meta).
pub(crate) const FORMAT_KEY: &[u8] = b"format";

/// Where the tip's record lies in [`Space::Meta`](crate::Space::Meta).
pub(crate) const TIP_KEY: &[u8] = b"tip";

/// Where the record of what is below the first block lies in
/// [`Space::Meta`](crate::Space::Meta).
pub(crate) const BASE_KEY: &[u8] = b"base";

const ESCAPED_ZERO: [u8; 2] = [0x00, 0xff];
const TERMINATOR: [u8; 2] = [0x00, 0x01];
pub(crate) const HEIGHT_LEN: usize = 4;

const _: () = assert!(
    MAX_KEY_LEN * ESCAPED_ZERO.len() + TERMINATOR.len() + HEIGHT_LEN < 65_000,
    "the longest history key must fit every engine"
);

/// The part of a history key that all versions of `key` share.
pub(crate) fn history_prefix(key: &[u8]) -> BytesMut {
    let mut prefix = BytesMut::with_capacity(key.len() + HISTORY_KEY_OVERHEAD);
    put_history_prefix(&mut prefix, key);
    prefix
}

/// What a history key has beside a user key without zeros, in bytes.
pub(crate) const HISTORY_KEY_OVERHEAD: usize = TERMINATOR.len() + HEIGHT_LEN + 2;

fn put_history_prefix(bytes: &mut BytesMut, key: &[u8]) {
    for (number, part) in key.split(|byte| *byte == 0).enumerate() {
        if number > 0 {
            bytes.extend_from_slice(&ESCAPED_ZERO);
        }
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(&TERMINATOR);
}

/// Adds the history key of the version of `key` that `height` wrote to `bytes`.
///
/// Heights are complemented, so that newer versions come first.
pub(crate) fn put_history_key(bytes: &mut BytesMut, key: &[u8], height: Height) {
    put_history_prefix(bytes, key);
    bytes.put_u32(!height);
}

/// The history key of the version of `prefix`'s key that `height` wrote.
pub(crate) fn history_key(prefix: &[u8], height: Height) -> Bytes {
    let mut key = BytesMut::with_capacity(prefix.len() + HEIGHT_LEN);
    key.extend_from_slice(prefix);
    key.put_u32(!height);
    key.freeze()
}

/// The height in a history key.
pub(crate) fn height_of_history_key(key: &[u8]) -> Result<Height, ReadError> {
    key.last_chunk::<HEIGHT_LEN>()
        .map(|bytes| !Height::from_be_bytes(*bytes))
        .ok_or_else(|| corrupt("a history key is too short"))
}

/// The value stored for a newest version.
pub(crate) fn encode_version(height: Height, value: &[u8]) -> Bytes {
    let mut record = BytesMut::with_capacity(HEIGHT_LEN + value.len());
    put_version(&mut record, height, value);
    record.freeze()
}

/// Adds the value stored for a newest version to `bytes`.
pub(crate) fn put_version(bytes: &mut BytesMut, height: Height, value: &[u8]) {
    bytes.put_u32(height);
    bytes.extend_from_slice(value);
}

/// The newest version that `record` holds; its value shares the record's memory.
pub(crate) fn decode_version(record: &Bytes) -> Result<Version, ReadError> {
    let height = record
        .first_chunk::<HEIGHT_LEN>()
        .ok_or_else(|| corrupt("a newest version is too short"))?;
    Ok(Version {
        height: Height::from_be_bytes(*height),
        value: record.slice(HEIGHT_LEN..),
    })
}

/// A block's record as it is stored: the record, and how many keys the block wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredBlock {
    pub(crate) record: BlockRecord,
    pub(crate) keys: u32,
}

const BLOCK_LEN: usize = HEIGHT_LEN + 32 + 32 + 4 + 4 + 32 + 32 + 4;

impl StoredBlock {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(BLOCK_LEN);
        bytes.put_u32(self.record.height);
        bytes.extend_from_slice(self.record.hash.as_bytes());
        bytes.extend_from_slice(self.record.parent.as_bytes());
        bytes.put_u32(self.record.time);
        bytes.put_u32(self.record.bits);
        bytes.extend_from_slice(self.record.chainwork.as_be_bytes());
        bytes.extend_from_slice(self.record.history_root.as_bytes());
        bytes.put_u32(self.keys);
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::try_decode(bytes).ok_or_else(|| corrupt("a block record has the wrong length"))
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let (height, rest) = bytes.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (parent, rest) = rest.split_first_chunk::<32>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let (bits, rest) = rest.split_first_chunk::<4>()?;
        let (chainwork, rest) = rest.split_first_chunk::<32>()?;
        let (history_root, rest) = rest.split_first_chunk::<32>()?;
        let (keys, rest) = rest.split_first_chunk::<4>()?;
        rest.is_empty().then(|| Self {
            record: BlockRecord {
                height: Height::from_be_bytes(*height),
                hash: BlockHash::from_bytes(*hash),
                parent: BlockHash::from_bytes(*parent),
                time: u32::from_be_bytes(*time),
                bits: u32::from_be_bytes(*bits),
                chainwork: Chainwork::from_be_bytes(*chainwork),
                history_root: HistoryRoot::from_bytes(*history_root),
            },
            keys: u32::from_be_bytes(*keys),
        })
    }
}

/// The key of one chunk of the list of keys that `height` wrote.
pub(crate) fn touched_key(height: Height, chunk: u32) -> Bytes {
    let mut key = BytesMut::with_capacity(2 * HEIGHT_LEN);
    key.put_u32(height);
    key.put_u32(chunk);
    key.freeze()
}

/// The height that starts `key`, a key ordered by height.
pub(crate) fn leading_height(key: &[u8]) -> Result<Height, ReadError> {
    key.first_chunk::<HEIGHT_LEN>()
        .map(|bytes| Height::from_be_bytes(*bytes))
        .ok_or_else(|| corrupt("a key that starts with a height is too short"))
}

/// The smallest key above every key that starts with `prefix`; none if there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = BytesMut::from(prefix.get(..=last)?);
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end.freeze())
}

pub(crate) fn corrupt(what: impl Into<String>) -> ReadError {
    ReadError::Corrupt { what: what.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![
                Just(0u8),
                Just(1u8),
                Just(0xfeu8),
                Just(0xffu8),
                any::<u8>()
            ],
            0..6,
        )
    }

    #[test]
    fn history_keys_are_as_documented() {
        let prefix = history_prefix(&[b'a', 0, 0xff]);
        assert_eq!(
            history_key(&prefix, 1).as_ref(),
            [b'a', 0, 0xff, 0xff, 0, 1, 0xff, 0xff, 0xff, 0xfe]
        );
        assert_eq!(history_prefix(&[]).as_ref(), [0, 1]);
    }

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, expect) in [
            (&b""[..], None),
            (b"a", Some(&b"b"[..])),
            (b"a\xff\xff", Some(b"b")),
            (b"\xff", None),
            (b"\x00", Some(b"\x01")),
        ] {
            assert_eq!(prefix_end(prefix).as_deref(), expect, "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn history_keys_sort_by_key_then_newest_first(
            left in any_key(), right in any_key(), low in any::<u32>(), high in any::<u32>()
        ) {
            let (left_prefix, right_prefix) = (history_prefix(&left), history_prefix(&right));
            let left_key = history_key(&left_prefix, low);
            let right_key = history_key(&right_prefix, high);
            prop_assert_eq!(
                left_key.cmp(&right_key),
                left.cmp(&right).then(high.cmp(&low))
            );
            prop_assert_eq!(right_key.starts_with(&left_prefix), left == right);
            prop_assert_eq!(height_of_history_key(&left_key).unwrap(), low);
        }

        #[test]
        fn versions_survive(height in any::<u32>(), value in any::<Vec<u8>>()) {
            let value = Bytes::from(value);
            let record = encode_version(height, &value);
            prop_assert_eq!(decode_version(&record).unwrap(), Version { height, value });
        }

        #[test]
        fn block_records_survive(
            height in any::<u32>(), hash in any::<[u8; 32]>(), parent in any::<[u8; 32]>(),
            time in any::<u32>(), bits in any::<u32>(), work in any::<[u8; 32]>(),
            root in any::<[u8; 32]>(), keys in any::<u32>(), cut in 0..BLOCK_LEN,
        ) {
            let stored = StoredBlock {
                record: BlockRecord {
                    height,
                    hash: BlockHash::from_bytes(hash),
                    parent: BlockHash::from_bytes(parent),
                    time,
                    bits,
                    chainwork: Chainwork::from_be_bytes(work),
                    history_root: HistoryRoot::from_bytes(root),
                },
                keys,
            };
            let bytes = stored.encode();
            prop_assert_eq!(StoredBlock::decode(&bytes).unwrap(), stored);
            prop_assert!(StoredBlock::decode(&bytes[..cut]).is_err());
        }
    }
}

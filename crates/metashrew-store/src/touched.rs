//! The list of keys that one block wrote, in key order, cut into chunks.
//!
//! Each key is stored as the length it shares with the one before it, the length
//! of the rest, and the rest, and then how far below the block its version before
//! lies, so that a rollback need not search; every chunk starts afresh.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use crate::backend::{Batch, Scan, Space, View};
use crate::block::Height;
use crate::error::ReadError;
use crate::keys::{corrupt, leading_height, touched_key};

/// A chunk is closed once it is this long, in bytes.
const CHUNK_LEN: usize = 32 * 1024;

/// A key that a block wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) key: Bytes,
    /// The height of the version that the block superseded, if there was one.
    pub(crate) previous: Option<Height>,
}

/// Adds the list of `keys`, which are in order, each with the height of the version
/// before, to `batch`.
pub(crate) fn put_keys<'a>(
    batch: &mut Batch,
    height: Height,
    keys: impl Iterator<Item = (&'a [u8], Option<Height>)>,
) {
    let mut number = 0;
    let mut chunk = BytesMut::new();
    let mut before: &[u8] = &[];
    for (key, previous) in keys {
        let shared = shared_prefix(before, key);
        put_varint(&mut chunk, shared as u64);
        put_varint(&mut chunk, (key.len() - shared) as u64);
        chunk.extend_from_slice(key.get(shared..).unwrap_or_default());
        let distance = previous.map_or(0, |previous| height - previous);
        put_varint(&mut chunk, distance.into());
        before = key;
        if chunk.len() >= CHUNK_LEN {
            batch.put(
                Space::HeightToKeys,
                touched_key(height, number),
                chunk.split().freeze(),
            );
            number += 1;
            before = &[];
        }
    }
    if !chunk.is_empty() {
        batch.put(
            Space::HeightToKeys,
            touched_key(height, number),
            chunk.freeze(),
        );
    }
}

/// The keys that `height` wrote, in order; `on_chunk` sees each chunk, with its own key.
pub(crate) fn read_keys(
    view: &dyn View,
    height: Height,
    mut on_chunk: impl FnMut(&Bytes, &Bytes),
) -> Result<Vec<Touched>, ReadError> {
    let mut keys = Vec::new();
    for entry in scan_chunks(view, height) {
        let (chunk_key, chunk) = entry?;
        debug_assert_eq!(leading_height(&chunk_key).ok(), Some(height));
        on_chunk(&chunk_key, &chunk);
        decode_chunk(&chunk, height, |key, previous| {
            let key = Bytes::copy_from_slice(key);
            keys.push(Touched { key, previous });
        })
        .ok_or_else(|| malformed(height))?;
    }
    Ok(keys)
}

/// The chunks of the list of `height`, in order.
pub(crate) fn scan_chunks(view: &dyn View, height: Height) -> Scan {
    let (start, end) = (touched_key(height, 0), touched_key(height, u32::MAX));
    view.scan(
        Space::HeightToKeys,
        Bound::Included(&start),
        Bound::Included(&end),
    )
}

/// Gives `each` the keys that `height` wrote, in order, with the height of the version
/// before, until it says that these were enough. Whether it never did.
///
/// Only one chunk of the list is in memory.
pub(crate) fn each_key(
    view: &dyn View,
    height: Height,
    mut each: impl FnMut(&[u8], Option<Height>) -> Result<bool, ReadError>,
) -> Result<bool, ReadError> {
    for entry in scan_chunks(view, height) {
        let mut goes_on = Ok(true);
        decode_chunk(&entry?.1, height, |key, previous| {
            if matches!(goes_on, Ok(true)) {
                goes_on = each(key, previous);
            }
        })
        .ok_or_else(|| malformed(height))?;
        if !goes_on? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn malformed(height: Height) -> ReadError {
    corrupt(format!("the list of keys of block {height} is malformed"))
}

/// Gives `each` the keys of a chunk of the list of `height`. None if it is malformed.
pub(crate) fn decode_chunk(
    mut chunk: &[u8],
    height: Height,
    mut each: impl FnMut(&[u8], Option<Height>),
) -> Option<()> {
    let mut key = Vec::new();
    while !chunk.is_empty() {
        let previous = take_key(&mut chunk, height, &mut key).ok()?;
        each(&key, previous);
    }
    Some(())
}

/// Takes the next key from what is left of a chunk of the list of `height`, which is not
/// empty: `key` holds the one before, or nothing at the chunk's beginning. Returns the height
/// of the version before.
pub(crate) fn take_key(
    chunk: &mut &[u8],
    height: Height,
    key: &mut Vec<u8>,
) -> Result<Option<Height>, ReadError> {
    let malformed = || malformed(height);
    match take_entry(chunk, key).ok_or_else(malformed)? {
        0 => Ok(None),
        distance => height.checked_sub(distance).map(Some).ok_or_else(malformed),
    }
}

/// As [`take_key`], but returns how far below the version before lies; 0 if there was none.
fn take_entry(chunk: &mut &[u8], key: &mut Vec<u8>) -> Option<Height> {
    let shared = usize::try_from(take_varint(chunk)?).ok()?;
    let rest = usize::try_from(take_varint(chunk)?).ok()?;
    let (suffix, remaining) = chunk.split_at_checked(rest)?;
    if shared > key.len() {
        return None;
    }
    key.truncate(shared);
    key.extend_from_slice(suffix);
    *chunk = remaining;
    Height::try_from(take_varint(chunk)?).ok()
}

fn shared_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

/// Seven bits at a time, lowest first; the top bit says that more follow.
fn put_varint(bytes: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        bytes.put_u8(u8::try_from(value & 0x7f).expect("seven bits fit") | 0x80);
        value >>= 7;
    }
    bytes.put_u8(u8::try_from(value).expect("seven bits fit"));
}

/// Lengths and heights have at most 32 bits.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::{Backend, MemoryBackend};

    /// The height of the block whose list is made.
    const HEIGHT: Height = 1 << 30;

    fn round_trip(keys: &[Touched]) -> (Vec<Touched>, usize) {
        let memory = MemoryBackend::default();
        let mut batch = Batch::default();
        let entries = keys
            .iter()
            .map(|touched| (&touched.key[..], touched.previous));
        put_keys(&mut batch, HEIGHT, entries);
        memory.write(batch).unwrap();
        let mut chunks = 0;
        let view = memory.view();
        let found = read_keys(view.as_ref(), HEIGHT, |_, _| chunks += 1).unwrap();
        for other in [HEIGHT - 1, HEIGHT + 1] {
            assert!(
                read_keys(view.as_ref(), other, |_, _| ())
                    .unwrap()
                    .is_empty()
            );
        }
        (found, chunks)
    }

    #[test]
    fn a_long_list_is_cut_into_chunks() {
        let keys: Vec<_> = (0u32..10_000)
            .map(|number| Touched {
                key: Bytes::from(number.to_be_bytes().repeat(8)),
                previous: (number % 2 == 0).then_some(number),
            })
            .collect();
        let (found, chunks) = round_trip(&keys);
        assert_eq!(found, keys);
        assert!(chunks > 5, "{chunks} chunks");
    }

    #[test]
    fn a_malformed_chunk_is_an_error() {
        for chunk in [
            &[1u8, 0, 0][..],
            &[0, 5, 1],
            &[0],
            &[0, 0],
            &[0, 0, 8],
            &[0xff, 0xff, 0xff, 1],
            &[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        ] {
            assert_eq!(decode_chunk(chunk, 7, |_, _| ()), None, "{chunk:?}");
        }
        assert_eq!(decode_chunk(&[0, 0, 7], 7, |_, _| ()), Some(()));
    }

    proptest! {
        #[test]
        fn every_sorted_list_survives(
            keys in proptest::collection::btree_map(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..300),
                proptest::option::of(0..HEIGHT),
                0..50,
            )
        ) {
            let keys: Vec<_> = keys
                .into_iter()
                .map(|(key, previous)| Touched { key: Bytes::from(key), previous })
                .collect();
            prop_assert_eq!(round_trip(&keys).0, keys);
        }
    }
}

//! The list of keys that one block wrote, in key order, cut into chunks.
//!
//! Each key is stored as the length it shares with the one before it, the length
//! of the rest, and the rest; every chunk starts afresh.

use bytes::{BufMut, Bytes, BytesMut};

use crate::backend::{Batch, Space, View};
use crate::block::Height;
use crate::error::ReadError;
use crate::keys::{corrupt, leading_height, touched_key};

/// A chunk is closed once it is this long, in bytes.
const CHUNK_LEN: usize = 32 * 1024;

/// Adds the list of `keys`, which are in order, to `batch`.
pub(crate) fn put_keys<'a>(
    batch: &mut Batch,
    height: Height,
    keys: impl Iterator<Item = &'a Bytes>,
) {
    let mut number = 0;
    let mut chunk = BytesMut::new();
    let mut previous: &[u8] = &[];
    for key in keys {
        let shared = shared_prefix(previous, key);
        put_varint(&mut chunk, shared);
        put_varint(&mut chunk, key.len() - shared);
        chunk.extend_from_slice(key.get(shared..).unwrap_or_default());
        previous = key;
        if chunk.len() >= CHUNK_LEN {
            batch.put(
                Space::HeightToKeys,
                touched_key(height, number),
                chunk.split().freeze(),
            );
            number += 1;
            previous = &[];
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

/// The keys that `height` wrote, in order; `on_chunk` sees each chunk's own key.
pub(crate) fn read_keys(
    view: &dyn View,
    height: Height,
    mut on_chunk: impl FnMut(&Bytes),
) -> Result<Vec<Bytes>, ReadError> {
    let mut keys = Vec::new();
    let (start, end) = (touched_key(height, 0), touched_key(height, u32::MAX));
    for entry in view.scan(
        Space::HeightToKeys,
        std::ops::Bound::Included(&start),
        std::ops::Bound::Included(&end),
    ) {
        let (chunk_key, chunk) = entry?;
        debug_assert_eq!(leading_height(&chunk_key).ok(), Some(height));
        on_chunk(&chunk_key);
        decode_chunk(&chunk, &mut keys)
            .ok_or_else(|| corrupt(format!("the list of keys of block {height} is malformed")))?;
    }
    Ok(keys)
}

fn decode_chunk(mut chunk: &[u8], keys: &mut Vec<Bytes>) -> Option<()> {
    let mut key = Vec::new();
    while !chunk.is_empty() {
        let shared = take_varint(&mut chunk)?;
        let rest = take_varint(&mut chunk)?;
        let (suffix, remaining) = chunk.split_at_checked(rest)?;
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(suffix);
        chunk = remaining;
        keys.push(Bytes::copy_from_slice(&key));
    }
    Some(())
}

fn shared_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

/// Seven bits at a time, lowest first; the top bit says that more follow.
fn put_varint(bytes: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        bytes.put_u8(u8::try_from(value & 0x7f).expect("seven bits fit") | 0x80);
        value >>= 7;
    }
    bytes.put_u8(u8::try_from(value).expect("seven bits fit"));
}

fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
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
    use crate::backend::{Backend, Durability, MemoryBackend};

    fn round_trip(keys: &[Bytes]) -> (Vec<Bytes>, usize) {
        let memory = MemoryBackend::default();
        let mut batch = Batch::default();
        put_keys(&mut batch, 7, keys.iter());
        memory.write(batch, Durability::Synced).unwrap();
        let mut chunks = 0;
        let view = memory.view().unwrap();
        let found = read_keys(view.as_ref(), 7, |_| chunks += 1).unwrap();
        assert!(read_keys(view.as_ref(), 6, |_| ()).unwrap().is_empty());
        assert!(read_keys(view.as_ref(), 8, |_| ()).unwrap().is_empty());
        (found, chunks)
    }

    #[test]
    fn a_long_list_is_cut_into_chunks() {
        let keys: Vec<_> = (0u32..10_000)
            .map(|number| Bytes::from(number.to_be_bytes().repeat(8)))
            .collect();
        let (found, chunks) = round_trip(&keys);
        assert_eq!(found, keys);
        assert!(chunks > 5, "{chunks} chunks");
    }

    #[test]
    fn a_malformed_chunk_is_an_error() {
        for chunk in [&[1u8, 0][..], &[0, 5, 1], &[0], &[0xff, 0xff, 0xff, 1]] {
            assert_eq!(decode_chunk(chunk, &mut Vec::new()), None, "{chunk:?}");
        }
    }

    proptest! {
        #[test]
        fn every_sorted_list_survives(
            keys in proptest::collection::btree_set(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..300),
                0..50,
            )
        ) {
            let keys: Vec<_> = keys.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(round_trip(&keys).0, keys);
        }
    }
}

//! The two layouts. A: every version at `key ++ !height`. B: the newest version
//! under the plain key, superseded ones at `key ++ !height` in a space of their own.
//!
//! All keys here have one length, so the store's escaping is left out.

use bytes::{BufMut, Bytes, BytesMut};

pub fn versioned(key: &[u8], height: u32) -> Bytes {
    let mut versioned = BytesMut::with_capacity(key.len() + 4);
    versioned.extend_from_slice(key);
    versioned.put_u32(!height);
    versioned.freeze()
}

pub fn newest(height: u32, value: &[u8]) -> Bytes {
    let mut record = BytesMut::with_capacity(4 + value.len());
    record.put_u32(height);
    record.extend_from_slice(value);
    record.freeze()
}

/// The height and value in a record of `newest`.
pub fn split(record: &[u8]) -> (u32, &[u8]) {
    let (height, value) = record.split_first_chunk().expect("a newest record");
    (u32::from_be_bytes(*height), value)
}

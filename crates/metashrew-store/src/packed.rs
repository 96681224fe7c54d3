//! Many short byte strings out of few allocations.

use bytes::{Bytes, BytesMut};

/// How many bytes are allocated at a time. A string that outlives its neighbours keeps
/// no more than this in memory.
const CHUNK_LEN: usize = 64 * 1024;

/// Makes byte strings that share allocations: for those that are let go together.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    chunk: BytesMut,
}

impl Packed {
    /// The bytes that `write` adds: at most `len` for no more than one allocation.
    pub(crate) fn add(&mut self, len: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        if self.chunk.capacity() < len {
            self.chunk = BytesMut::with_capacity(len.max(CHUNK_LEN));
        }
        write(&mut self.chunk);
        self.chunk.split().freeze()
    }

    /// A copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.add(bytes.len(), |chunk| chunk.extend_from_slice(bytes))
    }
}

//! The history root: a hash chained over every block's sorted writes.

use sha2::{Digest, Sha256};

use crate::block::{BlockHash, Height, HistoryRoot};

/// What sets this hash apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"metashrew history root 1\n";

/// What a block's history root depends on besides its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootInput {
    /// The root of the block below.
    pub(crate) below: HistoryRoot,
    /// The block's height.
    pub(crate) height: Height,
    /// The block's hash.
    pub(crate) hash: BlockHash,
}

/// Computes one block's history root from its writes, given in key order.
#[derive(Debug)]
pub(crate) struct RootHasher {
    sha256: Sha256,
}

impl RootHasher {
    pub(crate) fn new(below: &HistoryRoot, height: Height, hash: &BlockHash, keys: u32) -> Self {
        let mut sha256 = Sha256::new();
        sha256.update(DOMAIN);
        sha256.update(below.as_bytes());
        sha256.update(height.to_be_bytes());
        sha256.update(hash.as_bytes());
        sha256.update(keys.to_be_bytes());
        Self { sha256 }
    }

    pub(crate) fn write(&mut self, key: &[u8], value: &[u8]) {
        for part in [key, value] {
            let len = u32::try_from(part.len()).expect("keys and values are far below 4 GiB");
            self.sha256.update(len.to_be_bytes());
            self.sha256.update(part);
        }
    }

    pub(crate) fn finish(self) -> HistoryRoot {
        HistoryRoot::from_bytes(self.sha256.finalize().into())
    }
}

/// The history root of a block whose writes, in key order, are `sorted`.
pub(crate) fn history_root<'a>(
    input: &RootInput,
    sorted: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
) -> HistoryRoot {
    let keys = u32::try_from(sorted.len()).expect("a block's writes are far below 4 GiB");
    let mut hasher = RootHasher::new(&input.below, input.height, &input.hash, keys);
    for (key, value) in sorted {
        hasher.write(key, value);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed independently over the bytes that `docs/storage.md` spells out.
    #[test]
    fn the_root_of_a_known_block() {
        let input = |height, below| RootInput {
            below,
            height,
            hash: BlockHash::from_bytes([0x11; 32]),
        };
        let (key, value, empty) = (&b"key"[..], &b"value"[..], &b""[..]);
        let first = history_root(
            &input(7, HistoryRoot::EMPTY),
            [(empty, value), (key, empty)].into_iter(),
        );
        assert_eq!(
            first.to_string(),
            "18567e9b4ee498e55dc616f29fffe177e40d4dbe8ad7d5d8a6eaeb530b1ed464"
        );
        let second = history_root(&input(8, first), [].into_iter());
        assert_eq!(
            second.to_string(),
            "2bcde3614a767db916bda060c1ed66e3213db43db343d0a7404f4a36694dd04b"
        );
    }
}

//! How hashes and roots stand in answers, and the headers of views' answers over HTTP.

use http::HeaderName;
use metashrew_store::{BlockHash, HistoryRoot};

/// The height of the block that was asked about.
pub(crate) const HEIGHT: HeaderName = HeaderName::from_static("metashrew-height");

/// The hash of the block that was asked about.
pub(crate) const BLOCK_HASH: HeaderName = HeaderName::from_static("metashrew-block-hash");

/// The history root at that block.
pub(crate) const HISTORY_ROOT: HeaderName = HeaderName::from_static("metashrew-history-root");

/// The pending block on top of it, `height:hash`.
pub(crate) const PENDING: HeaderName = HeaderName::from_static("metashrew-pending");

/// SHA-256 of the guest that answers.
pub(crate) const GUEST: HeaderName = HeaderName::from_static("metashrew-guest");

/// In a request, the block that is asked about.
pub(crate) const BLOCK: HeaderName = HeaderName::from_static("metashrew-block");

/// `0x` and the bytes in the customary order, the reverse of their own.
pub(crate) fn block_hash(hash: &BlockHash) -> String {
    let mut bytes = *hash.as_bytes();
    bytes.reverse();
    hex::encode_prefixed(bytes)
}

/// `0x` and the bytes in their order.
pub(crate) fn history_root(root: &HistoryRoot) -> String {
    hex::encode_prefixed(root.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stand_as_they_print() {
        let mut bytes = [0; 32];
        for (byte, value) in bytes.iter_mut().zip(0..) {
            *byte = value;
        }
        let hash = BlockHash::from_bytes(bytes);
        assert_eq!(block_hash(&hash), format!("0x{hash}"));
        let root = HistoryRoot::from_bytes(bytes);
        assert_eq!(history_root(&root), format!("0x{root}"));
    }
}

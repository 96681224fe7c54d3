//! What the node's answers hold.

use metashrew_store::{BlockHash, Height};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Of `getblockchaininfo`.
#[derive(Deserialize)]
pub(super) struct ChainInfo {
    pub(super) blocks: Height,
    #[serde(rename = "bestblockhash", deserialize_with = "from_text")]
    pub(super) tip: BlockHash,
    /// The lowest block that a pruning node has.
    #[serde(rename = "pruneheight")]
    pub(super) prune_height: Option<Height>,
}

/// A hash in its customary form.
#[derive(Deserialize)]
pub(super) struct Hash(#[serde(deserialize_with = "from_text")] pub(super) BlockHash);

pub(super) fn from_text<'a, D: Deserializer<'a>>(deserializer: D) -> Result<BlockHash, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

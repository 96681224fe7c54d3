//! REST: blocks and hashes in binary. Whatever it refuses is asked by RPC instead.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use super::fault::NodeFault;
use super::http::Http;
use super::method::RestPath;
use crate::block::{self, HEADER_LEN, Header};

/// Headers the node hands out in one answer at most.
const MAX_HEADERS: usize = 2_000;

/// Asks one node.
pub(super) struct Rest {
    http: Http,
    /// Whether the node said that it has no REST.
    off: AtomicBool,
}

impl Rest {
    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            off: AtomicBool::new(false),
        }
    }

    /// Asks again even if the node said that it has no REST: it may have been started
    /// anew.
    pub(super) fn reset(&self) {
        self.off.store(false, Ordering::Relaxed);
    }

    /// The block of that hash.
    pub(super) fn block(&self, hash: &BlockHash) -> Result<Option<Bytes>, NodeFault> {
        let block = self.get(
            &format!("{}{hash}.bin", RestPath::Block),
            u64::from(block::MAX_LEN),
        )?;
        let block =
            block.filter(|block| Header::read(block).is_some_and(|header| header.hash == *hash));
        Ok(block.map(Bytes::from))
    }

    /// The hash at a height, if there is a block.
    pub(super) fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeFault> {
        let hash = self.get(
            &format!("{}{height}.bin", RestPath::BlockHashByHeight),
            1_000,
        )?;
        let hash = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        Ok(hash.map(BlockHash::from_bytes))
    }

    /// The hashes of the best chain from a block on, the block's own included.
    pub(super) fn hashes(
        &self,
        from: &BlockHash,
        count: usize,
    ) -> Result<Option<Vec<BlockHash>>, NodeFault> {
        let count = count.min(MAX_HEADERS);
        let path = format!("{}{from}.bin?count={count}", RestPath::Headers);
        let Some(headers) = self.get(&path, (count * HEADER_LEN) as u64 + 1_000)? else {
            return Ok(None);
        };
        Ok(read_headers(&headers, from))
    }

    /// What a path answers; none if the node refuses it.
    fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, NodeFault> {
        if self.off.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let reply = self.http.get(path, limit)?;
        // Where REST is on, a refusal says why.
        if reply.status == 404 && reply.body.is_empty() {
            if !self.off.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "{} has no REST; start the node with `-rest`, or blocks come by RPC, which takes longer",
                    self.http.address()
                );
            }
            return Ok(None);
        }
        if reply.status != 200 {
            tracing::debug!(status = reply.status, path, "REST refuses");
            return Ok(None);
        }
        Ok(Some(reply.body))
    }
}

/// The hashes of headers that follow each other, the first of which is given. None
/// if they are anything else, such as merged-mined ones with their proofs.
fn read_headers(headers: &[u8], first: &BlockHash) -> Option<Vec<BlockHash>> {
    let mut hashes = Vec::with_capacity(headers.len() / HEADER_LEN);
    for header in headers.chunks(HEADER_LEN) {
        let header = Header::read(header)?;
        let fits = match hashes.last() {
            None => header.hash == *first,
            Some(parent) => header.parent == *parent,
        };
        if !fits {
            return None;
        }
        hashes.push(header.hash);
    }
    Some(hashes)
}

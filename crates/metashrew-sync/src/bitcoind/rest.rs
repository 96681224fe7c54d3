//! REST: blocks and hashes in binary. Whatever it refuses is asked by RPC instead, and a
//! path that is not there, or fails again and again, is left alone: that path only.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use super::fault::{NodeFault, start_of};
use super::http::{Http, Reply};
use super::method::RestPath;
use crate::block::{self, HEADER_LEN, Header};

/// Headers the node hands out in one answer at most.
const MAX_HEADERS: usize = 2_000;

/// So many failures in a row, and a path is left alone.
const MAX_FAILURES: u32 = 8;

/// Asks one node.
pub(super) struct Rest {
    http: Http,
    /// How often each path failed in a row.
    failures: [AtomicU32; RestPath::ALL.len()],
}

impl Rest {
    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            failures: RestPath::ALL.map(|_| AtomicU32::new(0)),
        }
    }

    /// Asks by every path again: the node may have been started anew.
    pub(super) fn reset(&self) {
        for failures in &self.failures {
            failures.store(0, Ordering::Relaxed);
        }
    }

    /// The block of that hash.
    pub(super) fn block(&self, hash: &BlockHash) -> Result<Option<Bytes>, NodeFault> {
        let limit = u64::from(block::MAX_LEN);
        self.get(RestPath::Block, &format!("{hash}.bin"), limit, |block| {
            let header = Header::read(&block)?;
            (header.hash == *hash).then(|| Bytes::from(block))
        })
    }

    /// The hash at a height, if there is a block.
    pub(super) fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeFault> {
        let name = format!("{height}.bin");
        self.get(RestPath::BlockHashByHeight, &name, 1_000, |hash| {
            hash.try_into().ok().map(BlockHash::from_bytes)
        })
    }

    /// The hashes of the best chain from a block on, the block's own included.
    pub(super) fn hashes(
        &self,
        from: &BlockHash,
        count: usize,
    ) -> Result<Option<Vec<BlockHash>>, NodeFault> {
        let headers = self.headers(from, count)?;
        let hash = |header: &[u8; HEADER_LEN]| Header::read(header).map(|header| header.hash);
        Ok(headers.map(|headers| headers.iter().filter_map(hash).collect()))
    }

    /// The headers of the best chain from a block on, the block's own included.
    pub(super) fn headers(
        &self,
        from: &BlockHash,
        count: usize,
    ) -> Result<Option<Vec<[u8; HEADER_LEN]>>, NodeFault> {
        let count = count.min(MAX_HEADERS);
        let name = format!("{from}.bin?count={count}");
        let limit = (count * HEADER_LEN) as u64 + 1_000;
        self.get(RestPath::Headers, &name, limit, |headers| {
            read_headers(&headers, from)
        })
    }

    /// What a path answers, as it is read; none if the node refuses it, or answers
    /// something else.
    fn get<T>(
        &self,
        path: RestPath,
        name: &str,
        limit: u64,
        read: impl FnOnce(Vec<u8>) -> Option<T>,
    ) -> Result<Option<T>, NodeFault> {
        let Some(failures) = self.failures.get(path as usize) else {
            return Ok(None);
        };
        if failures.load(Ordering::Relaxed) >= MAX_FAILURES {
            return Ok(None);
        }
        let reply = self.http.get(&format!("{path}{name}"), limit)?;
        let (status, said, why) = (reply.status, start_of(&reply.body), why_not(&reply));
        if status == 200
            && let Some(answer) = read(reply.body)
        {
            failures.store(0, Ordering::Relaxed);
            return Ok(Some(answer));
        }
        tracing::debug!(status, said, "REST refuses {path}{name}");
        let after = match why {
            Refusal::NoPath => MAX_FAILURES,
            Refusal::NothingThere => return Ok(None),
            Refusal::Failure => 1,
        };
        let before = failures.fetch_add(after, Ordering::Relaxed);
        if before < MAX_FAILURES && before + after >= MAX_FAILURES {
            tracing::warn!(
                "{} does not serve REST at `{path}` (HTTP status {status}: {said}); is it started with `-rest`? What was asked there comes by RPC, which takes longer",
                self.http.address()
            );
        }
        Ok(None)
    }
}

/// Why there is no answer.
enum Refusal {
    /// There is no such path.
    NoPath,
    /// The path is there, what was asked for is not, or not now.
    NothingThere,
    /// Anything else, which may pass.
    Failure,
}

fn why_not(reply: &Reply) -> Refusal {
    let is_page = reply.body.trim_ascii_start().first() == Some(&b'<');
    match reply.status {
        403 | 405 | 410 | 501 => Refusal::NoPath,
        // Where there is such a path, Core says why it refuses, in a line.
        404 if reply.body.is_empty() || is_page => Refusal::NoPath,
        // Or it is starting, or has too many to answer.
        404 | 429 | 503 => Refusal::NothingThere,
        _ => Refusal::Failure,
    }
}

/// Headers that follow each other, the hash of the first of which is given. None
/// if they are anything else, such as merged-mined ones with their proofs.
fn read_headers(bytes: &[u8], first: &BlockHash) -> Option<Vec<[u8; HEADER_LEN]>> {
    let (chunks, rest) = bytes.as_chunks();
    let mut last = None;
    for chunk in chunks {
        let header = Header::read(chunk)?;
        let fits = match last {
            None => header.hash == *first,
            Some(parent) => header.parent == parent,
        };
        if !fits {
            return None;
        }
        last = Some(header.hash);
    }
    rest.is_empty().then(|| chunks.to_vec())
}

//! REST: blocks and hashes in binary. Whatever it refuses is asked by RPC instead, and a
//! path that is not there, or fails again and again, is left alone: that path only.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};

use super::fault::start_of;
use super::http::{Http, Reply};
use super::method::RestPath;
use crate::block::{self, HEADER_LEN, Header};
use crate::fetch::Causes;

/// Headers the node hands out in one answer at most.
const MAX_HEADERS: usize = 2_000;

/// Failures in a row of that weight, and a path is left alone.
const MAX_FAILURES: u32 = 32;

/// What an answer weighs that is none to the question.
const WRONG_ANSWER: u32 = 4;

/// What it weighs that no whole answer came. A node that starts anew fails all who
/// fetch at once: that alone must not be enough.
const NO_ANSWER: u32 = 1;

/// Asks one node.
pub(super) struct Rest {
    http: Http,
    /// The weight of the failures in a row of each path.
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
    pub(super) fn block(&self, hash: &BlockHash) -> Option<Bytes> {
        let limit = u64::from(block::MAX_LEN);
        self.get(RestPath::Block, &format!("{hash}.bin"), limit, |block| {
            let header = Header::read(&block)?;
            (header.hash == *hash).then(|| Bytes::from(block))
        })
    }

    /// The hash at a height, if there is a block.
    pub(super) fn hash_at(&self, height: Height) -> Option<BlockHash> {
        let name = format!("{height}.bin");
        self.get(RestPath::BlockHashByHeight, &name, 1_000, |hash| {
            hash.try_into().ok().map(BlockHash::from_bytes)
        })
    }

    /// The hashes of the best chain from a block on, the block's own included.
    pub(super) fn hashes(&self, from: &BlockHash, count: usize) -> Option<Vec<BlockHash>> {
        let headers = self.headers(from, count)?;
        let hash = |header: &[u8; HEADER_LEN]| Header::read(header).map(|header| header.hash);
        Some(headers.iter().filter_map(hash).collect())
    }

    /// The headers of the best chain from a block on, the block's own included.
    pub(super) fn headers(&self, from: &BlockHash, count: usize) -> Option<Vec<[u8; HEADER_LEN]>> {
        let count = count.min(MAX_HEADERS);
        let name = format!("{from}.bin?count={count}");
        let limit = (count * HEADER_LEN) as u64 + 1_000;
        self.get(RestPath::Headers, &name, limit, |headers| {
            read_headers(&headers, from)
        })
    }

    /// What a path answers, as it is read; none if the node refuses it, or answers
    /// something else, or nothing. Whether the node is out of reach, RPC will tell.
    fn get<T>(
        &self,
        path: RestPath,
        name: &str,
        limit: u64,
        read: impl FnOnce(Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let failures = self.failures.get(path as usize)?;
        if failures.load(Ordering::Relaxed) >= MAX_FAILURES {
            return None;
        }
        let (said, weight) = match self.http.get(&format!("{path}{name}"), limit) {
            Ok(reply) => {
                let (status, why) = (reply.status, why_not(&reply));
                let said = format!("HTTP status {status}: {}", start_of(&reply.body));
                if status == 200
                    && let Some(answer) = read(reply.body)
                {
                    failures.store(0, Ordering::Relaxed);
                    return Some(answer);
                }
                let weight = match why {
                    Refusal::NoPath => MAX_FAILURES,
                    Refusal::NothingThere => 0,
                    Refusal::Failure => WRONG_ANSWER,
                };
                (said, weight)
            }
            Err(fault) => (Causes(&fault).to_string(), NO_ANSWER),
        };
        tracing::debug!(said, "REST refuses {path}{name}");
        let before = failures.fetch_add(weight, Ordering::Relaxed);
        if before < MAX_FAILURES && before + weight >= MAX_FAILURES {
            tracing::warn!(
                "{} does not serve REST at `{path}` ({said}); is it started with `-rest`? What was asked there comes by RPC, which takes longer",
                self.http.address()
            );
        }
        None
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

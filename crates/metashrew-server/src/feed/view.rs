//! The answers that `view` subscriptions compare: each view is run once for all who ask it the
//! same about the same block, and says which blocks may change its answer.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use metashrew_runtime::{Chain, MetashrewRuntime, ViewCall, ViewReads};
use metashrew_store::{BlockHash, BlockId, Height};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::cache::cache;
use super::index::Interest;
use super::limits::{Limits, Room};
use crate::clients::{Client, Taken, What};
use crate::fault::{self, BUSY, HOST_FAULT, RpcError};
use crate::offload::Offload;

/// Bytes that an answer takes besides its own.
const OVERHEAD: usize = 512;

/// So many times what reads count for is what they take with the index of them: a key of 20
/// bytes counts for 84, and takes about 50, and 230 in the index.
const READS_FACTOR: usize = 4;

/// A view and its input, shared by all who ask for it.
#[derive(Debug)]
pub(super) struct Query {
    number: u64,
    function: String,
    input: Bytes,
    /// Whether every block may change the answer: what is read need not be recorded.
    is_of_every_block: AtomicBool,
    queries: Weak<Mutex<Queries>>,
}

impl Drop for Query {
    fn drop(&mut self) {
        let Some(queries) = self.queries.upgrade() else {
            return;
        };
        let call = (
            std::mem::take(&mut self.function),
            std::mem::take(&mut self.input),
        );
        let mut queries = queries.lock();
        // Somebody may have asked the same meanwhile.
        if let Some(query) = queries.by_call.get(&call)
            && query.strong_count() == 0
        {
            queries.by_call.remove(&call);
        }
    }
}

/// What came of a view at a block.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The answer, or an error that every machine would have.
    pub(super) result: Result<Bytes, RpcError>,
    /// The same for the same result.
    pub(super) digest: [u8; 32],
    /// What it was read from, if not every block may change it. Those keep it that wait for it:
    /// a recent answer alone keeps no room from others.
    reads: Option<Weak<Recorded>>,
}

impl Outcome {
    /// Which blocks may change it.
    fn interest(&self) -> Interest {
        let reads = self.reads.as_ref().and_then(Weak::upgrade);
        reads.map_or(Interest::Every, |reads| Interest::Reads(Reads(reads)))
    }
}

/// What a view read: two are the same only if they come from the same run.
#[derive(Debug, Clone)]
pub(super) struct Reads(Arc<Recorded>);

#[derive(Debug)]
struct Recorded {
    reads: ViewReads,
    room: Room,
    /// What clients hold of their shares for it, each once.
    held: Mutex<Vec<Weak<Taken>>>,
}

impl Reads {
    pub(super) fn get(&self) -> &ViewReads {
        &self.0.reads
    }

    /// What `client` holds of its share for them: the same for all its subscriptions. None if it
    /// has no room for that.
    pub(super) fn held_by(&self, client: &Arc<Client>) -> Option<Arc<Taken>> {
        let mut held = self.0.held.lock();
        let mut known = held.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|held| Arc::ptr_eq(held.client(), client)) {
            return Some(known);
        }
        let taken = client.take(What::Memory, self.0.room.bytes()).ok()?;
        let taken = Arc::new(taken);
        held.retain(|other| other.strong_count() > 0);
        held.push(Arc::downgrade(&taken));
        Some(taken)
    }
}

impl PartialEq for Reads {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Reads {}

impl Hash for Reads {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// All views that are subscribed to.
pub(super) struct Views {
    queries: Arc<Mutex<Queries>>,
    outcomes: Cache<(u64, BlockHash), Arc<Outcome>, Weigh>,
    permits: Semaphore,
}

#[derive(Debug, Default)]
struct Queries {
    count: u64,
    by_call: HashMap<(String, Bytes), Weak<Query>>,
}

#[derive(Debug, Clone)]
struct Weigh;

impl Weighter<(u64, BlockHash), Arc<Outcome>> for Weigh {
    fn weight(&self, _: &(u64, BlockHash), outcome: &Arc<Outcome>) -> u64 {
        let bytes = outcome.result.as_ref().map_or(0, Bytes::len);
        (bytes + OVERHEAD) as u64
    }
}

impl Views {
    /// Keeps so many bytes of recent answers, and has so many views run at a time.
    pub(super) fn new(bytes: usize, at_a_time: usize) -> Self {
        Self {
            queries: Arc::default(),
            outcomes: cache(bytes, Weigh),
            permits: Semaphore::new(at_a_time),
        }
    }

    /// The call of `function` with `input`, the same for all who ask for it.
    pub(super) fn query(&self, function: String, input: Bytes) -> Arc<Query> {
        let mut queries = self.queries.lock();
        let call = (function, input);
        if let Some(query) = queries.by_call.get(&call).and_then(Weak::upgrade) {
            return query;
        }
        queries.count += 1;
        let query = Arc::new(Query {
            number: queries.count,
            function: call.0.clone(),
            input: call.1.clone(),
            is_of_every_block: AtomicBool::new(false),
            queries: Arc::downgrade(&self.queries),
        });
        queries.by_call.insert(call, Arc::downgrade(&query));
        query
    }

    /// What comes of `query` at a block of `chain`, and which blocks may change that. It is run
    /// once for all who ask at a time, and for those who ask a little later; and as many run at
    /// a time as there are permits: other callers of views shall find room.
    ///
    /// # Errors
    /// What another try may mend.
    pub(super) async fn outcome(
        &self,
        query: &Query,
        runtime: &MetashrewRuntime,
        limits: &Arc<Limits>,
        work: &Offload,
        chain: &Chain,
        block: (Height, BlockHash),
    ) -> Result<(Arc<Outcome>, Interest), RpcError> {
        let mut own = None;
        let run = async {
            let _permit = self.permits.acquire().await;
            limits.count_view();
            let (result, interest) = query.run(runtime, limits, chain, block).await?;
            let (result, digest) = digested(result, work).await?;
            let outcome = Outcome {
                result,
                digest,
                reads: match &interest {
                    Interest::Reads(reads) => Some(Arc::downgrade(&reads.0)),
                    Interest::Every | Interest::Prefix(_) => None,
                },
            };
            own = Some(interest);
            Ok(Arc::new(outcome))
        };
        let key = (query.number, block.1);
        let outcome = self.outcomes.get_or_insert_async(&key, run).await?;
        let interest = own.unwrap_or_else(|| outcome.interest());
        Ok((outcome, interest))
    }
}

impl Query {
    async fn run(
        &self,
        runtime: &MetashrewRuntime,
        limits: &Arc<Limits>,
        chain: &Chain,
        (height, hash): (Height, BlockHash),
    ) -> Result<(Result<Bytes, RpcError>, Interest), RpcError> {
        let context = chain.at(BlockId::Anchored { height, hash }.into()).await;
        let context = context.map_err(|error| fault::of_view(&error))?;
        let call = ViewCall {
            at: (&context).into(),
            ..ViewCall::new(&self.function, &self.input)
        };
        let (outcome, interest) = if self.is_of_every_block.load(Ordering::Relaxed) {
            (runtime.call(call).await, Interest::Every)
        } else {
            let recorded = runtime.recorded_call(call).await;
            let interest = self.interest(recorded.reads, runtime, limits);
            (recorded.outcome, interest)
        };
        let result = outcome.map(|answer| answer.bytes);
        let result = result.map_err(|error| fault::of_view(&error));
        if let Err(error) = &result
            && may_pass(error)
        {
            return Err(error.clone());
        }
        Ok((result, interest))
    }

    /// Which blocks may change the outcome of a call that read so.
    fn interest(
        &self,
        reads: Option<ViewReads>,
        runtime: &MetashrewRuntime,
        limits: &Arc<Limits>,
    ) -> Interest {
        let Some(reads) = reads else {
            return Interest::Every;
        };
        if reads.has_height() && !runtime.is_height_independent(&self.function) {
            self.is_of_every_block.store(true, Ordering::Relaxed);
            return Interest::Every;
        }
        match limits.room(reads.bytes().saturating_mul(READS_FACTOR)) {
            Some(room) => Interest::Reads(Reads(Arc::new(Recorded {
                reads,
                room,
                held: Mutex::default(),
            }))),
            None => Interest::Every,
        }
    }
}

/// Whether the same call may have another outcome in a while, on the same block.
fn may_pass(error: &RpcError) -> bool {
    matches!(error.code, BUSY | HOST_FAULT)
}

/// What came of a call, and its digest: that of a long answer is made where it holds up nobody.
async fn digested(
    result: Result<Bytes, RpcError>,
    work: &Offload,
) -> Result<(Result<Bytes, RpcError>, [u8; 32]), RpcError> {
    let length = result.as_ref().map_or(0, Bytes::len);
    let digesting = move || {
        let digest = digest(&result);
        (result, digest)
    };
    work.run(length, digesting).await
}

fn digest(result: &Result<Bytes, RpcError>) -> [u8; 32] {
    match result {
        Ok(answer) => Sha256::new_with_prefix([0]).chain_update(answer).finalize(),
        Err(error) => {
            let text = serde_json::json!(error).to_string();
            Sha256::new_with_prefix([1]).chain_update(text).finalize()
        }
    }
    .into()
}

//! Blocks undone while instances hold what they read of them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use metashrew_runtime::{Basis, Chain, Route, ViewAnswer, ViewAt, ViewCall, ViewError};
use metashrew_store::{BlockId, ResolveError};
use metashrew_testing::guests;

use crate::{Bench, assert_adds_up, block, hash, stage, until};

/// Blocks above this height come and go.
const FORK: u32 = 3;
const TIP: u32 = 6;

/// `acc` at a height, where the blocks above [`FORK`] are of a branch.
fn acc(height: u32, branch: u8) -> [u8; 8] {
    let acc = (0..=height).fold(0u64, |acc, height| {
        let branch = if height > FORK { branch } else { 1 };
        let root = block(height, branch)[36..44].try_into().unwrap();
        acc.wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(u64::from(height))
            .wrapping_add(u64::from_le_bytes(root))
    });
    acc.to_le_bytes()
}

fn branch_of(answer: &ViewAnswer) -> u8 {
    answer.block.hash.as_bytes()[31]
}

#[test]
fn a_call_that_begins_after_a_rollback_answers_nothing_of_the_dead_chain() {
    const BRANCHES: u8 = 120;
    let bench = Bench::with(&guests::chained(), |views| {
        views.instances = NonZeroUsize::new(4).unwrap();
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(TIP, 1);
    // The last branch that is known to be undone.
    let (dead, done, answered) = (AtomicU8::new(0), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let caller = |caller| {
            let (bench, dead, done, answered) = (&bench, &dead, &done, &answered);
            scope.spawn(move || {
                for call in caller.. {
                    if done.load(Ordering::Acquire) {
                        break;
                    }
                    let height = FORK + 1 + call % (TIP - FORK);
                    let at = [BlockId::Height(height), BlockId::Latest][call as usize % 2];
                    let dead_before = dead.load(Ordering::Acquire);
                    match bench.runtime.view_sync("cached_get", b"acc", &at) {
                        Ok(answer) => {
                            let height = answer.block.height;
                            if height > FORK {
                                assert!(branch_of(&answer) > dead_before, "a dead block answered");
                            }
                            assert_eq!(answer.bytes, acc(height, branch_of(&answer))[..]);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(ViewError::Block(ResolveError::NotIndexed { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        };
        let callers: Vec<_> = (0..8).map(caller).collect();
        for branch in 2..=BRANCHES {
            let before = answered.load(Ordering::Relaxed);
            let has_failed = || callers.iter().any(ScopedJoinHandle::is_finished);
            while answered.load(Ordering::Relaxed) < before + 50 && !has_failed() {
                std::thread::yield_now();
            }
            bench.store.rollback(Some(FORK)).unwrap();
            dead.store(branch - 1, Ordering::Release);
            bench.index_to(TIP, branch);
        }
        done.store(true, Ordering::Release);
    });
    let stats = bench.runtime.view_stats();
    assert_adds_up(&stats);
    assert!(
        stats.dropped.reorg > 0 && stats.calls.reused > 0,
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_waited_during_a_rollback_answers_for_the_new_chain() {
    let (store, gate) = stage::store();
    let bench = Bench::over(&guests::chained(), store, |views| {
        views.instances = NonZeroUsize::MIN;
        views.timeout = Duration::from_hours(1);
    });
    bench.index_to(TIP, 1);
    let chain = bench.runtime.chain();
    assert_eq!(
        bench.view("cached_get", b"acc", &BlockId::Latest),
        acc(TIP, 1)
    );
    let held = bench.runtime.clone();
    let held =
        tokio::task::spawn_blocking(move || held.view_sync("get", stage::GATE, &BlockId::Latest));
    until(|| bench.runtime.view_stats().busy == 1).await;
    let ask = |chain: Option<Chain>, at: BlockId, session| {
        let runtime = bench.runtime.clone();
        tokio::spawn(async move {
            let at = ViewAt::Block(at);
            let call = ViewCall {
                at: chain
                    .as_ref()
                    .map_or(at.into(), |chain| Basis::In(chain, at)),
                route: session,
                ..ViewCall::new("cached_get", b"acc")
            };
            runtime.call(call).await
        })
    };
    let anchored = BlockId::Anchored {
        height: TIP,
        hash: hash(TIP, 1),
    };
    let newest = ask(None, BlockId::Latest, Route::Pooled);
    let given = ask(Some(chain.clone()), BlockId::Latest, Route::Pooled);
    let by_hash = ask(None, anchored, Route::Pooled);
    let in_session = ask(None, BlockId::Height(TIP), Route::Session("s"));
    until(|| bench.runtime.view_stats().waiting == 4).await;
    bench.store.rollback(Some(FORK)).unwrap();
    bench.index_to(TIP, 2);
    gate.open();

    for (call, branch) in [(newest, 2), (given, 1), (in_session, 2)] {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(branch_of(&answer), branch);
        assert_eq!(answer.bytes, acc(TIP, branch)[..]);
    }
    assert!(matches!(
        by_hash.await.unwrap(),
        Err(ViewError::Block(ResolveError::NotInChain { .. }))
    ));
    assert_eq!(held.await.unwrap().unwrap().block.hash, hash(TIP, 1));

    // The instance that served the dead block is not kept.
    assert_adds_up(&bench.runtime.view_stats());
    assert_eq!(
        bench.view("cached_get", b"acc", &BlockId::Latest),
        acc(TIP, 2)
    );
    let old = ViewCall {
        at: Basis::In(&chain, ViewAt::default()),
        ..ViewCall::new("cached_get", b"acc")
    };
    assert_eq!(
        bench.runtime.call(old).await.unwrap().bytes,
        acc(TIP, 1)[..]
    );
}

//! `metashrew start`: indexes on a thread of its own, and serves meanwhile.

mod indexing;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metashrew_runtime::MetashrewRuntime;
use metashrew_server::{Reserved, Server, ServerHandle, ServerOptions};
use metashrew_store::{Store, StoreOptions};
use metashrew_sync::{IndexEnd, IndexError, Progress};
use tokio::time::{MissedTickBehavior, interval, timeout};

use indexing::Indexing;

use super::ending::Leaving;
use super::pending::Pending;
use super::source::{Reporter, Source};
use super::{database, guest, halt};
use crate::allocator;
use crate::cli::Start;
use crate::console::{self, Console};
use crate::descriptors::{self, Descriptors};
use crate::memory::mebibytes;
use crate::signals::Signals;

/// How long the database may take to write out what is in memory, at the end.
const CLOSING_GRACE: Duration = Duration::from_secs(30);

/// How often it is tried at most to have stateful views after all.
const STATEFUL_VIEWS_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether a write does not return.
const STUCK_EVERY: Duration = Duration::from_millis(100);

/// How long requests under way may hold up the end.
const SERVER_GRACE: Duration = Duration::from_secs(5);

/// How long the indexer may hold up the end. It gives up its block by itself
/// before; what is left to wait for is a commit.
const INDEXER_GRACE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Start, console: &Console) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the server's threads cannot be started")?;
    let done = tokio.block_on(serve(args, console));
    console.hide_bar();
    // A view under way would hold up the end until its deadline.
    tokio.shutdown_background();
    done
}

async fn serve(args: &Start, console: &Console) -> Result<()> {
    allocator::give_back_unused();
    let descriptors = args.descriptors(descriptors::raise_limit());
    let mut signals = Signals::catch().context("signals cannot be caught")?;
    let leaving = Leaving::at_signals()?;
    // All that can be checked is checked before a database is made.
    let address = Reserved::take(args.serving.address()?)?;
    let guest = guest::prepare(args)?;
    let source = Source::open(args)?;
    if !database::exists(&args.db) {
        source.check_exit(args)?;
    }
    let runtime = {
        let options = args.store_options(&descriptors);
        tell_settings(args, &options, &descriptors);
        guest.over(database::open_or_create(&args.db, options)?)?
    };
    drop(leaving);
    if let Some(node) = source.node() {
        node.keep_blocks_index();
    }
    tell_position(&runtime);
    let indexer = source.indexer(runtime.clone(), args.index_options());
    indexer.claim()?;
    tell_guests(&runtime);
    let reporter = Arc::new(source.reporter(indexer.progress(), runtime.clone()));
    let options = ServerOptions {
        indexing: Some(Arc::<Reporter>::clone(&reporter)),
        ..args.server_options(&descriptors)
    };
    let server = Server::serve(address, runtime.clone(), options)?;
    let stateful_views = args.views.are_stateful().then(|| runtime.clone());
    let mut indexing = Indexing::start(indexer, runtime.store().clone())?;
    if let Some(node) = source.node()
        && let Some(interval) = args.following.pending_interval()
    {
        let pending = Pending {
            node,
            runtime,
            progress: Arc::clone(&indexing.progress),
            interval,
        };
        let kept = pending.keep(&indexing.stop);
        kept.context("the thread for the pending block cannot be started")?;
    }
    if let Some(runtime) = stateful_views {
        tokio::spawn(enable_stateful_views(runtime));
    }
    let over = until_over(args, console, &reporter, &mut signals, &mut indexing).await;
    if over.as_ref().is_err_and(is_stuck) {
        // What holds the write up would hold up the end.
        return over;
    }
    tokio::select! {
        () = end(server, indexing) => {}
        signal = signals.next() => tracing::warn!("{signal} again: leaving at once"),
    }
    over
}

/// Whether it is over because a write does not return.
fn is_stuck(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(IndexError::Stuck { .. }))
}

/// Waits for a signal, or for an end of indexing after which nothing is served. Where
/// indexing has halted over what the node has, it may go on by itself.
async fn until_over(
    args: &Start,
    console: &Console,
    reporter: &Reporter,
    signals: &mut Signals,
    indexing: &mut Indexing,
) -> Result<()> {
    let stopping = |signal| tracing::info!("{signal}: stopping");
    loop {
        let progress = Arc::clone(&indexing.progress);
        let ended = tokio::select! {
            signal = signals.next() => {
                stopping(signal);
                return Ok(());
            }
            ended = indexing.watch(console) => ended,
            error = stuck(args, &progress) => {
                console.hide_bar();
                reporter.halted(halt::tell(&error));
                return Err(error.into());
            }
        };
        console.hide_bar();
        if after_indexing(args, &indexing.progress, reporter, ended)? == Halted::Done {
            return Ok(());
        }
        tokio::select! {
            signal = signals.next() => {
                stopping(signal);
                return Ok(());
            }
            () = indexing.resumed() => {
                tracing::info!("the node's chain can be followed again: indexing goes on");
            }
        }
    }
}

/// Waits for a write that has not returned for so long that the process is to end, by
/// `--on-halt`. Nothing else ends it: what holds the write up may pass.
async fn stuck(args: &Start, progress: &Progress) -> IndexError {
    let mut ticks = interval(STUCK_EVERY);
    loop {
        ticks.tick().await;
        if let Some(error) = progress.stuck(args.write_timeout())
            && halt::exits(args, progress.report().height, &error)
        {
            return error;
        }
    }
}

/// Says how the machine is shared out.
fn tell_settings(args: &Start, store: &StoreOptions, descriptors: &Descriptors) {
    let memory = &args.memory;
    let total = memory.total.map(mebibytes);
    tracing::info!(
        total,
        engine = mebibytes(store.cache_bytes),
        values = mebibytes(store.read_cache_bytes),
        views = mebibytes(memory.views),
        scouts = mebibytes(memory.scouts),
        blocks = mebibytes(memory.fetched + memory.uncommitted),
        "memory is shared out"
    );
    tracing::info!(
        durability = store.durability.as_str(),
        workers = store.workers,
        files = descriptors.files,
        connections = descriptors.connections,
        "threads, open files and connections are limited"
    );
}

/// Says where indexing goes on.
fn tell_position(runtime: &MetashrewRuntime) {
    if let Some(tip) = runtime.store().snapshot().tip() {
        let (height, hash) = (tip.height, tip.hash);
        tracing::info!(height, %hash, "resuming after block {height}");
    } else {
        tracing::info!("the database is empty: indexing begins");
    }
}

/// Says who wrote what is there.
fn tell_guests(runtime: &MetashrewRuntime) {
    for entry in runtime.store().identity().guests {
        tracing::info!(
            "blocks from {} on were written by {}",
            entry.first_height,
            entry.guest
        );
    }
}

/// Stateful views that could not be had at the start (the guest may need a state, the
/// machine memory) are tried again whenever there is another last block.
async fn enable_stateful_views(runtime: MetashrewRuntime) {
    let tip = || runtime.store().snapshot().tip().map(|tip| tip.hash);
    let mut tried = tip();
    let mut ticks = interval(STATEFUL_VIEWS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !runtime.is_stateful_views_enabled() {
        ticks.tick().await;
        if tip() == tried {
            continue;
        }
        tried = tip();
        if let Err(error) = runtime.enable_stateful_views().await {
            tracing::debug!("stateful views cannot be enabled yet: {error}");
        }
    }
}

/// What to do once indexing is over.
#[derive(Debug, PartialEq, Eq)]
enum Halted {
    /// End.
    Done,
    /// Go on serving.
    Serving,
}

fn after_indexing(
    args: &Start,
    progress: &Progress,
    reporter: &Reporter,
    ended: Result<IndexEnd, IndexError>,
) -> Result<Halted> {
    let report = progress.report();
    match ended {
        Ok(IndexEnd::Exit) => {
            tracing::info!(height = report.height, "indexed up to --exit-at");
            Ok(Halted::Done)
        }
        Ok(IndexEnd::Stopped) => Ok(Halted::Done),
        Ok(IndexEnd::Tip) => {
            if let Some(exit_at) = args.exit_at {
                bail!(
                    "the blocks end at {}, below --exit-at {exit_at}",
                    report
                        .height
                        .map_or_else(|| "none".to_owned(), |height| height.to_string())
                );
            }
            tracing::info!(
                height = report.height,
                blocks = report.blocks,
                took = console::duration(report.elapsed),
                "all blocks are indexed; serving goes on"
            );
            Ok(Halted::Serving)
        }
        Err(error) => {
            reporter.halted(halt::tell(&error));
            if halt::exits(args, report.height, &error) {
                return Err(error.into());
            }
            tracing::warn!(height = report.height, "views go on being served");
            Ok(Halted::Serving)
        }
    }
}

/// Ends server and indexer and closes the database, within bounds: commits are atomic,
/// and nothing else is lost by leaving.
async fn end(server: ServerHandle, mut indexing: Indexing) {
    indexing.stop.request();
    let store = indexing.store.clone();
    let ended = async {
        if timeout(INDEXER_GRACE, indexing.ended()).await.is_err() {
            tracing::warn!("leaving although the indexer has not stopped");
        }
    };
    let answered = async {
        if timeout(SERVER_GRACE, server.stop()).await.is_err() {
            tracing::warn!("leaving although requests are under way");
        }
    };
    tokio::join!(ended, answered);
    close(store).await;
}

/// Has the engine write out what it holds in memory, so that the next start has nothing to
/// read again. Without, nothing is lost.
async fn close(store: Store) {
    let closing = tokio::task::spawn_blocking(move || store.close());
    match timeout(CLOSING_GRACE, closing).await {
        Ok(Ok(Ok(()))) => tracing::debug!("the database is closed"),
        Ok(Ok(Err(error))) => {
            let cause = error.source.as_ref();
            tracing::warn!(
                cause,
                "{error}: the next start reads again what was not written out"
            );
        }
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("leaving although the database has not written out what is in memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use metashrew_store::{Backend, BackendError, Batch, BatchNumber, MemoryBackend, Read, View};
    use metashrew_sync::{BlockFiles, IndexOptions, Indexer};
    use metashrew_testing::chain::Chain;
    use metashrew_testing::frames::{REGTEST_MAGIC, frames};
    use metashrew_testing::guests;
    use parking_lot::Mutex;

    use super::*;
    use crate::cli::{Cli, Command};

    /// An engine in memory, whose writes do not return while the gate is held.
    #[derive(Debug, Default)]
    struct Gated {
        inner: MemoryBackend,
        gate: Mutex<()>,
    }

    impl Backend for Gated {
        fn view(&self) -> Arc<dyn View> {
            self.inner.view()
        }

        fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
            drop(self.gate.lock());
            self.inner.write(batch)
        }

        fn durable(&self) -> BatchNumber {
            self.inner.durable()
        }

        fn sync(&self, batch: BatchNumber) -> Read<'_, ()> {
            self.inner.sync(batch)
        }
    }

    fn args(flags: &[&str]) -> Start {
        let needed = ["metashrew", "start", "--indexer=g", "--blocks=b", "--db=d"];
        match Cli::parse_from(needed.iter().chain(flags)).command {
            Command::Start(start) => *start,
            _ => panic!("not start"),
        }
    }

    #[test]
    fn a_commit_that_does_not_return_ends_the_process_where_a_halt_would() {
        let mut chain = Chain::new(8);
        chain.mine(3);
        let file = tempfile::NamedTempFile::new().unwrap();
        let blocks = chain.blocks().iter().map(|block| block.bytes.as_slice());
        std::fs::write(file.path(), frames(REGTEST_MAGIC, blocks)).unwrap();
        let backend = Arc::new(Gated::default());
        let store = Store::with_backend(Arc::clone(&backend) as Arc<dyn Backend>).unwrap();
        let runtime = MetashrewRuntime::new(&guests::chained(), store.clone()).unwrap();
        let node = Arc::new(BlockFiles::open(file.path(), None).unwrap());
        let indexer = Indexer::new(runtime, node, IndexOptions::default());
        let held = backend.gate.lock();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut indexing = Indexing::start(indexer, store.clone()).unwrap();
        let exits = args(&["--on-halt", "exit", "--write-timeout-ms", "1"]);
        let error = tokio.block_on(stuck(&exits, &indexing.progress));
        assert!(
            error.to_string().starts_with("the commit of block"),
            "{error}"
        );
        let height = indexing.progress.report().height;
        assert_eq!(height, None);
        // Where there is something to serve, it is served.
        assert!(!halt::exits(&args(&[]), Some(7), &error));
        assert!(!halt::exits(&args(&["--on-halt", "serve"]), height, &error));
        assert!(halt::exits(&args(&["--exit-at", "9"]), Some(7), &error));
        drop(held);
        assert_eq!(tokio.block_on(indexing.ended()).unwrap(), IndexEnd::Tip);
        assert_eq!(
            store.snapshot().tip().map(|tip| tip.height),
            chain.tip().map(|tip| tip.height)
        );
    }
}

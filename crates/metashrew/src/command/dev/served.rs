//! The guest that answers, until a newer one takes its place at the same address.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_server::{Reserved, Server, ServerHandle, ServerOptions};
use metashrew_sync::{Indexer, Stop};

use super::Event;
use super::attempt::{Candidate, Identity, Live};
use super::setup::Setup;
use crate::cli::Dev;
use crate::memory::Memory;

/// How long requests under way may hold up the next guest.
const GRACE: Duration = Duration::from_secs(1);

/// Where guests answer, one after the other.
pub(super) struct Address {
    /// None while it is handed on.
    reserved: Option<Reserved>,
    options: ServerOptions,
    tokio: tokio::runtime::Handle,
}

/// A guest that answers, and goes on indexing.
pub(super) struct Served {
    pub(super) identity: Identity,
    pub(super) live: Arc<Live>,
    server: ServerHandle,
    // It ends first.
    _follow: Follow,
}

/// The thread that indexes new blocks. It ends with this.
struct Follow {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Address {
    /// Takes the address; nobody is answered yet.
    pub(super) fn take(
        args: &Dev,
        memory: &Memory,
        tokio: &tokio::runtime::Handle,
    ) -> Result<Self> {
        let _entered = tokio.enter();
        let mut options = ServerOptions {
            request_memory: usize::try_from(memory.requests).unwrap_or(usize::MAX),
            ..ServerOptions::default()
        };
        options.allowed_hosts.allow(&args.listen.host.0);
        Ok(Self {
            reserved: Some(Reserved::take(args.listen.address()?)?),
            options,
            tokio: tokio.clone(),
        })
    }

    /// Has a guest answer in place of another one: what is answered from the return on comes
    /// of it. A caller that connects meanwhile waits.
    pub(super) fn serve(
        &mut self,
        candidate: Candidate,
        before: Option<Served>,
        setup: &Setup,
        events: &Sender<Event>,
    ) -> Result<Served> {
        let Candidate {
            identity,
            live,
            source,
            ..
        } = candidate;
        let follows = source.node().is_some();
        let indexer = source.indexer(live.runtime.clone(), setup.index_options(follows));
        let reporter = source.reporter(indexer.progress(), live.runtime.clone());
        let options = ServerOptions {
            indexing: Some(Arc::new(reporter)),
            ..self.options.clone()
        };
        let follow = Follow::start(indexer, events.clone())?;
        let _entered = self.tokio.enter();
        let reserved = self.reserved.take().context("the address is lost")?;
        let (now, later) = reserved.split()?;
        self.reserved = Some(later);
        if let Some(before) = before {
            self.end(before);
        }
        let server = Server::serve(now, live.runtime.clone(), options)?;
        Ok(Served {
            identity,
            live,
            server,
            _follow: follow,
        })
    }

    /// Has a guest answer nothing more.
    pub(super) fn end(&self, served: Served) {
        let stop = served.server.stop();
        let stopped = async { tokio::time::timeout(GRACE, stop).await };
        if self.tokio.block_on(stopped).is_err() {
            tracing::warn!("requests to the guest before are still under way");
        }
    }
}

impl Served {
    /// Where it answers.
    pub(super) fn address(&self) -> String {
        self.server.local_addr().to_string()
    }
}

impl Follow {
    fn start(indexer: Indexer, events: Sender<Event>) -> Result<Self> {
        let stop = Stop::new();
        let until = stop.clone();
        let thread = thread::Builder::new().name("metashrew-commit".to_owned());
        let thread = thread
            .spawn(move || {
                if let Err(error) = indexer.run(&until) {
                    // Nobody listens any more at the end.
                    let _ = events.send(Event::Halted(error));
                }
            })
            .context("the indexer's thread cannot be started")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            // A panic there was told of by itself.
            let _ = thread.join();
        }
    }
}

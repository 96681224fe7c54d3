//! Hears of new blocks from the node itself: its ZMQ publisher `hashblock`.
//!
//! A signal says no more than that it is worth asking the node. One may be lost, so
//! whoever listens polls as well, if seldom.

use std::io;
use std::str::FromStr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::runtime;
use tokio::sync::oneshot;
use zeromq::prelude::*;
use zeromq::{Endpoint, SocketEvent, SocketOptions, SubSocket, ZmqError};

use crate::fetch::Causes;
use crate::options::Backoff;

/// What Core calls the publication of new tips.
const TOPIC: &str = "hashblock";

/// How long a connection may take before it is begun anew.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between connections.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};

/// The subscription cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The endpoint is none that Core publishes at.
    #[error("`{endpoint}` is no endpoint of ZMQ: `tcp://HOST:PORT`")]
    Endpoint {
        /// The endpoint as it was given.
        endpoint: String,
    },
    /// There is no thread for it.
    #[error("the thread that listens for new blocks could not be started")]
    Thread(#[from] io::Error),
}

/// A subscription to a node's new blocks. Dropping it ends it.
#[derive(Debug)]
pub struct NewBlocks {
    receiver: Receiver<()>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Subscribes to `hashblock` at an endpoint such as `tcp://127.0.0.1:28332`. The node
/// need not run: it is looked for, with pauses, until it is there, and again whenever
/// it has gone.
pub fn subscribe(endpoint: &str) -> Result<NewBlocks, SubscribeError> {
    check_endpoint(endpoint)?;
    // One signal that waits says as much as many.
    let (sender, receiver) = bounded(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let endpoint = endpoint.to_owned();
    let thread = thread::Builder::new()
        .name("new-blocks".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = listen(&endpoint, &sender) => {}
                }
            });
            // A look-up of the host's name is not waited for.
            runtime.shutdown_background();
        })?;
    Ok(NewBlocks {
        receiver,
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// Checks that an endpoint is one to which [`subscribe`] can connect.
///
/// # Errors
/// If it is none of ZMQ over TCP.
pub fn check_endpoint(endpoint: &str) -> Result<(), SubscribeError> {
    match Endpoint::from_str(endpoint) {
        Ok(Endpoint::Tcp(..)) => Ok(()),
        _ => Err(SubscribeError::Endpoint {
            endpoint: endpoint.to_owned(),
        }),
    }
}

impl NewBlocks {
    /// Receives a signal for every new tip, and one for every connection to the node:
    /// there may have been blocks meanwhile. Signals that nobody took become one.
    /// Disconnected when the subscription is dropped.
    pub fn signals(&self) -> &Receiver<()> {
        &self.receiver
    }
}

impl Drop for NewBlocks {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Listens for ever, over as many connections as it takes.
async fn listen(endpoint: &str, sender: &Sender<()>) {
    let mut failures = 0;
    loop {
        let mut heard = false;
        let end = listen_once(endpoint, sender, &mut heard).await;
        if heard {
            failures = 0;
        }
        if failures == 0 {
            let causes = Causes(&end);
            tracing::warn!(
                "no word of new blocks from {endpoint}: {causes}; the node is polled until it publishes again"
            );
        }
        failures = u32::saturating_add(failures, 1);
        tokio::time::sleep(BACKOFF.pause(failures)).await;
    }
}

/// Listens over one connection, until it fails.
async fn listen_once(endpoint: &str, sender: &Sender<()>, heard: &mut bool) -> ZmqError {
    let mut options = SocketOptions::default();
    options.connect_timeout(CONNECT_TIMEOUT);
    let mut socket = SubSocket::with_options(options);
    let mut events = socket.monitor();
    if let Err(error) = async {
        socket.subscribe(TOPIC).await?;
        socket.connect(endpoint).await
    }
    .await
    {
        return error;
    }
    *heard = true;
    tracing::info!("listening for new blocks at {endpoint}");
    // A full channel holds a signal already.
    let _ = sender.try_send(());
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Ok(message) if message.get(0).is_some_and(|topic| *topic == TOPIC) => {
                    let _ = sender.try_send(());
                }
                Ok(_) => {}
                Err(error) => return error,
            },
            event = futures_util::StreamExt::next(&mut events) => {
                // The socket would connect again by itself, but wait up to half a
                // minute between tries, and nobody would be told.
                if let Some(SocketEvent::Disconnected(_)) | None = event {
                    return ZmqError::Other("the node closed the connection");
                }
            }
        }
    }
}

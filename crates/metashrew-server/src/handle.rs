//! Starting and stopping the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metashrew_runtime::MetashrewRuntime;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};

use crate::accept::{Acceptor, Stop};
use crate::budget::Budget;
use crate::error::ServerError;
use crate::feed::Feed;
use crate::front::{Front, Shared};
use crate::options::ServerOptions;
use crate::probes;
use crate::push::Push;
use crate::receive::Bodies;
use crate::requests::RequestCounts;
use crate::rpc::Rpc;
use crate::telemetry::{Telemetry, Transport};
use crate::view_route::Described;

/// The JSON-RPC server.
#[derive(Debug)]
pub struct Server;

/// An address that is taken: nobody else can take it, and nobody is answered yet.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    socket: Taken,
}

#[derive(Debug)]
enum Taken {
    Bound(TcpSocket),
    Listening(TcpListener),
}

impl Reserved {
    /// Connections that may wait to be accepted.
    const BACKLOG: u32 = 1024;

    /// Takes `address` (port 0: any free one). Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If it is taken already, not allowed, or not this machine's.
    pub fn take(address: SocketAddr) -> Result<Self, ServerError> {
        let taken = match Self::bind(address, false) {
            Ok(socket) => Ok(Taken::Bound(socket)),
            // Connections of an earlier server hold its port for minutes after its end, but
            // not from those who ask for it so. Two that do may bind at a time; one may
            // listen.
            Err(error) if cfg!(unix) && error.kind() == io::ErrorKind::AddrInUse => {
                Self::bind(address, true)
                    .and_then(|socket| socket.listen(Self::BACKLOG))
                    .map(Taken::Listening)
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok(socket) => Ok(Self { address, socket }),
            Err(source) => Err(ServerError::Bind { address, source }),
        }
    }

    fn bind(address: SocketAddr, reuse: bool) -> io::Result<TcpSocket> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if reuse {
            socket.set_reuseaddr(true)?;
        }
        socket.bind(address)?;
        Ok(socket)
    }

    /// The address twice, for two servers, one after the other. Whoever connects after the
    /// end of the first one waits for the second.
    ///
    /// # Errors
    /// If it cannot be listened at, for want of descriptors.
    pub fn split(self) -> Result<(Self, Self), ServerError> {
        let address = self.address;
        let listener = self.listen()?;
        let halves = listener.into_std().and_then(|first| {
            let second = first.try_clone()?;
            Ok((
                TcpListener::from_std(first)?,
                TcpListener::from_std(second)?,
            ))
        });
        let (first, second) = halves.map_err(|source| ServerError::Bind { address, source })?;
        let of = |listener| Self {
            address,
            socket: Taken::Listening(listener),
        };
        Ok((of(first), of(second)))
    }

    fn listen(self) -> Result<TcpListener, ServerError> {
        let listener = match self.socket {
            Taken::Listening(listener) => Ok(listener),
            Taken::Bound(socket) => {
                // Its connections inherit this, and so hold the port from nobody later.
                let reusable = if cfg!(unix) {
                    socket.set_reuseaddr(true)
                } else {
                    Ok(())
                };
                reusable.and_then(|()| socket.listen(Self::BACKLOG))
            }
        };
        let address = self.address;
        listener.map_err(|source| ServerError::Bind { address, source })
    }
}

impl Server {
    /// Listens on `address` (port 0: any free one) and answers with `runtime`
    /// until the handle is stopped or dropped. Runs on the tokio runtime it is
    /// called on.
    #[allow(clippy::unused_async, reason = "it must be called on a tokio runtime")]
    pub async fn bind(
        address: SocketAddr,
        runtime: MetashrewRuntime,
        options: ServerOptions,
    ) -> Result<ServerHandle, ServerError> {
        Self::serve(Reserved::take(address)?, runtime, options)
    }

    /// As [`Server::bind`], at an address taken before.
    ///
    /// # Errors
    /// If it cannot be listened at.
    pub fn serve(
        reserved: Reserved,
        runtime: MetashrewRuntime,
        options: ServerOptions,
    ) -> Result<ServerHandle, ServerError> {
        let address = reserved.address;
        let failed = |source| ServerError::Bind { address, source };
        let listener = reserved.listen()?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let transport = Transport::new(&options);
        let connections = Arc::clone(&transport.connections);
        tracing::debug!(limit = connections.limit(), "connections are bounded");
        let half_closed = options.half_closed_timeout;
        let (stop, stopped) = watch::channel(false);
        let front = Arc::new(front(runtime, options, transport, stopped.clone()));
        let acceptor = Acceptor {
            connections,
            front,
            half_closed,
        };
        tokio::spawn(acceptor.run(listener, Stop(stopped)));
        tracing::info!(address = %local_addr, "serving JSON-RPC");
        Ok(ServerHandle { local_addr, stop })
    }
}

/// What answers requests.
fn front(
    runtime: MetashrewRuntime,
    mut options: ServerOptions,
    transport: Transport,
    stopped: watch::Receiver<bool>,
) -> Front {
    let requests = Arc::new(RequestCounts::default());
    let (budget, refusals) = (
        Arc::clone(&transport.budget),
        Arc::clone(&transport.refusals),
    );
    let limits = Arc::clone(&transport.subscriptions);
    let feed = Feed::new(runtime.clone(), &options, limits, stopped);
    let connections = Arc::clone(&transport.connections);
    let counts = Arc::clone(&transport.push);
    let clients = Arc::clone(&transport.clients);
    let telemetry = Arc::new(Telemetry::new(
        runtime.clone(),
        options.indexing.take(),
        options.ready_within,
        Arc::clone(&requests),
        transport,
    ));
    let shared = Shared {
        cors: options.cors.clone(),
        described: Described::new(&runtime),
        rpc: Rpc::new(runtime, Arc::clone(&telemetry), requests, &options),
        telemetry,
        permits: Semaphore::new(options.max_requests.min(Semaphore::MAX_PERMITS)),
        max_requests: options.max_requests,
        bodies: Bodies {
            max: options.max_request as usize,
            timeout: options.body_timeout,
            min_rate: options.body_min_rate,
        },
        budget,
        probes: Arc::new(Budget::new(probes::MEMORY, Duration::ZERO)),
        refusals,
        feed,
        push: Push {
            connections,
            counts,
            clients,
            heartbeat: options.heartbeat,
        },
    };
    Front::new(shared, options.allowed_hosts)
}

/// A running server; dropping it stops the server too.
#[derive(Debug)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
}

impl ServerHandle {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts nothing more, and waits until the requests under way are answered.
    /// A caller that won't wait so long drops the future.
    pub async fn stop(self) {
        // It fails only if the server has stopped already.
        if self.stop.send(true).is_ok() {
            self.stop.closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_can_be_taken_once() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Reserved::take(any).unwrap().listen().unwrap();
        let address = listener.local_addr().unwrap();
        assert!(Reserved::take(address).is_err());
        drop(listener);
        let first = Reserved::take(address).unwrap();
        assert!(Reserved::take(address).is_err());
        let listener = first.listen().unwrap();
        // The side that closes first keeps the port for a while.
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        drop((accepted, listener));
        drop(client);
        let again = Reserved::take(address).unwrap();
        assert!(Reserved::take(address).is_err());
        again.listen().unwrap();
    }

    #[tokio::test]
    async fn one_server_follows_another_at_one_address() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (first, second) = Reserved::take(any).unwrap().split().unwrap();
        let first = first.listen().unwrap();
        let address = first.local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        drop((first.accept().await.unwrap(), first, client));
        // Nobody listens, and nobody is refused.
        let _waits = tokio::net::TcpStream::connect(address).await.unwrap();
        second.listen().unwrap().accept().await.unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap_err();
    }
}

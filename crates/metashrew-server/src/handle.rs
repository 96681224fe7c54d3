//! Starting and stopping the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{BatchRequestConfig, ServerConfig, stop_channel};
use metashrew_runtime::MetashrewRuntime;
use tokio::net::{TcpListener, TcpSocket};
use tower::ServiceBuilder;

use crate::batch::Parallel;
use crate::connections::{self, Connections};
use crate::error::ServerError;
use crate::method::{self, Context};
use crate::options::ServerOptions;
use crate::parallel::Bounds;
use crate::probes::Probes;
use crate::requests::RequestCounts;
use crate::strict::Strict;
use crate::telemetry::Telemetry;

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
        let config = ServerConfig::builder()
            .http_only()
            .max_request_body_size(options.max_request)
            .max_response_body_size(options.max_response)
            .max_connections(options.max_connections)
            // `Strict` counts the entries.
            .set_batch_request_config(BatchRequestConfig::Unlimited)
            .build();
        let listener = reserved.listen()?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let connections = Arc::new(Connections::new(options.max_open_connections));
        let requests = Arc::new(RequestCounts::default());
        let telemetry = Arc::new(Telemetry::new(
            runtime.clone(),
            options.indexing,
            options.ready_within,
            Arc::clone(&requests),
            Arc::clone(&connections),
        ));
        let http = ServiceBuilder::new()
            .layer(options.cors.layer())
            .layer(Probes(Arc::clone(&telemetry)))
            .layer(Strict {
                max_request: options.max_request,
                max_batch: options.max_batch,
            });
        let bounds = Bounds {
            at_a_time: options.batch_parallel,
            max_length: options.max_response as usize,
        };
        let rpc = RpcServiceBuilder::new().layer(Parallel {
            bounds,
            runtime: runtime.clone(),
            requests,
        });
        let services = jsonrpsee::server::Server::builder()
            .set_config(config)
            .set_http_middleware(http)
            .set_rpc_middleware(rpc)
            .to_service_builder();
        let methods = method::all(Context {
            runtime,
            height_compat: options.height_compat,
            bounds,
            max_batch: options.max_batch,
            telemetry,
        })
        .expect("every method has a name of its own");
        let (stop, handle) = stop_channel();
        let service = services.build(methods, stop.clone());
        tracing::debug!(limit = connections.limit(), "connections are bounded");
        tokio::spawn(connections::serve(listener, connections, service, stop));
        tracing::info!(address = %local_addr, "serving JSON-RPC");
        Ok(ServerHandle { local_addr, handle })
    }
}

/// A running server; dropping it stops the server too.
#[derive(Debug)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    handle: jsonrpsee::server::ServerHandle,
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
        if self.handle.stop().is_ok() {
            self.handle.stopped().await;
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
}

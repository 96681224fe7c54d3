//! Accepts connections, no more than may be open, and speaks HTTP/1.1 over each until
//! either side has had enough.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::compression::{self, Accepted};
use crate::connections::{Connection, Connections, Open, UnderWay};
use crate::front::Front;
use crate::held::Held;
use crate::push::{GOODBYE, Upgrade};
use crate::socket::Socket;

/// The pauses after a connection could not be accepted (for want of descriptors, say):
/// trying again at once would keep a core busy and help nobody.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of a connection's buffers, which the head of a request must fit into.
const BUFFER: usize = 32 * 1024;

/// Tells that the server is to stop; it is over when all of these are dropped.
#[derive(Clone)]
pub(crate) struct Stop(pub(crate) watch::Receiver<bool>);

impl Stop {
    pub(crate) async fn wait(&mut self) {
        // A handle that is dropped stops the server, too.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// What is served, and how.
pub(crate) struct Acceptor {
    pub(crate) connections: Arc<Connections>,
    pub(crate) front: Arc<Front>,
    /// How long a call goes on whose client sends no more.
    pub(crate) half_closed: Duration,
}

impl Acceptor {
    /// Accepts connections until a stop; then waits for nobody: each connection holds the
    /// stop until its request is answered.
    pub(crate) async fn run(self, listener: TcpListener, stop: Stop) {
        let mut stopped = stop.clone();
        let mut stopped = pin!(stopped.wait());
        let mut pause = FIRST_PAUSE;
        let mut watch = pin!(self.connections.watch());
        for number in 0.. {
            let accepted = tokio::select! {
                () = &mut stopped => return,
                () = &mut watch => return,
                accepted = accept(&listener, &self.connections) => accepted,
            };
            match accepted {
                Ok((permit, socket, peer)) => {
                    pause = FIRST_PAUSE;
                    let open = Open::new(&self.connections, number, peer, permit);
                    let answers = Answers {
                        front: Arc::clone(&self.front),
                        half_closed: self.half_closed,
                    };
                    tokio::spawn(answers.serve(open, socket, stop.clone()));
                }
                Err(error) => {
                    self.connections.failed();
                    if pause == FIRST_PAUSE {
                        tracing::warn!("connections cannot be accepted: {error}");
                    }
                    tokio::select! {
                        () = &mut stopped => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// The next connection, with the permit it needs: only then does another give way.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, IpAddr)> {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => return Ok((connections.room().await, socket, peer.ip())),
            // The client has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// HTTP over one connection.
trait Connected: Future<Output = hyper::Result<()>> + Send {
    /// Answers nothing more than what was asked already.
    fn shut_down(self: Pin<&mut Self>);
}

impl<I, B, S> Connected for UpgradeableConnection<I, S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: Read + Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    Self: Future<Output = hyper::Result<()>> + Send,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

type Http = Pin<Box<dyn Connected>>;

/// What the last answer over HTTP turned the connection into.
type AfterHttp = Arc<Mutex<Option<Upgrade>>>;

struct Answers {
    front: Arc<Front>,
    half_closed: Duration,
}

impl Answers {
    /// Answers the requests of one connection.
    async fn serve(self, open: Open, socket: TcpStream, mut stop: Stop) {
        // It delays small answers at worst.
        let _ = socket.set_nodelay(true);
        let connection = &open.connection;
        // Until it says something, a connection takes no buffer.
        let spoken = tokio::select! {
            biased;
            readable = socket.readable() => readable.is_ok(),
            () = connection.gives_way() => false,
            () = connection.closes() => false,
            () = stop.wait() => false,
        };
        if spoken {
            let front = Arc::clone(&self.front);
            let http = Box::pin(self.answer(connection, socket, stop.clone()));
            if let Some(upgrade) = http.await {
                let converses = front.converse(upgrade, connection, stop);
                Box::pin(converses).await;
            }
        }
    }

    /// HTTP over one connection, and what an answer says that comes after it.
    fn http(self, connection: &Arc<Connection>, socket: TcpStream) -> (Http, AfterHttp) {
        let after = AfterHttp::default();
        let (front, requested) = (self.front, Arc::clone(connection));
        let upgraded = Arc::clone(&after);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let under_way = UnderWay::new(&requested);
            let (front, upgraded) = (Arc::clone(&front), Arc::clone(&upgraded));
            async move {
                let accepted = Accepted::of(request.headers());
                let answered = front.answer(request, under_way.connection()).await;
                let mut response = compression::compressed(answered, accepted);
                if let Some(upgrade) = response.extensions_mut().remove() {
                    *upgraded.lock() = Some(upgrade);
                }
                under_way.connection().sends();
                Ok::<_, Infallible>(response.map(|body| Held::new(body, under_way)))
            }
        });
        let mut http = http1::Builder::new();
        // Clients' times are watched over in one place, for all connections.
        http.header_read_timeout(None).max_buf_size(BUFFER);
        let socket = Socket::new(socket, Arc::clone(connection), self.half_closed);
        let served = http.serve_connection(TokioIo::new(socket), service);
        (Box::pin(served.with_upgrades()), after)
    }

    /// Answers requests, and tells what comes after them, if anything does.
    async fn answer(
        self,
        connection: &Arc<Connection>,
        socket: TcpStream,
        mut stop: Stop,
    ) -> Option<Upgrade> {
        let (mut served, after) = self.http(connection, socket);
        let mut ended = tokio::select! {
            // A request that has arrived is begun before the connection may give way.
            biased;
            ended = &mut served => Some(ended),
            () = connection.closes() => return None,
            () = connection.gives_way() => None,
            () = stop.wait() => None,
        };
        // One that nobody has asked anything over would be waited for.
        if ended.is_none() && connection.has_asked() {
            served.as_mut().shut_down();
            let overdue = async {
                if !connection.is_pushing() {
                    std::future::pending::<()>().await;
                }
                // It is told the end; whoever does not read it is not waited for.
                tokio::time::sleep(GOODBYE).await;
            };
            ended = tokio::select! {
                ended = &mut served => Some(ended),
                () = connection.closes() => return None,
                () = overdue => return None,
            };
        }
        match ended {
            Some(Err(error)) => tracing::debug!("a connection ended: {error}"),
            Some(Ok(())) => return after.lock().take(),
            None => {}
        }
        None
    }
}

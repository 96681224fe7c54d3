//! Accepts connections, a bounded number of them: each takes a descriptor, which the
//! storage engine needs too. Where there are as many as may be, the one that has been
//! idle for longest gives way; where none is idle, new ones wait in the backlog.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use crate::front::HttpResponse;

/// How long a client may take for the head of its next request.
const IDLE: Duration = Duration::from_mins(2);

/// The pauses after a connection could not be accepted (for want of descriptors, say):
/// trying again at once would keep a core busy and help nobody.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked for an idle connection while there is no room.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a new connection may take to ask something before it counts as idle: its
/// first request may be on its way, or lie unread in the socket.
const TIME_TO_ASK: Duration = Duration::from_secs(1);

/// The connections that are open.
pub(crate) struct Connections {
    limit: usize,
    /// A permit for each that may be opened.
    free: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
}

struct Connection {
    /// Requests that are being answered.
    under_way: AtomicUsize,
    /// When the last one was answered, or it was opened.
    idle_since: Mutex<Instant>,
    /// Whether there was any.
    asked: AtomicBool,
    /// Whether it was told to give way.
    leaves: AtomicBool,
    gives_way: Notify,
}

impl Connection {
    fn new() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            asked: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
            gives_way: Notify::new(),
        }
    }

    /// Whether it may give way to another at this instant.
    fn is_idle(&self, now: Instant) -> bool {
        let may_ask_yet = || {
            !self.asked.load(Ordering::Relaxed)
                && now.saturating_duration_since(*self.idle_since.lock()) < TIME_TO_ASK
        };
        self.under_way.load(Ordering::Relaxed) == 0
            && !self.leaves.load(Ordering::Relaxed)
            && !may_ask_yet()
    }
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            limit,
            free: Arc::new(Semaphore::new(limit)),
            open: Mutex::default(),
        }
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().len()
    }

    /// How many may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Waits until there may be one more, and has an idle one give way if need be.
    async fn room(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return permit;
        }
        loop {
            self.have_one_give_way();
            let permit = Arc::clone(&self.free).acquire_owned();
            // One that is busy now may be idle then.
            if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, permit).await {
                return permit.expect("the semaphore is never closed");
            }
        }
    }

    fn have_one_give_way(&self) {
        let now = Instant::now();
        let open = self.open.lock();
        let idle = open.values().filter(|connection| connection.is_idle(now));
        if let Some(longest) = idle.min_by_key(|connection| *connection.idle_since.lock()) {
            longest.leaves.store(true, Ordering::Relaxed);
            longest.gives_way.notify_one();
        }
    }
}

/// Accepts connections and has `service` answer their requests, until a stop; then
/// waits for nobody: each connection holds the stop handle until its request is
/// answered.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    connections: Arc<Connections>,
    service: S,
    stop: watch::Receiver<()>,
) where
    S: Service<Request<Incoming>, Response = HttpResponse> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    let mut stopped = pin!(told(stop.clone()));
    let mut pause = FIRST_PAUSE;
    for number in 0.. {
        let accepted = tokio::select! {
            () = &mut stopped => return,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((permit, socket)) => {
                pause = FIRST_PAUSE;
                let served = Served::new(&connections, number, permit);
                let service = Counted {
                    inner: service.clone(),
                    connection: Arc::clone(&served.connection),
                };
                tokio::spawn(answer(served, socket, service, stop.clone()));
            }
            Err(error) => {
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

/// Waits for the stop.
async fn told(mut stop: watch::Receiver<()>) {
    // An error says that nobody is left who could tell it: it is one too.
    let _ = stop.changed().await;
}

/// The next connection, with the permit it needs: only then does another give way.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> io::Result<(OwnedSemaphorePermit, TcpStream)> {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return Ok((connections.room().await, socket)),
            // The client has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A connection in the list, and its permit.
struct Served {
    connections: Arc<Connections>,
    number: u64,
    connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Served {
    fn new(connections: &Arc<Connections>, number: u64, permit: OwnedSemaphorePermit) -> Self {
        let connection = Arc::new(Connection::new());
        let mut open = connections.open.lock();
        open.insert(number, Arc::clone(&connection));
        drop(open);
        Self {
            connections: Arc::clone(connections),
            number,
            connection,
            _permit: permit,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.number);
    }
}

/// Answers a connection's requests until either side has had enough.
async fn answer<S>(
    served: Served,
    socket: TcpStream,
    service: Counted<S>,
    stop: watch::Receiver<()>,
) where
    S: Service<Request<Incoming>, Response = HttpResponse> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    // It delays small answers at worst.
    let _ = socket.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service));
    let mut ended = tokio::select! {
        // A request that has arrived is begun before the connection may give way.
        biased;
        ended = &mut connection => Some(ended),
        () = served.connection.gives_way.notified() => None,
        () = told(stop.clone()) => None,
    };
    // One that nobody has asked anything over would be waited for.
    if ended.is_none() && served.connection.asked.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        ended = Some(connection.await);
    }
    if let Some(Err(error)) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Tells a connection that answers from one that is idle.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    connection: Arc<Connection>,
}

impl<S> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let under_way = UnderWay::new(&self.connection);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(under_way);
            answer
        })
    }
}

/// A request that is being answered.
struct UnderWay(Arc<Connection>);

impl UnderWay {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.asked.store(true, Ordering::Relaxed);
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.idle_since.lock() = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_has_time_to_ask() {
        let connection = Arc::new(Connection::new());
        let opened = *connection.idle_since.lock();
        assert!(!connection.is_idle(opened));
        assert!(connection.is_idle(opened + TIME_TO_ASK));
        let request = UnderWay::new(&connection);
        assert!(!connection.is_idle(opened + 2 * TIME_TO_ASK));
        drop(request);
        // It has asked: what comes next is as likely from any other.
        assert!(connection.is_idle(Instant::now()));
    }
}

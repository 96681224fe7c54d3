//! A proxy in front of a node's RPC and REST port that plays faults: what is wrong
//! can be changed at any time, for all requests or for those of blocks only.

mod branch;
mod front;
mod message;

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use branch::Branch;
pub use front::{Front, Reaction};
use message::{Answer, Request};

use crate::damage;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without a word.
    Close,
    /// No answer comes until something else is to happen.
    Hang,
    /// The answer comes byte by byte, with a pause before each of at most 1,000.
    Trickle(Duration),
    /// The answer ends in the middle, whatever length it announced.
    CutShort,
    /// An error page in HTML (502), as of a proxy whose node is gone.
    Html,
    /// The same page with status 200, as of a captive portal.
    HtmlOk,
    /// Core's answer when too many ask (503).
    Overloaded,
    /// Core's answer while it starts (500, code -28).
    Loading,
    /// The parent of the block asked for.
    OtherBlock,
    /// One bit of the block is wrong, in the middle.
    CorruptByte,
    /// The answer to another question: its `id` is wrong.
    OtherId,
    /// The block comes without its witnesses.
    Stripped,
    /// The witness of the block's coinbase has another element.
    MoreCoinbaseWitness,
    /// The block's number of transactions is written in five bytes.
    LongCount,
    /// Two blocks are claimed to stand in place of the node's last one, and handed
    /// out; their hashes miss their targets.
    NoWork,
    /// One block is claimed to stand in place of the node's last two, and handed out.
    LessWork,
}

impl Fault {
    /// Whether it is about which blocks the best chain has, not about what one of
    /// them is.
    pub fn is_about_the_chain(self) -> bool {
        matches!(self, Self::NoWork | Self::LessWork)
    }
}

/// For which requests something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// All of them.
    All,
    /// Those for a block's bytes, by RPC or REST.
    Blocks,
}

/// Called before a request for a block is passed on.
type Action = Box<dyn FnOnce() + Send>;

struct Plan {
    upstream: SocketAddr,
    fault: Option<(Target, Fault)>,
    /// How often the fault is still played; none for ever.
    times: Option<usize>,
    /// How often the fault was changed.
    changes: u64,
    /// What is claimed, once it was asked for.
    branch: Option<Arc<Branch>>,
    /// After how many further requests for blocks each is called.
    actions: Vec<(usize, Action)>,
}

struct Shared {
    plan: Mutex<Plan>,
    /// Signalled when the plan changes.
    changed: Condvar,
    requests: AtomicUsize,
    faults: AtomicUsize,
    closed: AtomicBool,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy on a free port of 127.0.0.1. Dropping it closes the port.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts in front of a node, passing everything on.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            plan: Mutex::new(Plan {
                upstream,
                fault: None,
                times: None,
                changes: 0,
                branch: None,
                actions: Vec::new(),
            }),
            changed: Condvar::new(),
            requests: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let listening = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || listen(&listener, &shared))
        };
        Self {
            address,
            shared,
            listening: Some(listening),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this goes wrong, until it is changed.
    pub fn play(&self, target: Target, fault: Fault) {
        self.set(Some((target, fault)), None);
    }

    /// This goes wrong so many times, then nothing.
    pub fn play_times(&self, times: usize, target: Target, fault: Fault) {
        self.set(Some((target, fault)), Some(times));
    }

    /// From now on nothing goes wrong.
    pub fn pass(&self) {
        self.set(None, None);
    }

    /// From now on another node answers.
    pub fn point_to(&self, upstream: SocketAddr) {
        self.shared.plan().upstream = upstream;
    }

    /// Does something, such as a change of the node's chain, just before the request
    /// for a block is passed on that comes after so many others.
    pub fn before_block(&self, after: usize, action: impl FnOnce() + Send + 'static) {
        let action = Box::new(action);
        self.shared.plan().actions.push((after, action));
    }

    /// Actions not done yet.
    pub fn actions_left(&self) -> usize {
        self.shared.plan().actions.len()
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Faults played so far.
    pub fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::Relaxed)
    }

    fn set(&self, fault: Option<(Target, Fault)>, times: Option<usize>) {
        let mut plan = self.shared.plan();
        plan.fault = fault;
        plan.times = times;
        plan.changes += 1;
        plan.branch = None;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // What hangs ends, and the listener looks up.
        self.pass();
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        // It ends when the client closes, or at the next request after the proxy has.
        thread::spawn(move || {
            // What cannot be written, the client did not want.
            let _ = serve(&connection, &shared);
            let _ = connection.shutdown(Shutdown::Both);
        });
    }
}

/// Answers the requests of one connection.
fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = io::BufReader::new(connection);
    while let Some(request) = Request::read(&mut reader)? {
        if shared.closed.load(Ordering::Relaxed) {
            break;
        }
        shared.requests.fetch_add(1, Ordering::Relaxed);
        if !answer(connection, shared, &request)? {
            break;
        }
    }
    Ok(())
}

/// Answers one request; whether the connection can go on.
fn answer(connection: &TcpStream, shared: &Shared, request: &Request) -> io::Result<bool> {
    if request.block().is_some() {
        for action in due_actions(shared) {
            action();
        }
    }
    let Due {
        upstream,
        fault,
        changes,
    } = due_fault(shared, request);
    let real = || request.ask(upstream);
    let parent = || match request.of_parent(upstream)? {
        Some(request) => request.ask(upstream),
        None => request.ask(upstream),
    };
    let mut connection = connection;
    match fault {
        None => write_all(connection, &real()?)?,
        Some(Fault::Close) => return Ok(false),
        Some(Fault::Hang) => {
            let hangs = |plan: &mut Plan| plan.changes == changes;
            drop(shared.changed.wait_while(shared.plan(), hangs));
            return Ok(false);
        }
        Some(Fault::Trickle(pause)) => {
            let bytes = real()?.to_bytes();
            let (slow, rest) = bytes.split_at(bytes.len().min(1_000));
            for byte in slow {
                thread::sleep(pause);
                connection.write_all(&[*byte])?;
            }
            connection.write_all(rest)?;
        }
        Some(Fault::CutShort) => {
            let bytes = real()?.to_bytes();
            let (half, _) = bytes.split_at(bytes.len() - bytes.len() / 3);
            connection.write_all(half)?;
            return Ok(false);
        }
        Some(Fault::Html) => write_all(connection, &Answer::html(502))?,
        Some(Fault::HtmlOk) => write_all(connection, &Answer::html(200))?,
        Some(Fault::Overloaded) => write_all(connection, &Answer::overloaded())?,
        Some(Fault::Loading) => write_all(connection, &Answer::loading(request))?,
        Some(Fault::OtherBlock) => write_all(connection, &parent()?)?,
        Some(Fault::CorruptByte) => write_all(connection, &real()?.corrupted())?,
        Some(Fault::OtherId) => write_all(connection, &real()?.of_another_id())?,
        Some(Fault::Stripped) => write_all(connection, &real()?.with_block(damage::stripped))?,
        Some(Fault::MoreCoinbaseWitness) => {
            let answer = real()?.with_block(damage::more_coinbase_witness);
            write_all(connection, &answer)?;
        }
        Some(Fault::LongCount) => write_all(connection, &real()?.with_block(damage::long_count))?,
        Some(fault @ (Fault::NoWork | Fault::LessWork)) => {
            let branch = branch(shared, upstream, fault)?;
            write_all(connection, &branch.answer(request, upstream)?)?;
        }
    }
    Ok(true)
}

/// The branch that is claimed: the same one until the fault is changed.
fn branch(shared: &Shared, upstream: SocketAddr, fault: Fault) -> io::Result<Arc<Branch>> {
    let claimed = shared.plan().branch.clone();
    if let Some(branch) = claimed {
        return Ok(branch);
    }
    let branch = Arc::new(match fault {
        Fault::NoWork => Branch::without_work(upstream)?,
        _ => Branch::with_less_work(upstream)?,
    });
    let mut plan = shared.plan();
    Ok(Arc::clone(plan.branch.get_or_insert(branch)))
}

fn write_all(mut connection: &TcpStream, answer: &Answer) -> io::Result<()> {
    connection.write_all(&answer.to_bytes())
}

/// What is to become of a request.
struct Due {
    upstream: SocketAddr,
    fault: Option<Fault>,
    /// How often the fault had been changed.
    changes: u64,
}

fn due_fault(shared: &Shared, request: &Request) -> Due {
    let mut plan = shared.plan();
    let hits = |target| target == Target::All || request.block().is_some();
    let fault = plan.fault.filter(|(target, _)| hits(*target));
    let changes = plan.changes;
    if fault.is_some() {
        shared.faults.fetch_add(1, Ordering::Relaxed);
        if let Some(times) = &mut plan.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                plan.fault = None;
            }
        }
    }
    Due {
        upstream: plan.upstream,
        fault: fault.map(|(_, fault)| fault),
        changes,
    }
}

/// Counts a request for a block, and takes out what is to be done before it.
fn due_actions(shared: &Shared) -> Vec<Action> {
    let mut plan = shared.plan();
    let mut due = Vec::new();
    let mut later = Vec::new();
    for (after, action) in plan.actions.drain(..) {
        match after.checked_sub(1) {
            Some(after) => later.push((after, action)),
            None => due.push(action),
        }
    }
    plan.actions = later;
    due
}

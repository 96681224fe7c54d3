//! What subscriptions cost: memory and time of one more subscriber, the cost of a block by how
//! many subscribers it touches, and the time from its commit to the last of them.
//!
//! Subscribers are in another process, this program run again, so that this one's memory and CPU
//! time are the server's. With a number in `METASHREW_BENCH_BLOCKS`, so many blocks are measured.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench reports floats, and one that cannot go on fails"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metashrew_runtime::{MetashrewRuntime, RuntimeOptions};
use metashrew_server::{Server, ServerHandle, ServerOptions, resident_memory};
use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
use metashrew_testing::push::{Socket, without_sdk};
use serde_json::{Value, json};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where subscribers find the server; set for them only.
const CONSUME: &str = "METASHREW_BENCH_CONSUME";
const BLOCKS: &str = "METASHREW_BENCH_BLOCKS";

/// Subscriptions of a kind, where there are many.
const MANY: usize = 1_000;
/// Of them, those that a block touches, where it touches few.
const FEW: usize = 5;
/// Subscriptions on one WebSocket.
const PER_SOCKET: usize = 20;
/// Keys that a block writes and nobody has subscribed to.
const OTHERS: usize = 1_000;

fn main() {
    if let Ok(address) = std::env::var(CONSUME) {
        consume(address.parse().expect("an address"));
        return;
    }
    let blocks = std::env::var(BLOCKS).map_or(300, |number| number.parse().expect("a number"));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("an executor");
    idle(&tokio);
    memory(&tokio, "a WebSocket with it", 1, 500);
    memory(&tokio, "on a WebSocket of many", PER_SOCKET, 2 * MANY);
    println!("a block that writes {OTHERS} keys more than those subscribed to:");
    for (writes, views, touched) in [
        (0, 0, 0),
        (FEW, FEW, FEW),
        (MANY, MANY, 0),
        (MANY, MANY, FEW),
        (MANY, MANY, MANY),
    ] {
        block_cost(&tokio, writes, views, touched, blocks);
    }
}

struct Bench {
    runtime: MetashrewRuntime,
    server: ServerHandle,
    blocks: u32,
}

impl Bench {
    fn start(tokio: &tokio::runtime::Runtime) -> Self {
        let store = Store::in_memory();
        let options = RuntimeOptions::default();
        let runtime = MetashrewRuntime::with_options(&without_sdk(), store, options);
        let runtime = runtime.expect("the guest loads");
        let address = "127.0.0.1:0".parse().expect("an address");
        let options = ServerOptions {
            max_open_connections: 4 * MANY,
            ..ServerOptions::default()
        };
        let server = tokio.block_on(Server::bind(address, runtime.clone(), options));
        let mut bench = Self {
            runtime,
            server: server.expect("a free port"),
            blocks: 0,
        };
        bench.commit(MANY);
        bench
    }

    /// Commits a block that writes the keys of so many subscribers of each kind, and others.
    /// Answers when that was done.
    fn commit(&mut self, touched: usize) -> SystemTime {
        let hash = |number: u32| {
            let mut hash = [7; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            BlockHash::from_bytes(hash)
        };
        let height = self.blocks;
        self.blocks += 1;
        let block = BlockRef::new(height, hash(height + 1), hash(height));
        let mut writes = WriteSet::default();
        let mut write = |key: &[u8]| {
            let value = [&height.to_be_bytes()[..], &[1; 28]].concat();
            writes.insert(key, &value).expect("there is room");
        };
        for number in 0..touched {
            write(&key(number));
        }
        for number in 0..OTHERS {
            write(format!("other{number}").as_bytes());
        }
        let store = self.runtime.store();
        store.commit(&block, &writes).expect("memory takes it");
        SystemTime::now()
    }
}

/// The key that a subscriber is told of.
fn key(number: usize) -> Vec<u8> {
    format!("key{number:06}").into_bytes()
}

fn idle(tokio: &tokio::runtime::Runtime) {
    let bench = Bench::start(tokio);
    if let Some(bytes) = resident_memory() {
        println!("an idle process: {} KiB", bytes >> 10);
    }
    drop(bench);
}

/// Prints what a subscriber takes: of heads, so many on a connection.
fn memory(tokio: &tokio::runtime::Runtime, what: &str, per_socket: usize, count: usize) {
    let mut bench = Bench::start(tokio);
    let address = bench.server.local_addr();
    // What is there for the first ones is there for all.
    let mut first = Subscribers::start(address, per_socket);
    first.subscribe(vec![json!({ "kind": "heads" })]);
    let begun = bench.commit(0);
    first.wait_for(bench.blocks - 1, begun);
    let before = resident_memory();
    let mut more = Subscribers::start(address, per_socket);
    more.subscribe(vec![json!({ "kind": "heads" }); count]);
    for _ in 0..3 {
        let begun = bench.commit(0);
        more.wait_for(bench.blocks - 1, begun);
    }
    if let (Some(before), Some(after)) = (before, resident_memory()) {
        let each = after.saturating_sub(before) / count as u64;
        println!("one more subscriber, {what}: {each} bytes");
    }
}

/// Prints what a block costs, and how long it takes to all who are told of it.
fn block_cost(
    tokio: &tokio::runtime::Runtime,
    writes: usize,
    views: usize,
    touched: usize,
    blocks: u32,
) {
    let mut bench = Bench::start(tokio);
    let mut subscribers = Subscribers::start(bench.server.local_addr(), PER_SOCKET);
    let hex = |number: usize| hex::encode_prefixed(key(number));
    let of_writes = |number| json!({ "kind": "writes", "prefix": hex(number) });
    let of_view = |number| json!({ "kind": "view", "function": "get", "input": hex(number) });
    let mut subscriptions: Vec<_> = (0..writes).map(of_writes).collect();
    subscriptions.extend((0..views).map(of_view));
    // By which it is seen that a block has come that touches no other.
    subscriptions.push(json!({ "kind": "heads" }));
    // Each socket has touched ones and others.
    let order = |index: usize| index * 7919 % subscriptions.len();
    let shuffled = (0..subscriptions.len()).map(|index| subscriptions[order(index)].clone());
    subscribers.subscribe(shuffled.collect());
    subscribers.expect(2 * touched + 1);
    let mut latencies = Vec::new();
    // The first ones make what the others find.
    for _ in 0..3 {
        let begun = bench.commit(touched);
        subscribers.wait_for(bench.blocks - 1, begun);
    }
    let (wall, cpu) = (Instant::now(), cpu_time());
    for _ in 0..blocks {
        let begun = bench.commit(touched);
        latencies.push(subscribers.wait_for(bench.blocks - 1, begun));
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(blocks);
    let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
    latencies.sort_unstable();
    let at = |part: usize| {
        let index = (latencies.len() * part / 100).min(latencies.len().saturating_sub(1));
        latencies
            .get(index)
            .map_or(0.0, |it| it.as_secs_f64() * 1e3)
    };
    println!(
        "  {writes} writes, {views} views and a subscriber of heads, {touched} of each touched: {:.0} us, {:.0} us of CPU; \
         to the last one p50 {:.2} ms, p99 {:.2} ms",
        each(wall),
        each(cpu),
        at(50),
        at(99),
    );
}

/// The CPU time of this process, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// The process of subscribers.
struct Subscribers {
    child: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
    /// How many events come of each block.
    expected: usize,
}

impl Subscribers {
    fn start(address: SocketAddr, per_socket: usize) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env(CONSUME, address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs again");
        let mut orders = child.stdin.take().expect("it is piped");
        writeln!(orders, "{per_socket}").expect("it listens");
        let told = BufReader::new(child.stdout.take().expect("it is piped"));
        Self {
            child,
            orders,
            told,
            expected: 0,
        }
    }

    /// Subscribes to all of these; each is told of each block, unless it is said otherwise.
    fn subscribe(&mut self, subscriptions: Vec<Value>) {
        self.expected = subscriptions.len();
        let list = Value::from(subscriptions);
        writeln!(self.orders, "{list}").expect("it listens");
        self.line();
    }

    /// So many events come of each block.
    fn expect(&mut self, events: usize) {
        self.expected = events;
        writeln!(self.orders, "{events}").expect("it listens");
        self.line();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.told.read_line(&mut line).expect("it is read");
        assert!(read > 0, "the subscribers have ended");
        line
    }

    /// Waits until all events of a block have come; answers how long after a moment.
    fn wait_for(&mut self, height: u32, begun: SystemTime) -> Duration {
        let line = self.line();
        let (told, nanos) = line.trim().split_once(' ').expect("two numbers");
        assert_eq!(told.parse(), Ok(height), "the blocks come in order");
        let then = Duration::from_nanos(nanos.parse().expect("a number"));
        let begun = begun.duration_since(UNIX_EPOCH).expect("after 1970");
        then.saturating_sub(begun)
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Subscribes to what standard input says, and tells of each block when its last event has come.
fn consume(address: SocketAddr) {
    let mut orders = std::io::stdin().lines().map(|line| line.expect("a line"));
    let mut order = || orders.next();
    let Some(per_socket) = order().and_then(|line| line.parse::<usize>().ok()) else {
        return;
    };
    let Some(list) = order() else { return };
    let list: Vec<Value> = serde_json::from_str(&list).expect("a list");
    let (sender, events) = channel();
    let expected = Arc::new(std::sync::atomic::AtomicUsize::new(list.len()));
    let mut ready = Vec::new();
    for part in list.chunks(per_socket) {
        let (part, sender) = (part.to_vec(), sender.clone());
        let (subscribed, is_ready) = channel();
        ready.push(is_ready);
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || listen(address, &part, &subscribed, &sender))
            .expect("a thread");
    }
    for is_ready in ready {
        is_ready.recv().expect("it is subscribed");
    }
    println!("ready");
    let count = Arc::clone(&expected);
    thread::spawn(move || {
        let mut told: HashMap<u64, usize> = HashMap::new();
        for (height, nanos) in events {
            let so_far = told.entry(height).or_default();
            *so_far += 1;
            if *so_far == count.load(std::sync::atomic::Ordering::SeqCst) {
                println!("{height} {nanos}");
                told.remove(&height);
            }
        }
    });
    while let Some(line) = order() {
        let events = line.parse().expect("a number");
        expected.store(events, std::sync::atomic::Ordering::SeqCst);
        println!("ready");
    }
}

fn listen(
    address: SocketAddr,
    subscriptions: &[Value],
    ready: &Sender<()>,
    events: &Sender<(u64, u128)>,
) {
    let mut socket = Socket::open(address).expect("it listens");
    for subscription in subscriptions {
        socket.subscribe(subscription).expect("it is subscribed");
    }
    let mut begun = 0;
    while let Ok((_, event)) = socket.event() {
        // First each tells where it stands.
        if begun < subscriptions.len() {
            begun += 1;
            if begun == subscriptions.len() && ready.send(()).is_err() {
                return;
            }
            continue;
        }
        if !["block", "answer"]
            .map(Value::from)
            .contains(&event["type"])
        {
            continue;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_nanos();
        let height = event["height"].as_u64().expect("a height");
        if events.send((height, now)).is_err() {
            return;
        }
    }
}

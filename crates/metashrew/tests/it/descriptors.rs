//! No descriptor left, although they are shared out: connections wait, nothing spins, and all goes
//! on once there are some again. (`machine.rs` has what the shares are for.)

#![cfg(target_os = "linux")]

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use metashrew_testing::push::{Applied, Kind, Replay, Socket};
use serde_json::json;

use crate::followed::{Desk, wait_until};
use crate::harness::{Running, get, succeed};

/// How many more descriptors the process may have than it has.
const SPARE: usize = 20;

/// How long it is watched.
const WINDOW: Duration = Duration::from_millis(500);

/// Processor time that a process has used.
fn processor_time(running: &Running) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap();
    // Behind the name: the third field and those that follow it.
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    // A tick is 10 ms everywhere.
    Duration::from_millis(10 * ticks)
}

/// Waits until it uses less than a quarter of a core; what spins does not come to rest.
pub(crate) fn wait_for_rest(running: &Running) {
    wait_until("it rests", || {
        let (begun, used) = (Instant::now(), processor_time(running));
        thread::sleep(WINDOW);
        processor_time(running) < used + begun.elapsed() / 4
    });
}

/// Leaves a process so many descriptors beyond those that it has open.
fn leave(running: &Running, spare: usize) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap();
    let limit = format!("--nofile={}:", open.count() + spare);
    succeed(Command::new("prlimit").args([&limit, "--pid", &running.pid()]));
}

/// How often no connection could be accepted.
fn failures(client: &mut Socket) -> u64 {
    let stats = client.call("metashrew_stats", &json!([])).unwrap();
    stats["connections"]["accept_failures"].as_u64().unwrap()
}

#[test]
fn a_server_without_descriptors_rests_and_goes_on_when_there_are_some() {
    let node = Bitcoind::start();
    node.mine(5);
    let desk = Desk::with(&guests::chained());
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_tip(&node);
    let mut good = Socket::open(running.address).unwrap();
    let params = json!({ "kind": "heads", "from": "first" });
    good.subscribe(&params).unwrap();
    leave(&running, SPARE);
    // As many wait to be accepted.
    let connect = |_| TcpStream::connect(running.address).unwrap();
    let idle: Vec<_> = (0..2 * SPARE).map(connect).collect();
    wait_until("none can be accepted", || failures(&mut good) > 0);
    node.mine(10);
    wait_for_rest(&running);
    // It tries again from time to time.
    let before = failures(&mut good);
    thread::sleep(Duration::from_secs(1));
    let more = failures(&mut good) - before;
    assert!(more < 25, "{more} times in a second");
    // One that comes now waits with the others, and is served once they are gone.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| get(running.address, "/health").0);
        drop(idle);
        assert_eq!(waiting.join().unwrap(), 200);
    });
    running.wait_for_state("following");
    running.wait_for_tip(&node);
    node.mine(5);
    running.wait_for_tip(&node);
    let tip = Some((node.height(), format!("0x{}", node.tip())));
    let mut replay = Replay::new(Kind::Heads);
    while replay.position != tip {
        let applied = replay.apply(good.event().unwrap().1).unwrap();
        assert!(!matches!(applied, Applied::Ended(_)));
    }
    assert_eq!(replay.chain.len(), 21);
    let log = running.end();
    assert!(!log.contains("indexing has halted"), "{log}");
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
}

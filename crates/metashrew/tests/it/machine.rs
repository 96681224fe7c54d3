//! Faults of the machine, caused: a file that may not grow, a disk that is nearly full,
//! no descriptors left. Indexing waits them out, and ends as an undisturbed one.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::followed::{Desk, wait_until};
use crate::harness::{Place, Running, get, metashrew, succeed};

const BLOCKS: usize = 60;

/// Writes some 140 KB a block.
pub(crate) fn place() -> Place {
    Place::with(&guests::flush_only(2_000), BLOCKS)
}

/// The same command, by a shell that sets limits first.
pub(crate) fn under(limits: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!(r#"{limits}; exec "$0" "$@""#)])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Ends the server, and compares what it indexed with an undisturbed index.
pub(crate) fn assert_undisturbed(place: &Place, running: Running) -> String {
    running.wait_for_height(u32::try_from(BLOCKS).unwrap());
    let log = running.end();
    assert!(!log.contains("indexing has halted"), "{log}");
    let undisturbed = self::place();
    undisturbed.index();
    assert_eq!(place.stored_tip(), undisturbed.stored_tip());
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));
    log
}

#[test]
fn files_that_may_not_grow_are_waited_for() {
    let node = Bitcoind::start();
    node.mine(5);
    let desk = Desk::with(&guests::flush_only(2_000));
    let mut start = desk.follow("db", &node.rpc_url(), &[]);
    let mut running = Running::spawn(&mut start);
    running.wait_for_tip(&node);
    // The log is somewhat below that.
    limit_files(&running, "2097152");
    node.mine(30);
    let indexing = running.wait_for_state("waiting_for_disk");
    let error = indexing["error"].as_str().unwrap();
    assert!(error.contains("could not be committed"), "{error}");
    let (_, ready) = get(running.address, "/ready");
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["state"], "waiting_for_disk");
    let metrics = get(running.address, "/metrics").1;
    assert!(
        metrics.contains("metashrew_indexing_state{state=\"waiting_for_disk\"} 1\n"),
        "{metrics}"
    );
    // What is committed goes on being served.
    let height = running.served_height().unwrap();
    assert!((5..35).contains(&height), "{height}");
    running.result("metashrew_getblockhash", &json!([height]));
    // It is tried again, in vain, and then with success.
    running.wait_for("failures=4");
    limit_files(&running, "unlimited");
    running.wait_for("there is room on the disk again");
    running.wait_for_tip(&node);
    running.wait_for_state("following");
    let log = running.end();
    assert!(!log.contains("indexing has halted"), "{log}");
    assert_eq!(desk.records("db"), desk.fresh(&node, "fresh", &[]));
    succeed(metashrew().arg("verify").arg("--db").arg(desk.path("db")));
}

/// Limits the size of the files of a server.
fn limit_files(running: &Running, bytes: &str) {
    let limit = format!("--fsize={bytes}:");
    succeed(Command::new("prlimit").args([&limit, "--pid", &running.pid()]));
}

#[test]
fn idle_clients_take_no_descriptor_that_indexing_needs() {
    let place = place();
    let running = Running::spawn(&mut under("ulimit -n 256", &place.start(&[])));
    let limit = running.result("metashrew_stats", &json!([]))["connections"]["limit"].clone();
    assert_eq!(limit, 128);
    let mut clients = Vec::new();
    for _ in 0..400 {
        let mut client = TcpStream::connect(running.address).unwrap();
        // Half of them say something, and not all of it.
        if clients.len() % 2 == 0 {
            client.write_all(b"GET /health HTT").unwrap();
        }
        clients.push(client);
    }
    // Idle ones give way to those who ask.
    let open = || {
        assert_eq!(get(running.address, "/health").0, 200);
        let stats = running.result("metashrew_stats", &json!([]));
        stats["connections"]["open"].as_u64().unwrap()
    };
    while running.served_height() < Some(u32::try_from(BLOCKS).unwrap()) {
        assert!(open() <= 128);
    }
    #[cfg(target_os = "linux")]
    crate::descriptors::wait_for_rest(&running);
    assert!((100..=128).contains(&open()));
    drop(clients);
    wait_until("they are closed", || open() < 10);
    let log = assert_undisturbed(&place, running);
    assert!(!log.contains("Too many open files"), "{log}");
}

/// A file system in memory that anybody may write to.
#[cfg(target_os = "linux")]
const IN_MEMORY: &str = "/dev/shm";

/// Bytes that are free there.
#[cfg(target_os = "linux")]
fn free() -> u64 {
    let df = succeed(Command::new("df").args(["--output=avail", "-B1", IN_MEMORY]));
    df.lines().nth(1).unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn indexing_pauses_below_the_reserve_of_free_space() {
    let place = place();
    let disk = tempfile::tempdir_in(IN_MEMORY).unwrap();
    let db = disk.path().join("db");
    let db = db.to_str().unwrap();
    let available = free();
    let filler = (available / 2).min(192 << 20);
    let reserve = (available - filler / 2).to_string();
    let fill = || {
        let file = std::fs::File::create(disk.path().join("filler")).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..filler >> 20 {
            (&file).write_all(&zeros).unwrap();
        }
    };
    fill();
    let flags = ["--db", db, "--min-free-space", &reserve];
    let running = Running::spawn(&mut place.start(&flags));
    let indexing = running.wait_for_state("waiting_for_disk");
    let error = indexing["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("fewer than the {reserve}")),
        "{error}"
    );
    assert_eq!(running.served_height(), None);
    assert_eq!(get(running.address, "/ready").0, 503);
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    running.wait_for_height(u32::try_from(BLOCKS).unwrap());
    let log = running.end();
    assert!(log.contains("there is room on the disk again"), "{log}");
    // With 0, none is left.
    fill();
    let mut start = place.start(&["--db", db, "--min-free-space", "0"]);
    succeed(start.args(["--exit-at", &BLOCKS.to_string()]));
}

#[test]
fn the_disk_is_told_of() {
    let place = Place::new(3);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_height(3);
    let database = running.result("metashrew_stats", &json!([]))["database"].clone();
    assert!(database["bytes"].as_u64().unwrap() > 0, "{database}");
    assert!(database["free_bytes"].as_u64().unwrap() > 0, "{database}");
    let metrics = get(running.address, "/metrics").1;
    for name in ["database", "database_free"] {
        let name = format!("\nmetashrew_{name}_bytes ");
        assert!(metrics.contains(&name), "{metrics}");
    }
    running.end();
}

//! One run of the program.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::rpc::Client;
use super::{Ports, Settings, binary, loopback};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts on ports that somebody else took meanwhile, before giving up.
const TRIES: usize = 10;

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    /// Starts on ports that are free, and tells which.
    pub(super) fn start_on_free_ports(settings: &Settings, directory: &Path) -> (Self, Ports) {
        let mut last = None;
        for _ in 0..TRIES {
            let ports = free_ports().expect("free ports");
            match Self::start(settings, directory, ports) {
                Ok(process) => return (process, ports),
                Err(error) => last = Some(error),
            }
        }
        panic!("the node does not start: {last:?}");
    }

    /// Starts, and waits until RPC answers; an error if the process ends before.
    pub(super) fn start(
        settings: &Settings,
        directory: &Path,
        ports: Ports,
    ) -> Result<Self, String> {
        let program = binary::path();
        let said = directory.join("said.txt");
        let log = File::create(&said).map_err(|error| error.to_string())?;
        let child = Command::new(&program)
            .args(arguments(settings, directory, ports))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`{}`: {error}", program.display()))?;
        let mut process = Self(child);
        let cookie = directory.join("regtest/.cookie");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(Some(status)) = process.0.try_wait() {
                let said = std::fs::read_to_string(&said).unwrap_or_default();
                return Err(format!("{status}: {said}"));
            }
            let client = Client::new(loopback(ports.rpc), settings, &cookie);
            if client.call("getblockcount", &json!([])).is_ok() {
                return Ok(process);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no answer within {PATIENCE:?}"))
    }

    /// Waits until the process ended of its own accord.
    pub(super) fn wait(mut self) {
        self.0.wait().expect("a child that can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only where the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn arguments(settings: &Settings, directory: &Path, ports: Ports) -> Vec<String> {
    let Ports { rpc, p2p, zmq } = ports;
    let mut arguments = vec![
        "-regtest".to_owned(),
        format!("-datadir={}", directory.display()),
        "-server=1".to_owned(),
        format!("-rpcport={rpc}"),
        "-rpcbind=127.0.0.1".to_owned(),
        "-rpcallowip=127.0.0.1".to_owned(),
        "-listen=1".to_owned(),
        format!("-bind=127.0.0.1:{p2p}"),
        "-listenonion=0".to_owned(),
        // Nobody is called but by `addnode`.
        "-connect=0".to_owned(),
        "-dnsseed=0".to_owned(),
        "-discover=0".to_owned(),
        "-fallbackfee=0.0001".to_owned(),
        "-acceptnonstdtxn=1".to_owned(),
        "-datacarriersize=1000000".to_owned(),
        "-dbcache=16".to_owned(),
        "-printtoconsole=0".to_owned(),
        format!("-rest={}", u8::from(settings.rest)),
        format!("-blocksxor={}", u8::from(settings.xor)),
    ];
    if let Some((user, password)) = &settings.auth {
        arguments.push(format!("-rpcuser={user}"));
        arguments.push(format!("-rpcpassword={password}"));
    }
    if settings.zmq {
        arguments.push(format!("-zmqpubhashblock=tcp://127.0.0.1:{zmq}"));
    }
    if !settings
        .arguments
        .iter()
        .any(|argument| argument.starts_with("-prune"))
    {
        arguments.push("-txindex=1".to_owned());
    }
    arguments.extend(settings.arguments.iter().cloned());
    arguments
}

/// Ports that nobody listens on. Somebody may before the node does: then it says
/// so and others are tried.
fn free_ports() -> io::Result<Ports> {
    // All three are held at once, so that they differ.
    let held = [(); 3].map(|()| TcpListener::bind(loopback(0)));
    let [rpc, p2p, zmq] = held.map(|listener| {
        listener
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
    });
    Ok(Ports {
        rpc: rpc?,
        p2p: p2p?,
        zmq: zmq?,
    })
}

//! The regtest node of a project: its directory is `.regtest`, which `scripts/regtest.sh` works
//! on beside.

mod binary;

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use metashrew_sync::{Auth, CoreSettings, Network, Stop};
use serde_json::{Value, json};

use super::process::{Process, guarded};
use super::tell::{Teller, Told};
use crate::cli::ServerUrl;
use crate::client::Client;

/// The directory in that of the project.
const DIRECTORY: &str = ".regtest";

/// What the node prints beside its own log.
const OUTPUT: &str = "output.txt";

/// Core's usual port for regtest, the first one that is tried.
const FIRST_PORT: u16 = 18_443;

/// Ports that are tried.
const PORTS: u16 = 1_000;

/// How long a start may take.
const STARTING: Duration = Duration::from_mins(1);

/// How long the node may take to end in order.
const ENDING: Duration = Duration::from_secs(30);

/// How often it is looked whether the node answers.
const TICK: Duration = Duration::from_millis(20);

/// How long an answer may take, and how many bytes it may have.
const PATIENCE: Duration = Duration::from_mins(1);
const MAX_ANSWER: u64 = 16 << 20;

/// Blocks that are mined with one call.
const BATCH: u32 = 100;

/// Bytes of what the node printed that are told if it does not start.
const SHOWN: usize = 2_000;

/// A node that runs. It is stopped when this is dropped, if it was started here.
#[derive(Debug)]
pub(super) struct Node {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Node {
    /// The node of the project in the directory `project`, with `mine` blocks at least.
    /// None if it was to stop before.
    ///
    /// # Errors
    /// If there is no program, or it does not start.
    pub(super) fn start(
        project: &Path,
        mine: u32,
        stop: &Stop,
        teller: Teller,
    ) -> Result<Option<Self>> {
        // The node wants it in full.
        let directory = std::path::absolute(project.join(DIRECTORY))?;
        let failed = || format!("the node in `{}` cannot be had", directory.display());
        let port = configured_port(&directory).with_context(failed)?;
        let mut node = Self {
            directory: directory.clone(),
            port,
            process: None,
        };
        if node.height().is_err() {
            node.process = Some(run(&directory).with_context(failed)?);
            if !node.wait_until_ready(stop).with_context(failed)? {
                return Ok(None);
            }
        }
        if !node.mine(mine, stop).context("blocks cannot be mined")? {
            return Ok(None);
        }
        teller.tell(&Told::Node {
            directory: &directory,
            port,
            height: node.height()?,
            started: node.process.is_some(),
        });
        Ok(Some(node))
    }

    /// How to follow it.
    pub(super) fn settings(&self) -> CoreSettings {
        CoreSettings {
            auth: Auth::CookieFile(self.cookie()),
            network: Some(Network::Regtest),
            ..CoreSettings::new(format!("http://127.0.0.1:{}", self.port))
        }
    }

    /// An error if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => match process.poll()? {
                Some(status) => Err(self.ended(&status.to_string())),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn ended(&self, status: &str) -> anyhow::Error {
        let said = std::fs::read(self.directory.join(OUTPUT)).unwrap_or_default();
        let said = said
            .get(said.len().saturating_sub(SHOWN)..)
            .unwrap_or(&said);
        let said = String::from_utf8_lossy(said);
        anyhow!(
            "the node has ended with {status}, and said: {}",
            said.trim()
        )
    }

    /// Waits until it answers; false if it was to stop before.
    fn wait_until_ready(&mut self, stop: &Stop) -> Result<bool> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let Err(error) = self.height() else {
                return Ok(true);
            };
            if begun.elapsed() > STARTING {
                return Err(error.context(format!("it does not answer within {STARTING:?}")));
            }
            if stop.wait(TICK) {
                return Ok(false);
            }
        }
    }

    /// Mines the blocks that lack; false if it was to stop before.
    fn mine(&self, wanted: u32, stop: &Stop) -> Result<bool> {
        loop {
            let lacking = wanted.saturating_sub(self.height()?);
            if lacking == 0 {
                return Ok(true);
            }
            if stop.is_requested() {
                return Ok(false);
            }
            // Anyone can spend what it pays: transactions need no signature.
            self.call(
                "generatetodescriptor",
                &json!([lacking.min(BATCH), "raw(51)"]),
            )?;
        }
    }

    fn height(&self) -> Result<u32> {
        let height = self.call("getblockcount", &json!([]))?.as_u64();
        let height = height.and_then(|height| u32::try_from(height).ok());
        height.context("the node does not tell its height")
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let cookie = self.cookie();
        let login = std::fs::read_to_string(&cookie)
            .with_context(|| format!("`{}` cannot be read", cookie.display()))?;
        let url = format!("http://{}@127.0.0.1:{}", login.trim(), self.port);
        let url: ServerUrl = url.parse().map_err(anyhow::Error::msg)?;
        let client = Client::new(&url, PATIENCE, MAX_ANSWER)?;
        let answer = client.call(method, params)?;
        answer.map_err(|error| anyhow!("the node refuses `{method}`: {}", error.message))
    }

    fn cookie(&self) -> PathBuf {
        self.directory.join("regtest/.cookie")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.end(ENDING);
        }
    }
}

/// Starts the program on a directory.
fn run(directory: &Path) -> Result<Process> {
    let program = binary::find()?;
    let output = File::create(directory.join(OUTPUT))?;
    let mut command = guarded(&program, ENDING);
    command
        .arg(format!("-datadir={}", directory.display()))
        .arg("-printtoconsole=0")
        .stdout(output.try_clone()?)
        .stderr(output);
    Process::spawn(&mut command).with_context(|| format!("`{}` cannot be run", program.display()))
}

/// The port that the node's configuration names. It is written first, if there is none.
fn configured_port(directory: &Path) -> Result<u16> {
    let path = directory.join("bitcoin.conf");
    if !path.exists() {
        std::fs::create_dir_all(directory)?;
        let port = free_port().context("no port is free for the node")?;
        std::fs::write(&path, configuration(port))?;
    }
    let text = std::fs::read_to_string(&path)?;
    match port_in(&text) {
        Some(port) => Ok(port),
        None => bail!("`{}` names no `rpcport` for regtest", path.display()),
    }
}

/// Transactions pay no fees and need no standard form; nobody is connected to.
fn configuration(port: u16) -> String {
    format!(
        "regtest=1\n[regtest]\nserver=1\nrest=1\nlisten=0\nrpcport={port}\nacceptnonstdtxn=1\n\
         minrelaytxfee=0\nblockmintxfee=0\ndustrelayfee=0\n"
    )
}

/// The port for regtest in the text of a configuration: in the section, or before any.
fn port_in(text: &str) -> Option<u16> {
    let mut section = "regtest";
    let mut port = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = name;
        } else if let Some((key, value)) = line.split_once('=') {
            let is_meant = match key.trim() {
                "rpcport" => section == "regtest",
                "regtest.rpcport" => true,
                _ => false,
            };
            if is_meant && port.is_none() {
                port = value.trim().parse().ok();
            }
        }
    }
    port
}

/// The lowest port that nobody listens on.
fn free_port() -> Option<u16> {
    let mut ports = FIRST_PORT..FIRST_PORT.saturating_add(PORTS);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_regtest() {
        let check = |text: &str, expect| assert_eq!(port_in(text), expect, "{text}");
        check(&configuration(1234), Some(1234));
        check("regtest=1\nrpcport = 7\n", Some(7));
        check("[main]\nrpcport=7\n[regtest]\nrpcport=8 ", Some(8));
        check("regtest.rpcport=9", Some(9));
        check("[main]\nrpcport=7\n", None);
        check("#rpcport=7\nrpcport=x", None);
    }
}

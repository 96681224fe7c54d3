//! Runs the binary: a directory with a guest and a chain, commands over them, and
//! servers that end with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use metashrew_store::{BlockRecord, Store, StoreOptions};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::frames::{REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The height of the first block of the chain.
pub(crate) const FIRST: u32 = 1;

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The module of an example guest: the kept one, or where `METASHREW_GUESTS` says.
pub(crate) fn guest(name: &str) -> PathBuf {
    let directory =
        std::env::var_os("METASHREW_GUESTS").map_or_else(|| project("guests/wasm"), PathBuf::from);
    directory.join(format!("{name}.wasm"))
}

/// A directory with a guest, `guest.wasm`, and a chain, `blocks.dat`.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) chain: Chain,
}

impl Place {
    /// With the well-behaved guest and a chain of so many blocks.
    pub(crate) fn new(blocks: usize) -> Self {
        Self::with(&guests::chained(), blocks)
    }

    pub(crate) fn with(wasm: &[u8], blocks: usize) -> Self {
        let mut chain = Chain::new(7).start(FIRST).shape(Shape::Transactions(2));
        chain.mine(blocks);
        let place = Self {
            directory: TempDir::new().unwrap(),
            chain,
        };
        place.set_guest(wasm);
        place.write_blocks();
        place
    }

    pub(crate) fn set_guest(&self, wasm: &[u8]) {
        std::fs::write(self.path("guest.wasm"), wasm).unwrap();
    }

    /// Writes the chain as it is to the file of blocks.
    pub(crate) fn write_blocks(&self) {
        let blocks = self
            .chain
            .blocks()
            .iter()
            .map(|block| block.bytes.as_slice());
        std::fs::write(self.path("blocks.dat"), frames(REGTEST_MAGIC, blocks)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn tip(&self) -> &Mined {
        self.chain.tip().unwrap()
    }

    /// `metashrew`, run in the directory.
    pub(crate) fn metashrew<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = metashrew();
        command
            .args(args.iter().map(AsRef::as_ref))
            .current_dir(self.directory.path());
        command
    }

    /// `metashrew start` over guest and chain, on a free port, with more flags.
    pub(crate) fn start(&self, flags: &[&str]) -> Command {
        let mut command = self.metashrew(&[
            "start",
            "--indexer",
            "guest.wasm",
            "--blocks",
            "blocks.dat",
            "--db",
            "db",
            "--listen",
            "127.0.0.1:0",
        ]);
        command.args(flags);
        command
    }

    /// Indexes the whole chain.
    pub(crate) fn index(&self) {
        let tip = self.tip().height.to_string();
        succeed(&mut self.start(&["--exit-at", &tip]));
    }

    /// The database, opened by the test itself.
    pub(crate) fn store(&self) -> Store {
        Store::open_existing(&self.path("db"), StoreOptions::default()).unwrap()
    }

    pub(crate) fn stored_tip(&self) -> Option<BlockRecord> {
        self.store().snapshot().tip().copied()
    }
}

/// The binary, or another one that `METASHREW_TEST_BINARY` names, without anything from the
/// environment that would change what it does.
pub(crate) fn metashrew() -> Command {
    let binary = std::env::var_os("METASHREW_TEST_BINARY");
    let mut command =
        Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_metashrew").into()));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("METASHREW_") {
            command.env_remove(name);
        }
    }
    // Compiled guests are shared by the tests, but not with the user.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    command
        .env_remove("RUST_LOG")
        .env_remove("COLUMNS")
        .env("XDG_CACHE_HOME", cache)
        .stdin(Stdio::null());
    command
}

/// Standard output of a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail with an exit code.
pub(crate) fn fail(command: &mut Command, code: i32) -> String {
    let output: Output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{stderr}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "{command:?}: what failed prints no data"
    );
    stderr
}

/// The exit code of a command whose output nobody reads.
pub(crate) fn unread(command: &mut Command) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).status().unwrap().code()
}

/// A `metashrew start` that runs. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Locked so that several threads may call one server.
    lines: Mutex<Receiver<String>>,
    reader: Option<JoinHandle<()>>,
    /// The lines seen so far.
    seen: String,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a command, and waits until it serves.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut running = Self::begin(command);
        let line = running.wait_for("serving JSON-RPC");
        let (_, address) = line.split_once("address=").unwrap();
        running.address = address.trim().parse().unwrap();
        running
    }

    /// Starts a command.
    pub(crate) fn begin(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines: Mutex::new(lines),
            reader: Some(reader),
            seen: String::new(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }

    /// Waits for a line on stderr, and answers it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.get_mut().unwrap().recv() else {
                panic!("the process ended without `{text}`:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Whether it has said this on stderr by now.
    pub(crate) fn has_said(&mut self, text: &str) -> bool {
        for line in self.lines.get_mut().unwrap().try_iter() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        self.seen.contains(text)
    }

    pub(crate) fn call(&self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap()
    }

    /// The whole answer; none if there is no server (any more).
    pub(crate) fn try_call(&self, method: &str, params: &Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = post(self.address, &body.to_string()).ok()?;
        serde_json::from_str(&answer).ok()
    }

    pub(crate) fn result(&self, method: &str, params: &Value) -> Value {
        let answer = self.call(method, params);
        assert_eq!(answer.get("error"), None, "{method} {params}");
        answer["result"].clone()
    }

    /// Waits until a height is served.
    pub(crate) fn wait_for_height(&self, height: u32) {
        loop {
            let served = self.served_height();
            if served.is_some_and(|served| served >= height) {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// The height it serves; none before the first block.
    pub(crate) fn served_height(&self) -> Option<u32> {
        self.try_call("metashrew_height", &json!([]))?["result"]
            .as_str()
            .map(|height| height.parse().unwrap())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end; answers the exit code (none if killed) and all of stderr.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let mut seen = std::mem::take(&mut self.seen);
        for line in self.lines.get_mut().unwrap().try_iter() {
            seen.push_str(&line);
            seen.push('\n');
        }
        (status.code(), seen)
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of the answer to a GET.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Head and body of the answer to a JSON body.
pub(crate) fn post(address: SocketAddr, body: &str) -> std::io::Result<(String, String)> {
    post_at(address, "/", body)
}

/// As [`post`], at a path; an empty one is the first.
pub(crate) fn post_at(
    address: SocketAddr,
    path: &str,
    body: &str,
) -> std::io::Result<(String, String)> {
    let path = if path.is_empty() { "/" } else { path };
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((head.to_owned(), body.to_owned()))
}

/// The key under which the guest keeps a block's header.
pub(crate) fn header_key(height: u32) -> String {
    let mut key = b"hdr/".to_vec();
    key.extend_from_slice(&height.to_be_bytes());
    hex::encode_prefixed(key)
}

/// The header of a block, as hex.
pub(crate) fn header(block: &Mined) -> String {
    hex::encode_prefixed(&block.bytes[..80])
}

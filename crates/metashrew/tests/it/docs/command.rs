//! README's main job, and the commands of documents run beside it.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::document::Fence;
use crate::harness::{Running, get, metashrew, post_at, project, succeed};

/// The server that documents ask.
const URL: &str = "http://127.0.0.1:8080";
/// What the main job indexes, with the `addresses` guest.
const BLOCKS: &str = "examples/mainnet-blocks-1-255.dat.bz2";
/// The last of its blocks.
const LAST: &str = "255";
/// Databases: as in the documents, and that of the server.
const DB: &str = "db";
const SERVED: &str = "served";

/// A directory in which the main job has been run, and a server that goes on with it.
pub(super) struct MainJob {
    directory: TempDir,
    server: Running,
}

impl MainJob {
    pub(super) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        for folder in ["examples", "guests"] {
            std::os::unix::fs::symlink(project(folder), directory.path().join(folder)).unwrap();
        }
        let start = |db: &str| {
            let mut command = metashrew();
            command
                .current_dir(directory.path())
                .args(["start", "--indexer", "guests/wasm/addresses.wasm"])
                .args(["--blocks", BLOCKS, "--db", db, "--listen", "127.0.0.1:0"]);
            command
        };
        succeed(start(DB).args(["--exit-at", LAST]));
        let mut server = Running::spawn(&mut start(SERVED));
        server.wait_for("all blocks are indexed");
        Self { directory, server }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What a command prints; it must succeed. Of a server that goes on for ever, what
    /// counts is that it indexes all blocks, and ends well when it is told to.
    pub(super) fn run(&self, at: &str, text: &str) -> String {
        let words = words(at, text);
        match &*words[0] {
            "curl" => self.ask(at, &words[1..]),
            "metashrew" | "./metashrew" => {
                let is_server = words.iter().any(|word| word == "start")
                    && !words.iter().any(|word| word == "--exit-at");
                let mut command = self.command(&words[1..]);
                if is_server {
                    serve_until_done(&mut command);
                    return String::new();
                }
                succeed(&mut command)
            }
            "cat" => std::fs::read_to_string(self.directory.path().join(&words[1])).unwrap(),
            other => panic!("{at}: `{other}` is no command that can be run here"),
        }
    }

    /// Whether the command line of what is not run is right.
    pub(super) fn check_flags(&self, at: &str, text: &str) {
        let words = words(at, text);
        if words[0].ends_with("metashrew") {
            let help = succeed(self.command(&words[1..]).arg("--help"));
            assert!(help.contains("Usage:"), "{at}: {help}");
        }
    }

    /// Runs `start` as a configuration file says, but for where things are.
    pub(super) fn configure(&self, fence: &Fence) {
        let path = self.directory.path().join("metashrew.toml");
        std::fs::write(path, fence.lines.join("\n")).unwrap();
        let start = ["start", "--config", "metashrew.toml", "--db", "configured"];
        let ends = [
            "--blocks",
            BLOCKS,
            "--listen",
            "127.0.0.1:0",
            "--exit-at",
            LAST,
        ];
        succeed(self.command(&start).args(ends));
    }

    fn command<S: AsRef<str>>(&self, words: &[S]) -> Command {
        let server = format!("http://{}", self.address());
        let mut command = metashrew();
        command
            .current_dir(self.directory.path())
            .env("METASHREW_LISTEN", "127.0.0.1:0")
            .args(words.iter().map(|word| word.as_ref().replace(URL, &server)));
        command
    }

    /// What `curl` does with these words.
    fn ask(&self, at: &str, words: &[String]) -> String {
        let (mut path, mut body) = (None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match &**word {
                "-s" => {}
                "-d" => body = words.next(),
                "-H" => assert_eq!(words.next().unwrap(), "content-type: application/json"),
                url => path = url.strip_prefix(URL),
            }
        }
        let path = path.unwrap_or_else(|| panic!("{at}: `curl` asks no `{URL}`"));
        match body {
            Some(body) => post_at(self.address(), path, body).unwrap().1,
            None => get(self.address(), path).1,
        }
    }
}

fn serve_until_done(command: &mut Command) {
    let mut server = Running::spawn(command);
    server.wait_for("all blocks are indexed");
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
}

fn words(at: &str, text: &str) -> Vec<String> {
    let words = shell_words::split(text).unwrap_or_else(|error| panic!("{at}: {error}: {text}"));
    assert!(!words.is_empty(), "{at}: no command");
    words
}

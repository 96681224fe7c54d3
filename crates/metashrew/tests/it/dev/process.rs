//! A `metashrew dev` that runs: what it says, what it serves, and how it is told to end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Place, post};

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A `metashrew dev` that runs. Killed when dropped.
pub(super) struct Dev {
    pub(super) child: Child,
    lines: Receiver<String>,
    pub(super) seen: String,
    pub(super) address: Option<SocketAddr>,
}

impl Dev {
    pub(super) fn start(place: &Place, flags: &[&str]) -> Self {
        Self::of(place.metashrew(&["dev"]).args(flags))
    }

    pub(super) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self {
            child,
            lines,
            seen: String::new(),
            address: None,
        }
    }

    /// Waits for a line that holds a text; answers the lines from the last wait up to it.
    pub(super) fn wait_for(&mut self, text: &str) -> String {
        let begins = self.seen.len();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no `{text}`:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return self.seen[begins..].to_owned();
            }
        }
    }

    /// Waits until another guest is served.
    pub(super) fn wait_for_guest(&mut self) -> String {
        let lines = self.wait_for("serving guest ");
        let (_, address) = lines.rsplit_once("http://").unwrap();
        let (address, _) = address.split_once(|end| [',', ' '].contains(&end)).unwrap();
        self.address = Some(address.parse().unwrap());
        lines
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = post(self.address.unwrap(), &body.to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.get("error"), None, "{method}");
        answer["result"].clone()
    }

    /// What is served of the tip: the root of all that was ever written, and views.
    pub(super) fn served(&self) -> [Value; 3] {
        [
            self.call("metashrew_stateroot", &json!(["latest"])),
            self.call("metashrew_view", &json!(["sum", "0x", "latest"])),
            self.call("metashrew_view", &json!(["echo", "0x01", "latest"])),
        ]
    }

    pub(super) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Ends it as Ctrl-C does; answers the exit code.
    pub(super) fn interrupt(mut self) -> Option<i32> {
        self.signal("INT");
        self.child.wait().unwrap().code()
    }

    /// How many files and threads it has.
    pub(super) fn resources(&self) -> (usize, usize) {
        let count = |of: &str| {
            let path = format!("/proc/{}/{of}", self.child.id());
            fs::read_dir(path).map_or(0, Iterator::count)
        };
        (count("fd"), count("task"))
    }

    /// Waits until it has no more files and threads than before.
    pub(super) fn wait_for_resources(&self, before: (usize, usize)) {
        let begun = std::time::Instant::now();
        loop {
            let now = self.resources();
            if now.0 <= before.0 && now.1 <= before.1 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{now:?}, before {before:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

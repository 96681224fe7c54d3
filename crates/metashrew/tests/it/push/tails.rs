//! Consumers that are processes: `metashrew tail`, which writes lines to a file, and is killed
//! again and again.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Duration;

use metashrew_testing::push::{Applied, Kind, Replay};
use metashrew_testing::rng::Rng;
use serde_json::Value;

use super::killed::{Shared, is_at, topic};
use crate::followed::wait_until;
use crate::harness::metashrew;

/// A process lives for so many milliseconds at most, before it is killed.
const LIFE: u64 = 400;

/// Where the next process begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumes {
    /// At the cursor of `--cursor-file`. The lines behind it are taken back: they come again, or,
    /// after a reorganisation, others in their place.
    FromItsFile,
    /// At the cursor of the last whole line.
    FromItsLines,
}

/// What a process writes, and where the next one begins.
struct Tail {
    kind: Kind,
    how: Resumes,
    lines: PathBuf,
    cursor: PathBuf,
}

/// Consumes up to the last block; answers what the lines come to.
pub(super) fn consume(
    shared: &Shared,
    kind: Kind,
    how: Resumes,
    place: &Path,
    mut rng: Rng,
) -> Replay {
    let tail = Tail {
        kind,
        how,
        lines: place.join("lines"),
        cursor: place.join("cursor"),
    };
    loop {
        // Read first: then the address is that of the last server.
        let last = shared.last.lock().clone();
        let replay = tail.replay();
        if is_at(&replay, last.as_deref()) {
            return replay;
        }
        let mut address = None;
        wait_until("a server is there", || {
            address = *shared.address.lock();
            address.is_some()
        });
        let mut child = tail.spawn(address.unwrap(), replay.cursor.as_deref());
        if last.is_some() {
            wait_until("all is printed", || {
                tail.assert_runs(&mut child);
                tail.is_at(last.as_deref())
            });
        } else {
            thread::sleep(Duration::from_millis(rng.below(LIFE)));
            tail.assert_runs(&mut child);
            *shared.killed_processes.lock() += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        tail.take_back();
    }
}

impl Tail {
    fn spawn(&self, address: SocketAddr, cursor: Option<&str>) -> Child {
        let topic = topic(self.kind);
        let mut command = metashrew();
        command.arg("tail");
        match self.kind {
            Kind::Heads => command.arg("heads"),
            Kind::Writes => command.args(["writes", "--prefix", &topic.prefix.unwrap()]),
            Kind::View => command.args(["view", "get", &topic.input]),
        };
        command.args(["--url", &format!("http://{address}"), "-q"]);
        match (self.how, cursor) {
            (Resumes::FromItsFile, _) => {
                command.args(["--from", "first", "--cursor-file"]);
                command.arg(&self.cursor);
            }
            (Resumes::FromItsLines, None) => {
                command.args(["--from", "first"]);
            }
            (Resumes::FromItsLines, Some(cursor)) => {
                command.args(["--cursor", cursor]);
            }
        }
        let lines = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.lines)
            .unwrap();
        let stderr = File::create(self.errors()).unwrap();
        command.stdout(lines).stderr(stderr).spawn().unwrap()
    }

    fn errors(&self) -> PathBuf {
        self.lines.with_extension("errors")
    }

    /// It goes on for ever, whatever becomes of servers.
    fn assert_runs(&self, child: &mut Child) {
        if let Some(status) = child.try_wait().unwrap() {
            let errors = fs::read_to_string(self.errors()).unwrap();
            panic!("{:?} {:?}: {status}: {errors}", self.kind, self.how);
        }
    }

    fn is_at(&self, last: Option<&str>) -> bool {
        let replay = self.replay();
        let is_kept = self.how == Resumes::FromItsLines || self.kept() == replay.cursor;
        is_kept && is_at(&replay, last)
    }

    /// What its file says.
    fn kept(&self) -> Option<String> {
        let cursor = fs::read_to_string(&self.cursor).ok()?;
        Some(cursor.trim().to_owned())
    }

    /// Takes back what a process that is killed may have left behind the place where the next
    /// one begins.
    fn take_back(&self) {
        let text = fs::read_to_string(&self.lines).unwrap();
        let kept = match self.how {
            Resumes::FromItsLines => whole(&text),
            Resumes::FromItsFile => self
                .kept()
                .map_or("", |cursor| up_to(whole(&text), &cursor)),
        };
        let lines = OpenOptions::new().write(true).open(&self.lines).unwrap();
        lines.set_len(kept.len() as u64).unwrap();
    }

    /// What the whole lines come to. Each must follow from those before.
    fn replay(&self) -> Replay {
        let mut replay = Replay::new(self.kind);
        let text = fs::read_to_string(&self.lines).unwrap_or_default();
        for line in whole(&text).lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let applied = replay.apply(event);
            let applied = applied.unwrap_or_else(|what| panic!("{:?}: {what}", self.how));
            assert!(matches!(applied, Applied::Begun | Applied::Moved { .. }));
        }
        replay
    }
}

/// Without the line that has no end.
fn whole(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

/// Without the lines behind the last one with this cursor: that one was printed before.
fn up_to<'a>(text: &'a str, cursor: &str) -> &'a str {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let has_cursor = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["cursor"] == cursor
    };
    let last = lines.iter().rposition(has_cursor).unwrap();
    &text[..lines[..=last].concat().len()]
}

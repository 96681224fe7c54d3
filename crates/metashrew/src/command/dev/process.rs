//! A process that `metashrew dev` started, with all that it starts in turn: none of it is left.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(5);

/// How long it has to end by itself when it is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a command, and ends its whole group once standard input ends: in order within so many
/// seconds, or else at once. The pipe ends with this process, however that ends.
///
/// Who has started it ends the group after the command, and so the guard.
const GUARDED: &str = r#"patience=$1
shift
exec 3<&0
trap : TERM
"$@" </dev/null 3<&- & child=$!
{
  trap '' TERM
  while read -r line; do :; done
  kill -TERM 0
  while kill -0 "$child" && [ "$patience" -gt 0 ]; do sleep 1; patience=$((patience - 1)); done
  kill -KILL 0
} <&3 2>/dev/null &
exec 3<&-
while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
exit "$status""#;

/// A program that ends with this process, however that ends; within `patience` it may do so in
/// order. It has no standard input.
pub(super) fn guarded(program: impl AsRef<OsStr>, patience: Duration) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARDED, "sh", &patience.as_secs().to_string()])
        .arg(program)
        .stdin(Stdio::piped());
    command
}

/// A process, in a group of its own: what a terminal sends to ours does not reach it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    has_ended: bool,
}

impl Process {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        Ok(Self {
            child: command.spawn()?,
            has_ended: false,
        })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has.
    pub(super) fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.has_ended |= status.is_some();
        Ok(status)
    }

    /// Has it end, in order within `patience`, or else at once, and waits for that.
    pub(super) fn end(&mut self, patience: Duration) {
        self.signal(false);
        let begun = Instant::now();
        while !self.has_ended && begun.elapsed() < patience {
            if self.poll().is_err() {
                break;
            }
            thread::sleep(TICK);
        }
        // Those that it started may go on without it.
        self.signal(true);
        if !self.has_ended {
            // It fails only where it has been waited for.
            let _ = self.child.wait();
            self.has_ended = true;
        }
    }

    /// Tells the whole group to end, in order or at once.
    #[cfg(unix)]
    fn signal(&mut self, at_once: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = if at_once { Signal::KILL } else { Signal::TERM };
        // It fails only where nobody is left.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    #[cfg(not(unix))]
    fn signal(&mut self, at_once: bool) {
        if at_once && !self.has_ended {
            // It fails only where it has ended.
            let _ = self.child.kill();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(PATIENCE);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_it_started_is_left() {
        let mut process = spawn(&mut Command::new("sh"), &["-c", STUBBORN]);
        let started = line_of(&mut process);
        process.end(Duration::from_millis(20));
        wait_until_gone(&started);
        assert!(process.has_ended);
    }

    /// As the end of this process closes it.
    #[test]
    fn nothing_of_a_guarded_one_is_left_once_its_pipe_ends() {
        let mut process = spawn(&mut guarded("sh", Duration::ZERO), &["-c", STUBBORN]);
        let started = line_of(&mut process);
        drop(process.child().stdin.take());
        wait_until_gone(&started);
        process.child().wait().unwrap();
    }

    #[test]
    fn a_guarded_one_may_end_in_order_and_tells_how_it_ended() {
        let guarded = || guarded("sh", Duration::from_mins(10));
        let mut ends = spawn(&mut guarded(), &["-c", "exit 3"]);
        // Waiting would close it, and so end the process.
        let pipe = ends.child().stdin.take();
        let status = ends.child().wait().unwrap();
        drop(pipe);
        assert_eq!(status.code(), Some(3));
        let orderly = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done";
        let mut runs = spawn(&mut guarded(), &["-c", orderly]);
        line_of(&mut runs);
        drop(runs.child().stdin.take());
        assert_eq!(runs.child().wait().unwrap().code(), Some(4));
        let mut runs = spawn(&mut guarded(), &["-c", "echo ready; exec sleep 600"]);
        line_of(&mut runs);
        drop(runs.child().stdin.take());
        let status = runs.child().wait().unwrap();
        assert_eq!(status.code(), Some(128 + 15), "ended by SIGTERM");
    }

    /// Says what it has started, and does not end in order.
    const STUBBORN: &str = "trap '' TERM; sleep 600 & echo $!; wait";

    fn spawn(command: &mut Command, args: &[&str]) -> Process {
        Process::spawn(command.args(args).stdout(Stdio::piped())).expect("there is a shell")
    }

    fn line_of(process: &mut Process) -> String {
        let mut line = String::new();
        let output = process.child().stdout.take().expect("it is piped");
        let read = io::BufRead::read_line(&mut io::BufReader::new(output), &mut line);
        read.expect("it says a line");
        line.trim().to_owned()
    }

    fn wait_until_gone(id: &str) {
        let lives = || {
            let state = std::fs::read_to_string(format!("/proc/{id}/stat"));
            // One that nobody has waited for yet is a zombie.
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while cfg!(target_os = "linux") && lives() {
            thread::yield_now();
        }
    }
}

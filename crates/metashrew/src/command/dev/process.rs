//! A process that `metashrew dev` started, with all that it starts in turn: none of it is left.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(5);

/// How long it has to end by itself when it is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

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
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; trap '' TERM; wait"]);
        let mut process = Process::spawn(command.stdout(std::process::Stdio::piped())).unwrap();
        let mut line = String::new();
        let output = process.child().stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(output), &mut line).unwrap();
        process.end(Duration::from_millis(20));
        let lives = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", line.trim()));
            // One that nobody has waited for yet is a zombie.
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while cfg!(target_os = "linux") && lives() {
            thread::yield_now();
        }
        assert!(process.has_ended);
    }
}

//! The project's own build command, run by the shell, with its output shown.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metashrew_sync::Stop;

use super::process::Process;
#[cfg(unix)]
use super::process::guarded;
use super::tell::{Teller, Told};
use crate::printable::MAX_SHOWN;

/// How often it is looked whether the command has ended.
const TICK: Duration = Duration::from_millis(5);

/// How long what the command printed at its end may take to arrive.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// How long a command that is not wanted any more may take to end in order.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// Runs the command to its end; false if it was to stop before.
///
/// # Errors
/// If it cannot be run, or fails.
pub(super) fn run(command: &str, stop: &Stop, teller: Teller) -> Result<bool> {
    teller.tell(&Told::Building { command });
    let mut shell = shell(command);
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = || format!("`{command}` cannot be run");
    let mut process = Process::spawn(&mut shell).with_context(failed)?;
    let (reads, has_read) = channel();
    if let Some(output) = process.child().stdout.take() {
        show(output, teller, reads.clone());
    }
    if let Some(errors) = process.child().stderr.take() {
        show(errors, teller, reads);
    }
    loop {
        if let Some(status) = process.poll().with_context(failed)? {
            // What it left running would hold the output open.
            process.end(Duration::ZERO);
            wait_for(&has_read);
            if !status.success() {
                bail!("`{command}` failed: {status}");
            }
            return Ok(true);
        }
        if stop.wait(TICK) {
            process.end(CANCEL_GRACE);
            return Ok(false);
        }
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = guarded("sh", CANCEL_GRACE);
    shell.args(["-c", command]);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]).stdin(Stdio::null());
    shell
}

/// Shows the lines of a stream on a thread of its own, which drops `reads` at its end.
fn show(stream: impl Read + Send + 'static, teller: Teller, reads: Sender<()>) {
    let show = move || {
        let mut stream = BufReader::new(stream);
        while let Some(line) = next_line(&mut stream) {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            teller.tell(&Told::Output { line });
        }
        drop(reads);
    };
    // Without a thread its output is not shown, and the build is none the worse for it.
    let _ = thread::Builder::new()
        .name("metashrew-build".to_owned())
        .spawn(show);
}

/// The next line, or as much of a long one as is shown at a time.
fn next_line(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match stream.take(MAX_SHOWN as u64).read_until(b'\n', &mut line) {
        Ok(1..) => Some(line),
        Ok(0) | Err(_) => None,
    }
}

/// Waits until all output was shown, or long enough.
fn wait_for(has_read: &Receiver<()>) {
    // It is disconnected once both threads have ended.
    let _ = has_read.recv_timeout(OUTPUT_GRACE);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const TELLER: Teller = Teller { json: true };

    #[test]
    fn a_build_succeeds_fails_or_is_stopped() {
        let run = |command: &str, stop: &Stop| run(command, stop, TELLER);
        assert!(run("true", &Stop::new()).unwrap());
        let error = run("echo no; exit 3", &Stop::new())
            .unwrap_err()
            .to_string();
        assert_eq!(error, "`echo no; exit 3` failed: exit status: 3");
        let stop = Stop::new();
        stop.request();
        assert!(!run("sleep 600", &stop).unwrap());
    }

    #[test]
    fn lines_are_cut_where_they_are_long() {
        let text = [b'a'; MAX_SHOWN + 1];
        let mut stream = &[&text[..], b"\nb"].concat()[..];
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut stream) {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [MAX_SHOWN, 2, 1]);
    }
}

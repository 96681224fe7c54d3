//! The terminal: log lines on stderr, and a progress bar that they don't tear.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::log;

/// Where log lines and the progress bar meet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Console {
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Console {
    /// Sends the process's log lines to stderr, those that are wanted.
    pub(crate) fn log(options: &log::Options) -> Self {
        let console = Self::default();
        log::start(options, is_colourful(), console.clone());
        console
    }

    /// Whether a person watches.
    pub(crate) fn is_terminal() -> bool {
        io::stderr().is_terminal()
    }

    /// Shows a progress bar of `length` steps below the log lines, if a person watches.
    pub(crate) fn show_bar(&self, length: u64, template: &str) -> ProgressBar {
        let target = if Self::is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(template)
            .expect("the template is valid")
            .progress_chars("━╸─");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        *self.bar.lock() = Some(bar.clone());
        bar
    }

    /// Takes the progress bar away.
    pub(crate) fn hide_bar(&self) {
        if let Some(bar) = self.bar.lock().take() {
            bar.finish_and_clear();
        }
    }
}

/// Whether log lines may have colours.
fn is_colourful() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Hours, minutes and seconds, as short as they go.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m{seconds:02}s")
    } else if seconds >= 10 {
        format!("{seconds}s")
    } else {
        format!("{:.1}s", duration.as_secs_f64())
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            bar: self.bar.lock().clone(),
        }
    }
}

/// Writes one log line.
pub(crate) struct Line {
    bar: Option<ProgressBar>,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write_all(text);
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(super::duration(Duration::from_millis(70)), "0.1s");
        assert_eq!(super::duration(Duration::from_millis(9_940)), "9.9s");
        let check = |seconds, expect| {
            assert_eq!(super::duration(Duration::from_secs(seconds)), expect);
        };
        check(59, "59s");
        check(61, "1m01s");
        check(3599, "59m59s");
        check(7322, "2h02m");
    }
}

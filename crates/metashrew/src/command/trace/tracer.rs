//! Watches a run, and writes what it does as it does it.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::{Duration, Instant};

use metashrew_runtime::{Event, Frames, Observer, Refusal};

use super::lines::{Moment, Style};
use super::sites;
use super::source_lines::{Site, SourceLines};
use super::sums::{Sum, Sums};

pub(super) struct Tracer {
    style: Style,
    source: SourceLines,
    output: BufWriter<Stdout>,
    /// Why nothing more can be written.
    broken: Option<io::Error>,
    clock: Clock,
    /// The call of the host that is under way.
    call: Call,
    sums: Sums,
}

/// Measures the run's time: what the tracing itself takes does not count.
struct Clock {
    since: Instant,
    tracing: Duration,
}

impl Clock {
    fn now(&self) -> Duration {
        self.since.elapsed().saturating_sub(self.tracing)
    }

    /// From then on it was tracing.
    fn leave_out(&mut self, since: Instant) {
        self.tracing += since.elapsed();
    }
}

#[derive(Default)]
struct Call {
    site: Option<Site>,
    entered: Duration,
    /// When something happened last in it.
    last: Duration,
    sum: Sum,
}

impl Tracer {
    /// A trace of a run that begins now.
    pub(super) fn new(style: Style, source: SourceLines) -> Self {
        Self {
            style,
            source,
            output: BufWriter::new(io::stdout()),
            broken: None,
            clock: Clock {
                since: Instant::now(),
                tracing: Duration::ZERO,
            },
            call: Call::default(),
            sums: Sums::default(),
        }
    }

    /// Writes what the view answered.
    ///
    /// # Errors
    /// If the trace could not be written.
    pub(super) fn answered(&mut self, answer: &[u8]) -> io::Result<()> {
        let line = self.style.answer(self.clock.now(), answer);
        writeln!(self.output, "{line}")
    }

    /// Writes the sums of the run, which is over.
    ///
    /// # Errors
    /// If the trace could not be written, or not whole.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        for line in self.style.sums(&self.sums, self.clock.now()) {
            writeln!(self.output, "{line}")?;
        }
        self.output.flush()
    }
}

impl Observer for Tracer {
    fn called(&mut self, _function: &'static str, frames: &Frames<'_>) {
        let tracing = Instant::now();
        let frames = frames.frames();
        let sites: Vec<_> = frames
            .iter()
            .flat_map(|frame| self.source.sites(frame))
            .collect();
        self.call = Call {
            site: sites::own(&sites).cloned(),
            sum: Sum {
                calls: 1,
                ..Sum::default()
            },
            ..Call::default()
        };
        self.clock.leave_out(tracing);
        self.call.entered = self.clock.now();
        self.call.last = self.call.entered;
    }

    fn returned(&mut self, _function: &'static str) {
        let now = self.clock.now();
        let tracing = Instant::now();
        let mut call = std::mem::take(&mut self.call);
        call.sum.host = now.saturating_sub(call.entered);
        let function = call.site.map_or_else(String::new, |site| site.function);
        self.sums.add(&function, &call.sum);
        self.call.last = now;
        self.clock.leave_out(tracing);
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        let at = self.clock.now();
        let tracing = Instant::now();
        let sum = &mut self.call.sum;
        match event {
            Event::Read { .. } => sum.reads += 1,
            Event::Range { .. } => sum.ranges += 1,
            Event::Found { .. } => sum.found += 1,
            Event::Write { .. } => sum.writes += 1,
            _ => {}
        }
        let moment = Moment {
            at,
            took: at.saturating_sub(self.call.last),
            site: self.call.site.as_ref(),
        };
        let line = self.style.line(&moment, &event);
        let written = writeln!(self.output, "{line}");
        self.clock.leave_out(tracing);
        self.call.last = self.clock.now();
        written.map_err(|error| {
            self.broken = Some(error);
            "the trace cannot be written".into()
        })
    }
}

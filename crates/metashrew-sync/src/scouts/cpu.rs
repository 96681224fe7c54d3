//! How much of the machine the executor and the process use.

use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};

use super::policy::Sample;

/// How much lower the priority of scouts is than that of the threads they work for. With
/// it, a scout gets a tenth of a core that the executor wants, too.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets other threads of the process go before the calling one, where that can be had.
pub(super) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!("scouts have the priority of any other thread: {error}");
    }
}

/// Measures blocks of the executor, on its own thread.
#[derive(Default)]
pub(crate) struct Meter {
    /// When the guest began to run, and the thread's processor time and its waits for a
    /// core until then.
    begun: Option<(Instant, Duration, Duration)>,
    executing: Duration,
    executing_cpu: Duration,
    /// When the last sample was taken, and the process's processor time then.
    last: Option<(Instant, Duration)>,
}

impl Meter {
    /// The guest begins to run.
    pub(super) fn begin(&mut self) {
        self.begun = thread_cpu().map(|cpu| (Instant::now(), cpu, waits_for_a_core()));
    }

    /// It has run.
    pub(super) fn end(&mut self) {
        if let Some(((since, before, waits), cpu)) = self.begun.take().zip(thread_cpu()) {
            // Where others keep the cores busy, the time without one is no wait for reads.
            let without_core = waits_for_a_core().saturating_sub(waits);
            self.executing += since.elapsed().saturating_sub(without_core);
            self.executing_cpu += cpu.saturating_sub(before);
        }
    }

    /// What was measured since the last sample, if the clocks are there: else nothing, by
    /// which no scout is wanted.
    pub(super) fn sample(&mut self) -> Sample {
        let now = process_cpu().map(|cpu| (Instant::now(), cpu));
        let last = std::mem::replace(&mut self.last, now);
        let mut sample = Sample {
            executing: std::mem::take(&mut self.executing),
            executing_cpu: std::mem::take(&mut self.executing_cpu),
            ..Sample::default()
        };
        if let Some(((since, before), (now, cpu))) = last.zip(now) {
            sample.elapsed = now - since;
            sample.process_cpu = cpu.saturating_sub(before);
        }
        sample
    }
}

fn thread_cpu() -> Option<Duration> {
    ThreadTime::try_now().ok().map(|time| time.as_duration())
}

/// How long the calling thread could have run and had no core, in all; nothing where the
/// system does not tell.
fn waits_for_a_core() -> Duration {
    // "Scheduler statistics" of Linux: time on a core, time waiting for one, turns; in ns.
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos)
}

fn process_cpu() -> Option<Duration> {
    ProcessTime::try_now().ok().map(|time| time.as_duration())
}

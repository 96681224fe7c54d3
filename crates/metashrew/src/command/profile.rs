//! `metashrew profile`: where the time of a block or a view goes, for the Firefox Profiler.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use metashrew_runtime::{
    MAX_PROFILE_SAMPLES, ProfileEnd, ProfileOptions, ProfileSummary, ProfiledCall, ReadCounts,
};

use super::Output;
use super::watched::{Opened, Subject};
use crate::cli::Profile;

pub(super) fn run(args: &Profile) -> Result<()> {
    let Opened {
        runtime, subject, ..
    } = Opened::of(&args.watched)?;
    let options = ProfileOptions {
        interval: Duration::from_micros(args.interval_us),
        repeat: args.repeat,
        timeout: Duration::from_millis(args.watched.timeout_ms),
    };
    if let Subject::Bundle(bundle) = &subject {
        // What is not recorded must not be taken for absent.
        let (_, checked) = bundle.run(&runtime, ReadCounts::default());
        if let Err(error @ metashrew_runtime::ReplayError::NotRecorded(_)) = checked {
            return Err(error).with_context(|| format!("{} cannot be profiled", subject.name()));
        }
    }
    let name = subject.name();
    let call = match &subject {
        Subject::Block(located) => ProfiledCall::Block {
            state: located.below.state.clone(),
            height: located.block.height,
            block: located.bytes.clone(),
        },
        Subject::Bundle(bundle) => ProfiledCall::Block {
            state: bundle.reads.state(),
            height: bundle.block.height,
            block: bundle.bytes.clone(),
        },
        Subject::View { name, input, at } => ProfiledCall::View {
            state: runtime.store().snapshot().at(at.height),
            height: at.height,
            function: name,
            input,
        },
    };
    // In memory first: what fails leaves the file as it was.
    let mut profile = Vec::new();
    let summary = runtime
        .profile(&call, &options, &mut profile)
        .with_context(|| format!("{name} cannot be profiled"))?;
    let out = args.out.display();
    std::fs::write(&args.out, &profile).with_context(|| format!("`{out}` cannot be written"))?;
    tell(args, &name, &summary).map_err(Output)?;
    match summary.end {
        ProfileEnd::Completed | ProfileEnd::TimedOut | ProfileEnd::Full => Ok(()),
        ProfileEnd::Block(error) => Err(Error::new(error)),
        ProfileEnd::View(error) => Err(Error::new(error)),
    }
    .with_context(|| format!("{name} failed; `{out}` shows it up to there"))
}

fn tell(args: &Profile, name: &str, summary: &ProfileSummary) -> std::io::Result<()> {
    match &summary.end {
        ProfileEnd::TimedOut => tracing::warn!(
            "{name} had not ended after {} ms: the profile shows it up to there",
            args.watched.timeout_ms
        ),
        ProfileEnd::Full => tracing::warn!(
            "there were {MAX_PROFILE_SAMPLES} samples, which is the most: the profile ends there"
        ),
        _ => {}
    }
    if let Some((function, time)) = &summary.left_in_host {
        tracing::warn!(
            "it ended in `{function}`, {} ms after that was called: samples do not show this time",
            time.as_millis()
        );
    }
    if summary.samples == 0 {
        tracing::warn!("it was too short for a sample: run it more often, with --repeat");
    }
    let mut output = std::io::stdout().lock();
    writeln!(output, "profiled: {name}")?;
    writeln!(output, "runs: {}", summary.runs)?;
    writeln!(
        output,
        "samples: {}, {} of them in the host",
        summary.samples, summary.host_samples
    )?;
    writeln!(output, "time: {:.3} s", summary.time.as_secs_f64())?;
    writeln!(
        output,
        "profile: {}; open it at https://profiler.firefox.com",
        args.out.display()
    )
}

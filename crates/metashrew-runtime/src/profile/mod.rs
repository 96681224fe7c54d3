//! Profiles of a guest over one block or one view, in the format of the Firefox Profiler.
//!
//! Samples are taken by wasmtime's `GuestProfiler` at ticks of the epoch, so the guest runs as
//! compiled for views. Epochs interrupt wasm alone: that the time in the host shows too is the
//! work of a module between guest and host (`shim.rs`), whose functions are frames on the
//! guest's stack. `document.rs` gives the result the names and times that a reader expects.
//!
//! A profile has a clock, and the state never sees one: what the runs write is dropped.

mod document;
mod run;
mod sampler;
mod shim;
mod ticker;

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use metashrew_store::State;

use crate::error::{BlockError, HostFault, LoadError, ViewError};
use crate::runtime::MetashrewRuntime;

/// How often a sample can be taken, at most: below, the thread that ticks has no time to sleep.
pub const MIN_PROFILE_INTERVAL: Duration = Duration::from_micros(100);

/// Samples in a profile at most: some 30 MB of JSON. Where there are as many, the runs end.
pub const MAX_PROFILE_SAMPLES: usize = 200_000;

/// What is profiled.
#[derive(Debug, Clone)]
pub enum ProfiledCall<'a> {
    /// A run of `_start`.
    Block {
        /// The state that the block stands on.
        state: State,
        /// The block's height.
        height: u32,
        /// The block.
        block: Bytes,
    },
    /// A view.
    View {
        /// The state that is asked about.
        state: State,
        /// The height of the block asked about.
        height: u32,
        /// The view's name.
        function: &'a str,
        /// Its input.
        input: &'a [u8],
    },
}

/// How a profile is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileOptions {
    /// The time between two samples, at least [`MIN_PROFILE_INTERVAL`]. Default: 1 ms.
    pub interval: Duration,
    /// How often the call is run, each time on a fresh instance and the same state, so that a
    /// short one gives samples too. Default: once.
    pub repeat: NonZeroU32,
    /// How long all runs together may take; then the profile ends. Default: 60 seconds.
    pub timeout: Duration,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(1),
            repeat: NonZeroU32::MIN,
            timeout: Duration::from_mins(1),
        }
    }
}

/// What a profile holds.
#[derive(Debug)]
pub struct ProfileSummary {
    /// How often the call was run, the last and perhaps unfinished run included.
    pub runs: u32,
    /// Samples that were taken.
    pub samples: usize,
    /// Of these, samples in functions of the host.
    pub host_samples: usize,
    /// The time that the runs took, with the making of their instances.
    pub time: Duration,
    /// How it ended.
    pub end: ProfileEnd,
    /// The host function in which the last run ended, and for how long it had been there: no
    /// sample shows that time. None if it ended elsewhere.
    pub left_in_host: Option<(String, Duration)>,
}

/// How the runs of a profile ended.
#[derive(Debug)]
pub enum ProfileEnd {
    /// All of them came to their end.
    Completed,
    /// The last one had not ended when the time was over. The profile shows it up to there.
    TimedOut,
    /// There were [`MAX_PROFILE_SAMPLES`]. The profile shows the last run up to there.
    Full,
    /// The block failed. The profile shows it up to there.
    Block(BlockError),
    /// The view failed, or returned an error. The profile shows it up to there.
    View(ViewError),
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The guest cannot be linked for it.
    #[error(transparent)]
    Guest(#[from] LoadError),
    /// The interval is shorter than [`MIN_PROFILE_INTERVAL`].
    #[error("an interval of {} µs is too short, {} µs is the least", .0.as_micros(), MIN_PROFILE_INTERVAL.as_micros())]
    Interval(Duration),
    /// The guest has no such view.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The machine failed.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// The profile could not be written.
    #[error("the profile could not be written")]
    Write(#[source] io::Error),
}

impl MetashrewRuntime {
    /// Runs `call` and writes a profile of it to `output`, to be opened at
    /// <https://profiler.firefox.com>. Commits nothing.
    ///
    /// A call that fails, or is not over in time, has its profile all the same: the summary says
    /// how it ended.
    ///
    /// Functions of the host are frames called by the guest's functions, `__get (host)` for
    /// one. Time that the host spends making instances is not in the profile.
    ///
    /// # Errors
    /// If the guest has no such view or cannot be linked, and if the profile cannot be written.
    pub fn profile(
        &self,
        call: &ProfiledCall<'_>,
        options: &ProfileOptions,
        output: impl io::Write,
    ) -> Result<ProfileSummary, ProfileError> {
        if options.interval < MIN_PROFILE_INTERVAL {
            return Err(ProfileError::Interval(options.interval));
        }
        let profiled = run::Profiled::new(self.guest(), call)?;
        let taken = profiled.take(call, options)?;
        let host_samples =
            document::write(&taken.profile, &taken.bursts, &profiled.names(), output)?;
        Ok(ProfileSummary {
            host_samples,
            ..taken.summary
        })
    }
}

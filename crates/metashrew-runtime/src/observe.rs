//! Watching a run of the guest: who is told each of its host calls, as it happens.
//!
//! The observer is part of the run's [`Call`](crate::context::Call) and goes with it. A run
//! that nobody watches pays a branch at each host call.

use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::{Caller, WasmBacktrace};

use crate::context::Context;
use crate::error::{GuestBacktrace, GuestFrame, HostFault};
use crate::fault::{self, Fault};

/// Why an observer has a run end.
pub type Refusal = Box<dyn Error + Send + Sync>;

/// Is told what a run of the guest does: see [`MetashrewRuntime::observe_block`] and
/// [`MetashrewRuntime::observe_view`].
///
/// The run waits meanwhile, so what an observer does takes the run's time.
///
/// ```
/// use metashrew_runtime::{Event, Observer, Refusal};
///
/// /// Counts what is read, and ends a run that reads too much.
/// struct Reads(u32);
///
/// impl Observer for Reads {
///     fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
///         if let Event::Read { .. } = event {
///             self.0 += 1;
///         }
///         if self.0 > 1_000_000 {
///             return Err("it reads too much".into());
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// [`MetashrewRuntime::observe_block`]: crate::MetashrewRuntime::observe_block
/// [`MetashrewRuntime::observe_view`]: crate::MetashrewRuntime::observe_view
pub trait Observer: Send + 'static {
    /// The guest calls the host function of that name, such as `__get`. `frames` tells from
    /// where.
    fn called(&mut self, function: &'static str, frames: &Frames<'_>) {
        let _ = (function, frames);
    }

    /// That call has ended, well or not.
    fn returned(&mut self, function: &'static str) {
        let _ = function;
    }

    /// Something happened: between a call and its return, but for [`Event::Failed`].
    ///
    /// # Errors
    /// If the run is to end: it fails with [`HostFault::Observer`], and the guest does not
    /// get what it asked for.
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal>;
}

/// What happened in a run. A value of zero length is none: a guest cannot tell them apart.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The guest loaded its input, of so many bytes: the height, and the block or the view's
    /// input.
    Input {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The guest read a key. Asking for a value's length and then for the value is one read;
    /// each key of `read_many` is one.
    Read {
        /// The key; may be longer than any that can be written.
        key: &'a [u8],
        /// What the host answers.
        value: &'a [u8],
    },
    /// A walk over the keys of a range begins. [`Event::Found`] and [`Event::RangeEnd`] follow.
    Range {
        /// The lowest key that may be found.
        start: &'a [u8],
        /// The key before which the range ends; an empty one is the end of all keys.
        end: &'a [u8],
        /// Whether the walk goes from the last key to the first.
        descending: bool,
        /// Whether the guest asked for keys without values.
        keys_only: bool,
    },
    /// The walk came to a key. The last one may not have fitted into the guest's answer.
    Found {
        /// The key.
        key: &'a [u8],
        /// Its value, also if the guest asked for the keys only. Never empty.
        value: &'a [u8],
    },
    /// The walk is over.
    RangeEnd {
        /// Whether it went through the whole range. If not, the answer was full: there may be
        /// keys beyond the last that was found.
        complete: bool,
    },
    /// The guest flushed a key and a value. Views flush nothing.
    Write {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// The guest logged a text, which is cut after 64 KiB.
    Log {
        /// The text, as the guest has it.
        text: &'a str,
    },
    /// The run failed: the last that happens.
    Failed {
        /// A [`BlockError`](crate::BlockError) or a [`ViewError`](crate::ViewError).
        error: &'a (dyn Error + 'static),
    },
}

/// Where the guest is while it calls the host.
#[derive(Clone, Copy)]
pub struct Frames<'a>(&'a Caller<'a, Context>);

impl Frames<'_> {
    /// The guest's frames, innermost first. It takes some microseconds to find them.
    pub fn frames(&self) -> Vec<GuestFrame> {
        let trace = WasmBacktrace::force_capture(self.0);
        fault::frames(&trace, &self.0.data().offsets)
    }

    /// The same, as text.
    pub fn backtrace(&self) -> GuestBacktrace {
        self.frames().into()
    }
}

/// Who watches a call, if anybody does.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Mutex<dyn Observer>>>);

impl Watch {
    pub(crate) fn by<O: Observer>(observer: &Arc<Mutex<O>>) -> Self {
        Self(Some(Arc::<Mutex<O>>::clone(observer)))
    }

    /// Whether anybody does.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// Tells what happened.
    #[inline]
    pub(crate) fn tell(&self, event: Event<'_>) -> Result<(), Fault> {
        match &self.0 {
            None => Ok(()),
            Some(observer) => observer
                .lock()
                .event(event)
                .map_err(|refusal| Fault::Host(HostFault::Observer(refusal))),
        }
    }
}

/// Tells that the guest calls `function`.
#[inline]
pub(crate) fn called(caller: &Caller<'_, Context>, function: &'static str) {
    if let Some(observer) = observer(caller) {
        observer.lock().called(function, &Frames(caller));
    }
}

/// Tells that the call of `function` is over, and hands on what came of it.
#[inline]
pub(crate) fn returned<T>(caller: &Caller<'_, Context>, function: &'static str, result: T) -> T {
    if let Some(observer) = observer(caller) {
        observer.lock().returned(function);
    }
    result
}

#[inline]
fn observer<'a>(caller: &'a Caller<'_, Context>) -> Option<&'a Arc<Mutex<dyn Observer>>> {
    caller.data().call.as_ref()?.watch().0.as_ref()
}

/// The observer of a run that is over, which is told the error of one that failed.
pub(crate) fn finish<O: Observer, T, E: Error + 'static>(
    observer: Arc<Mutex<O>>,
    result: Result<T, E>,
) -> (O, Result<T, E>) {
    // The run's instance is gone, and with it its call.
    let observer = Arc::into_inner(observer).expect("only its run had it beside us");
    let mut observer = observer.into_inner();
    if let Err(error) = &result {
        // There is no run left that could end.
        let _ = observer.event(Event::Failed { error });
    }
    (observer, result)
}

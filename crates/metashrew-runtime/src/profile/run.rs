//! The runs that are profiled: each on a fresh instance, all into one profile.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metashrew_abi::imports;
use metashrew_store::wait;
use parking_lot::Mutex;
use wasmtime::{AsContextMut, Caller, Func, GuestProfiler, Linker, StoreContextMut};

use super::document::{Burst, GUEST, HOST, Names};
use super::sampler::Sampler;
use super::shim::{self, Shim};
use super::ticker::Ticker;
use super::{ProfileEnd, ProfileError, ProfileOptions, ProfileSummary, ProfiledCall};
use crate::clock::now;
use crate::context::{Call, Context};
use crate::deadline::{Deadline, TICKS_BETWEEN_CHECKS};
use crate::error::{GuestBacktrace, GuestFault, HostFault, ViewError};
use crate::fault::Fault;
use crate::guest::{Guest, View};
use crate::host::{self, Waits};
use crate::instance::{Instance, new_store};
use crate::limits::Allowance;
use crate::options::ViewOptions;
use crate::reply::Reply;
use crate::run::guarded;
use crate::runner;
use crate::view::Sizes;

/// A guest with all that its runs have in common.
pub(super) struct Profiled<'a> {
    guest: &'a Guest,
    view: Option<View<'a>>,
    shim: Shim,
    linker: Linker<Context>,
}

/// A profile, as wasmtime writes it, and what is known of it.
pub(super) struct Taken {
    pub(super) profile: Vec<u8>,
    pub(super) bursts: Vec<Burst>,
    pub(super) summary: ProfileSummary,
}

impl<'a> Profiled<'a> {
    pub(super) fn new(guest: &'a Guest, call: &ProfiledCall<'a>) -> Result<Self, ProfileError> {
        let view = match call {
            ProfiledCall::Block { .. } => None,
            ProfiledCall::View { function, .. } => Some(guest.view(function)?),
        };
        let module = guest.viewing.module();
        Ok(Self {
            guest,
            view,
            shim: Shim::of(module)?,
            linker: host::linker(module.engine(), module, Waits::Thread)?,
        })
    }

    pub(super) fn names(&self) -> Names {
        Names::of(self.guest.viewing.module())
    }

    /// Runs `call` as often as is wanted, while there is time.
    pub(super) fn take(
        &self,
        call: &ProfiledCall<'_>,
        options: &ProfileOptions,
    ) -> Result<Taken, ProfileError> {
        let module = self.guest.viewing.module();
        let ticker = Ticker::start(module.engine(), options.interval)?;
        let name = match self.view {
            Some(view) => format!("view {}", view.name),
            None => "block".to_owned(),
        };
        let modules = [
            (GUEST.to_owned(), module.clone()),
            (HOST.to_owned(), self.shim.module.clone()),
        ];
        let profiler = GuestProfiler::new(module.engine(), &name, options.interval, modules)
            .map_err(|error| HostFault::Resources(format!("{error:#}")))?;
        let sampler = Sampler::new(profiler, ticker.ticks(), options.interval);
        let sampler = Arc::new(Mutex::new(sampler));
        let since = now();
        let until = since.checked_add(options.timeout).unwrap_or(since);
        let mut runs = 0;
        let end = loop {
            runs += 1;
            match self.run(call, &sampler, until) {
                Ok(()) if runs < options.repeat.get() && now() < until => {}
                Ok(()) if runs < options.repeat.get() => break ProfileEnd::TimedOut,
                Ok(()) => break ProfileEnd::Completed,
                Err(_) if sampler.lock().is_full() => break ProfileEnd::Full,
                Err(Failure::Fault(Fault::Timeout(_))) => break ProfileEnd::TimedOut,
                Err(failure) => break failure.into_end(self.view.is_some(), options.timeout),
            }
        };
        let time = since.elapsed();
        drop(ticker);
        self.finish(sampler, (runs, time), end)
    }

    /// The profile, once no instance has the sampler any more.
    fn finish(
        &self,
        sampler: Arc<Mutex<Sampler>>,
        (runs, time): (u32, Duration),
        end: ProfileEnd,
    ) -> Result<Taken, ProfileError> {
        let failed = |what: String| HostFault::Resources(what);
        let sampler = Arc::into_inner(sampler)
            .ok_or_else(|| failed("an instance outlived its run".to_owned()))?
            .into_inner();
        let left_in_host = sampler.entered().and_then(|(function, time)| {
            let name = self.shim.functions.get(function)?;
            Some((name.clone(), time))
        });
        let summary = ProfileSummary {
            runs,
            samples: sampler.samples(),
            // Known once its frames are.
            host_samples: 0,
            time,
            end,
            left_in_host,
        };
        let (profiler, bursts) = sampler.into_parts();
        let mut profile = Vec::new();
        profiler
            .finish(&mut profile)
            .map_err(|error| failed(format!("{error:#}")))?;
        Ok(Taken {
            profile,
            bursts,
            summary,
        })
    }

    /// One run, into `sampler`, until `end`.
    fn run(
        &self,
        call: &ProfiledCall<'_>,
        sampler: &Arc<Mutex<Sampler>>,
        end: Instant,
    ) -> Result<(), Failure> {
        let (running, allowance) = match call {
            ProfiledCall::Block {
                state,
                height,
                block,
            } => (
                Call::overlay(state.clone(), *height, block.clone()),
                Allowance::unlimited(),
            ),
            ProfiledCall::View { state, height, .. } => (
                Call::view(state.clone(), *height),
                Allowance::up_to(ViewOptions::default().max_instance_memory),
            ),
        };
        let mut instance = self.instance(running, allowance, sampler, end)?;
        // The time in which it was made is nobody's.
        sampler.lock().begin();
        if let (ProfiledCall::View { input, .. }, Some(view)) = (call, self.view) {
            let sizes = Sizes::of(&ViewOptions::default());
            wait(instance.set_cache_limit(sizes.guest_caches))?;
            instance.set_input(input)?;
            return match instance.view(view, ViewOptions::default().max_output)? {
                Reply::Answer(_) => Ok(()),
                Reply::Error(message) => Err(Failure::Returned(message)),
            };
        }
        if self.guest.memory_across_blocks {
            wait(instance.set_cache_limit(runner::CACHE_LIMIT))?;
        }
        instance.start().map(drop).map_err(Failure::Fault)
    }

    /// A fresh instance whose run is sampled.
    fn instance(
        &self,
        call: Call,
        allowance: Allowance,
        sampler: &Arc<Mutex<Sampler>>,
        end: Instant,
    ) -> Result<Instance, Fault> {
        let linked = &self.guest.viewing;
        let mut store = new_store(linked, call, allowance, Deadline::at(end, 0, false));
        let of_guest = Arc::clone(sampler);
        store.epoch_deadline_callback(move |store: StoreContextMut<'_, Context>| {
            let mut sampler = of_guest.lock();
            sampler.guest(&store);
            if sampler.is_full() {
                let fault = Fault::Timeout(GuestBacktrace::default());
                return Err(wasmtime::Error::new(fault));
            }
            store.data().deadline.tick()
        });
        let (entering, leaving) = (Arc::clone(sampler), Arc::clone(sampler));
        let hooks = shim::Hooks {
            enter: Func::wrap(&mut store, move |function: i32| {
                let function = usize::try_from(function).unwrap_or_default();
                entering.lock().enter(function);
            }),
            leave: Func::wrap(&mut store, move |mut caller: Caller<'_, Context>| {
                if leaving.lock().leave(&caller) {
                    caller
                        .as_context_mut()
                        .set_epoch_deadline(TICKS_BETWEEN_CHECKS);
                }
            }),
        };
        sampler.lock().begin();
        store.set_epoch_deadline(TICKS_BETWEEN_CHECKS);
        let made = self
            .shim
            .instantiate(&mut store, linked.module(), &self.linker, hooks);
        let ended = wait(pin!(guarded(made)));
        let instance = ended.map_err(|ended| in_start_section(ended.fault(&store)))?;
        Instance::complete(store, instance, linked.hooks.clone(), None)
    }
}

/// The fault of an instance that could not be made. Of all guests that have a memory, those do
/// not find it that call the host in their start section: the shim has none, and theirs is not
/// known yet.
fn in_start_section(fault: Fault) -> Fault {
    match fault {
        Fault::Guest(GuestFault::MissingExport { name, .. }) if name == imports::MEMORY => {
            let what = "a guest that calls the host in its start section cannot be profiled";
            Fault::Host(HostFault::Resources(what.to_owned()))
        }
        fault => fault,
    }
}

/// Why a run did not come to its end.
enum Failure {
    Fault(Fault),
    /// The view returned an error.
    Returned(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Failure {
    fn into_end(self, is_view: bool, timeout: Duration) -> ProfileEnd {
        match self {
            Self::Returned(message) => ProfileEnd::View(ViewError::Returned { message }),
            Self::Fault(fault) if is_view => ProfileEnd::View(fault.into_view_error(timeout)),
            Self::Fault(fault) => ProfileEnd::Block(fault.into_block_error(None)),
        }
    }
}

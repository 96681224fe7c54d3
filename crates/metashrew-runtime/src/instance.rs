//! One instance of a guest: made, called, and thrown away after a fault.
//!
//! Guests always run on a fibre, whose stack has the size that their limit needs, whatever
//! stack the caller's thread has.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use metashrew_abi::{buffer, imports};
use metashrew_store::{State, WriteSet, wait};
use wasmtime::{Extern, Memory, Store, StoreContextMut, TypedFunc, WasmParams, WasmResults};

use crate::context::{Buffers, Call, Context};
use crate::deadline::{Deadline, TICKS_BETWEEN_CHECKS};
use crate::error::{GuestBacktrace, GuestFault};
use crate::fault::Fault;
use crate::guest::{Guest, Linked, View};
use crate::limits::Allowance;
use crate::memory::bad_pointer;
use crate::optional::KeptAnswer;
use crate::prepared::START_TYPE;
use crate::view::{Account, Meter};

/// A view's typed function.
type ViewFunction = TypedFunc<(), i32>;

/// A guest's instance, idle or running one call.
pub(crate) struct Instance {
    store: Store<Context>,
    exports: wasmtime::Instance,
    memory: Memory,
    /// The guest's views by number, found at their first call.
    views: Vec<Option<ViewFunction>>,
    /// Where small answers are copied to. Its memory is used again once the callers have let
    /// go of theirs.
    answers: BytesMut,
    /// What its checks know of it.
    pub(crate) meter: Meter,
    /// What the instance's bytes are taken from. Below the store: it is dropped once that
    /// memory is gone.
    _account: Option<Arc<Account>>,
}

/// Inputs and answers up to so many bytes share a buffer with others, which an idle instance
/// holds on to; a longer one has its own, which counts like the guest's memory.
pub(crate) const SMALL: usize = 64 * 1024;

impl Instance {
    /// A fresh instance that is about to run `call`.
    pub(crate) fn create(
        guest: &Linked,
        call: Call,
        allowance: Allowance,
        deadline: Deadline,
    ) -> Result<Self, Fault> {
        wait(Self::create_async(guest, call, allowance, deadline))
    }

    /// As [`Instance::create`]: a start section that never ends can be interrupted without
    /// holding up its thread.
    pub(crate) async fn create_async(
        guest: &Linked,
        call: Call,
        allowance: Allowance,
        deadline: Deadline,
    ) -> Result<Self, Fault> {
        // Before the store: where there is no instance it is dropped after it all the same.
        let account = allowance.account();
        let mut store = new_store(guest, call, allowance, deadline);
        let ended = guarded(guest.instances.instantiate_async(&mut store)).await;
        let instance = ended.map_err(|ended| ended.fault(&store))?;
        Self::complete(store, instance, account)
    }

    fn complete(
        mut store: Store<Context>,
        instance: wasmtime::Instance,
        account: Option<Arc<Account>>,
    ) -> Result<Self, Fault> {
        let memory = instance
            .get_memory(&mut store, imports::MEMORY)
            .ok_or_else(|| missing(imports::MEMORY, "a memory"))?;
        store.data_mut().memory = Some(memory);
        Ok(Self {
            store,
            exports: instance,
            memory,
            views: Vec::new(),
            answers: BytesMut::new(),
            meter: Meter::default(),
            _account: account,
        })
    }

    /// Tells a guest that wants to know it how many bytes its own caches may have.
    pub(crate) async fn set_cache_limit(
        &mut self,
        guest: &Guest,
        bytes: usize,
    ) -> Result<(), Fault> {
        let Some(export) = &guest.cache_limit else {
            return Ok(());
        };
        let Some(Extern::Func(function)) = self.exports.get_module_export(&mut self.store, export)
        else {
            return Ok(());
        };
        let Ok(function) = function.typed::<i32, ()>(&self.store) else {
            return Ok(());
        };
        // The guest reads it as unsigned.
        let limit = u32::try_from(bytes).unwrap_or(u32::MAX).cast_signed();
        self.call(&function, limit).await
    }

    /// Gives the call its input.
    pub(crate) fn set_input(&mut self, input: &[u8]) -> Result<(), Fault> {
        let context = self.store.data_mut();
        if input.len() > SMALL {
            context.allowance.hold_for_call(input.len())?;
        }
        context.buffers.set_input(input);
        Ok(())
    }

    /// Gives an idle instance its next call.
    pub(crate) fn prepare(&mut self, call: Call, deadline: Deadline) {
        let context = self.store.data_mut();
        context.call = Some(call);
        context.allowance.set_age(deadline.age());
        context.deadline = deadline;
        self.store.set_epoch_deadline(TICKS_BETWEEN_CHECKS);
    }

    /// Gives an idle instance the next block. Where the guest would see a growth fail, the
    /// block ends instead.
    pub(crate) fn prepare_block(&mut self, call: Call) {
        self.prepare(call, Deadline::default());
        self.store.data_mut().allowance.end_when_refused();
    }

    /// Ends the call: what it read and was asked is gone from the instance.
    pub(crate) fn finish(&mut self) {
        let context = self.store.data_mut();
        context.call = None;
        context.buffers.clear();
        context.answer.clear();
        context.allowance.end_call();
    }

    /// The state of the call under way, or of the one that just ended.
    pub(crate) fn state(&self) -> Option<State> {
        self.store.data().call.as_ref().map(Call::state)
    }

    /// The state of a call that failed.
    pub(crate) fn take_state(&mut self) -> Option<State> {
        self.store.data_mut().call.take().map(Call::into_state)
    }

    /// Bytes that the instance has.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().allowance.used()
    }

    /// Runs `_start`, and returns what it flushed.
    pub(crate) fn start(&mut self) -> Result<WriteSet, Fault> {
        wait(self.start_async())
    }

    /// As [`Instance::start`], giving way where the call's deadline says so.
    pub(crate) async fn start_async(&mut self) -> Result<WriteSet, Fault> {
        let start = self.start_function()?;
        self.call(&start, ()).await?;
        self.take_writes()
    }

    /// Runs `_start` for what it reads, and tells how much that was.
    pub(crate) fn scout(mut self) -> (Result<(), Fault>, u64) {
        let result = self
            .start_function()
            .and_then(|start| wait(self.call(&start, ())));
        let call = &self.store.data().call;
        (result, call.as_ref().map_or(0, Call::scouted_reads))
    }

    /// Runs a view, and returns its answer of at most `max_output` bytes.
    pub(crate) fn view(&mut self, view: View<'_>, max_output: usize) -> Result<Bytes, Fault> {
        wait(self.view_async(view, max_output))
    }

    /// As [`Instance::view`], giving way where the call's deadline says so.
    pub(crate) async fn view_async(
        &mut self,
        view: View<'_>,
        max_output: usize,
    ) -> Result<Bytes, Fault> {
        let function = self.view_function(view)?;
        let pointer = self.call(&function, ()).await?;
        self.answer(view, pointer, max_output)
    }

    async fn call<P, R>(&mut self, function: &TypedFunc<P, R>, parameters: P) -> Result<R, Fault>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        guarded(function.call_async(&mut self.store, parameters))
            .await
            .map_err(|ended| ended.fault(&self.store))
    }

    fn answer(&mut self, view: View<'_>, pointer: i32, max_output: usize) -> Result<Bytes, Fault> {
        let pointer = pointer.cast_unsigned();
        let answer = buffer::at(self.memory.data(&self.store), pointer)
            .ok_or_else(|| bad_pointer(view.name, pointer))?;
        if answer.len() > max_output {
            return Err(Fault::Output {
                length: answer.len(),
                limit: max_output,
            });
        }
        let length = answer.len();
        if length <= SMALL {
            self.answers.extend_from_slice(answer);
            return Ok(self.answers.split().freeze());
        }
        self.store.data_mut().allowance.hold_for_call(length)?;
        let answer = buffer::at(self.memory.data(&self.store), pointer);
        let answer = answer.ok_or_else(|| bad_pointer(view.name, pointer))?;
        Ok(Bytes::copy_from_slice(answer))
    }

    fn start_function(&mut self) -> Result<TypedFunc<(), ()>, Fault> {
        self.exports
            .get_typed_func(&mut self.store, imports::START)
            .map_err(|_| missing(imports::START, START_TYPE))
    }

    fn view_function(&mut self, view: View<'_>) -> Result<ViewFunction, Fault> {
        if let Some(Some(function)) = self.views.get(view.index) {
            return Ok(function.clone());
        }
        let function: ViewFunction = self
            .exports
            .get_typed_func(&mut self.store, view.name)
            .map_err(|_| missing(view.name, "a function `() -> i32`"))?;
        if self.views.len() <= view.index {
            self.views.resize_with(view.index + 1, || None);
        }
        if let Some(slot) = self.views.get_mut(view.index) {
            *slot = Some(function.clone());
        }
        Ok(function)
    }

    fn take_writes(&mut self) -> Result<WriteSet, Fault> {
        self.store
            .data_mut()
            .call
            .take()
            .and_then(Call::into_writes)
            .ok_or(Fault::Guest(GuestFault::NoFlush))
    }
}

fn new_store(
    guest: &Linked,
    call: Call,
    mut allowance: Allowance,
    deadline: Deadline,
) -> Store<Context> {
    allowance.set_age(deadline.age());
    let context = Context {
        memory: None,
        call: Some(call),
        buffers: Buffers::default(),
        answer: KeptAnswer::default(),
        allowance,
        deadline,
        offsets: Arc::clone(&guest.offsets),
    };
    let mut store = Store::new(guest.module().engine(), context);
    store.limiter(|context| &mut context.allowance);
    store.epoch_deadline_callback(|store: StoreContextMut<'_, Context>| {
        let context = store.data();
        if context.call.as_ref().is_some_and(Call::is_cancelled) {
            let fault = Fault::Timeout(GuestBacktrace::default());
            return Err(wasmtime::Error::new(fault));
        }
        context.deadline.tick()
    });
    store.set_epoch_deadline(TICKS_BETWEEN_CHECKS);
    store
}

fn missing(name: &str, expected: &'static str) -> Fault {
    Fault::Guest(GuestFault::MissingExport {
        name: name.to_owned(),
        expected,
    })
}

/// How a guest's run ended other than well. The instance must not be used again.
enum Ended {
    Failed(wasmtime::Error),
    Panicked(Box<dyn Any + Send>),
}

impl Ended {
    fn fault(self, store: &Store<Context>) -> Fault {
        match self {
            Self::Failed(error) => Fault::of(error, &store.data().offsets),
            Self::Panicked(payload) => Fault::panic(payload.as_ref()),
        }
    }
}

/// Runs a guest: traps and panics of host functions come back as values.
async fn guarded<T>(run: impl Future<Output = wasmtime::Result<T>>) -> Result<T, Ended> {
    let mut run = pin!(run);
    std::future::poll_fn(
        |task| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Ended::Failed)),
            Err(payload) => Poll::Ready(Err(Ended::Panicked(payload))),
        },
    )
    .await
}

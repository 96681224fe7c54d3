//! One instance of a guest: made, called, and thrown away after a fault.
//!
//! Guests always run on a fibre, whose stack has the size that their limit needs, whatever
//! stack the caller's thread has.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use metashrew_abi::{buffer, imports};
use metashrew_store::{State, WriteSet, wait};
use wasmtime::{Memory, Store, StoreContextMut, TypedFunc};

use crate::context::{Buffers, Call, Context};
use crate::deadline::{Deadline, TICKS_BETWEEN_CHECKS};
use crate::error::{GuestBacktrace, GuestFault};
use crate::fault::Fault;
use crate::guest::{ERROR, Hooks, Linked, View};
use crate::host;
use crate::limits::Allowance;
use crate::memory::bad_pointer;
use crate::optional::KeptAnswer;
use crate::prepared::START_TYPE;
use crate::reply::Reply;
use crate::run::{call, exported, guarded};
use crate::view::{Account, Meter};

const VIEW_TYPE: &str = "a function `() -> i32`";

/// A view's typed function.
type ViewFunction = TypedFunc<(), i32>;

/// What a guest is told that begins: a block, or a view.
#[derive(Clone, Copy)]
enum Begins {
    Block = 0,
    View = 1,
}

/// A guest's instance, idle or running one call.
pub(crate) struct Instance {
    store: Store<Context>,
    exports: wasmtime::Instance,
    memory: Memory,
    hooks: Hooks,
    /// Told of each call that begins.
    begin: Option<TypedFunc<i32, ()>>,
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
        Self::complete(store, instance, guest.hooks.clone(), account)
    }

    /// An instance whose imports were given to it, and which runs the call of `store`.
    pub(crate) fn complete(
        mut store: Store<Context>,
        instance: wasmtime::Instance,
        hooks: Hooks,
        account: Option<Arc<Account>>,
    ) -> Result<Self, Fault> {
        let memory = instance
            .get_memory(&mut store, imports::MEMORY)
            .ok_or_else(|| missing(imports::MEMORY, "a memory"))?;
        store.data_mut().memory = Some(memory);
        let begin = exported(&mut store, instance, hooks.begin.as_ref());
        Ok(Self {
            store,
            exports: instance,
            memory,
            hooks,
            begin,
            views: Vec::new(),
            answers: BytesMut::new(),
            meter: Meter::default(),
            _account: account,
        })
    }

    /// Tells a guest that wants to know it how many bytes its own caches may have.
    pub(crate) async fn set_cache_limit(&mut self, bytes: usize) -> Result<(), Fault> {
        let hook = self.hooks.cache_limit.as_ref();
        let Some(function) = exported::<()>(&mut self.store, self.exports, hook) else {
            return Ok(());
        };
        // The guest reads it as unsigned.
        let limit = u32::try_from(bytes).unwrap_or(u32::MAX).cast_signed();
        call(&mut self.store, &function, limit).await
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
    pub(crate) fn prepare_block(&mut self, call: Call, deadline: Deadline) {
        self.prepare(call, deadline);
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
        self.run_start().await?;
        self.take_writes()
    }

    async fn run_start(&mut self) -> Result<(), Fault> {
        let start = self.start_function()?;
        self.begin(Begins::Block).await?;
        call(&mut self.store, &start, ()).await
    }

    /// Tells a guest that wants to know it that its next call is of that kind.
    async fn begin(&mut self, kind: Begins) -> Result<(), Fault> {
        match &self.begin {
            Some(begin) => call(&mut self.store, begin, kind as i32).await,
            None => Ok(()),
        }
    }

    /// Runs `_start` for what it reads, and tells how much that was.
    pub(crate) fn scout(mut self) -> (Result<(), Fault>, u64) {
        let result = wait(self.run_start());
        let call = &self.store.data().call;
        (result, call.as_ref().map_or(0, Call::scouted_reads))
    }

    /// Runs a view, and returns its answer of at most `max_output` bytes, or its error.
    pub(crate) fn view(&mut self, view: View<'_>, max_output: usize) -> Result<Reply, Fault> {
        wait(self.view_async(view, max_output))
    }

    /// As [`Instance::view`], giving way where the call's deadline says so.
    pub(crate) async fn view_async(
        &mut self,
        view: View<'_>,
        max_output: usize,
    ) -> Result<Reply, Fault> {
        self.find_view(view)?;
        // It tells what the guest is, and is no call of a caller.
        let is_meta = view.name == imports::META;
        if !is_meta {
            self.begin(Begins::View).await?;
        }
        let Some(Some(function)) = self.views.get(view.index) else {
            return Err(missing(view.name, VIEW_TYPE));
        };
        let pointer = call(&mut self.store, function, ()).await?;
        if pointer == 0
            && !is_meta
            && let Some(message) = self.error().await?
        {
            return Ok(Reply::Error(message));
        }
        self.answer(view, pointer, max_output).map(Reply::Answer)
    }

    /// The text of the error with which the view has ended, if the guest has one.
    async fn error(&mut self) -> Result<Option<String>, Fault> {
        let hook = self.hooks.error.as_ref();
        let Some(function) = exported::<i32>(&mut self.store, self.exports, hook) else {
            return Ok(None);
        };
        let pointer = call(&mut self.store, &function, 0).await?.cast_unsigned();
        if pointer == 0 {
            return Ok(None);
        }
        let text = buffer::at(self.memory.data(&self.store), pointer);
        let text = text.ok_or_else(|| bad_pointer(ERROR, pointer))?;
        Ok(Some(host::text(text).into_owned()))
    }

    /// Calls an export `(i32) -> i32` that describes a part of the guest, and returns its answer
    /// of at most `max_output` bytes.
    pub(crate) fn piece(&mut self, name: &str, max_output: usize) -> Result<Bytes, Fault> {
        let function = self
            .exports
            .get_typed_func::<i32, i32>(&mut self.store, name)
            .map_err(|_| missing(name, "a function `(i32) -> i32`"))?;
        let pointer = wait(call(&mut self.store, &function, 0))?;
        self.answer(View { name, index: 0 }, pointer, max_output)
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

    /// Makes sure that the view's function is among those at hand.
    fn find_view(&mut self, view: View<'_>) -> Result<(), Fault> {
        if let Some(Some(_)) = self.views.get(view.index) {
            return Ok(());
        }
        let function: ViewFunction = self
            .exports
            .get_typed_func(&mut self.store, view.name)
            .map_err(|_| missing(view.name, VIEW_TYPE))?;
        if self.views.len() <= view.index {
            self.views.resize_with(view.index + 1, || None);
        }
        if let Some(slot) = self.views.get_mut(view.index) {
            *slot = Some(function);
        }
        Ok(())
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

/// A store for one instance of `guest`, about to run `call`.
pub(crate) fn new_store(
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

//! Runs views: on instances that persist, on fresh ones when those are off, and
//! on top of blocks that are only tried (previews).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use metashrew_store::{BlockRecord, Height, Snapshot, State};

use tokio::sync::SemaphorePermit;

use super::admission::Admission;
use super::pool::{MAX_IDLE, Pin, Pool};
use super::stats::{Counters, ViewStats};
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::ViewError;
use crate::fault::Fault;
use crate::guest::{Guest, View};
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::options::{Scope, ViewOptions};

/// Instances that may exist at a time: idle ones, busy ones, and those on their
/// way from one to the other.
pub(crate) fn engine_slots(options: &ViewOptions) -> u32 {
    let instances = options.instances.get().saturating_mul(2);
    u32::try_from(instances.saturating_add(MAX_IDLE)).unwrap_or(u32::MAX)
}

/// All that views need. Shared by every caller; holds no call's context.
pub(crate) struct ViewEngine {
    guest: Arc<Guest>,
    options: ViewOptions,
    admission: Admission,
    pool: Arc<Pool>,
    enabled: AtomicBool,
    /// The newest chain generation that a call has seen.
    generation: AtomicU64,
    counters: Counters,
}

/// One question to a view: it belongs to its caller.
pub(crate) struct Question<'a> {
    pub(crate) view: View<'a>,
    pub(crate) input: &'a [u8],
    pub(crate) snapshot: Snapshot,
    pub(crate) block: BlockRecord,
}

impl Question<'_> {
    fn call(&self) -> Call {
        let height = self.block.height;
        let input = Bytes::copy_from_slice(self.input);
        Call::view(self.snapshot.at(height), height, input)
    }
}

impl ViewEngine {
    /// An engine with stateful views off; [`ViewEngine::enable`] turns them on.
    pub(crate) fn new(guest: Arc<Guest>, options: ViewOptions) -> Self {
        Self {
            guest,
            admission: Admission::new(options.instances.get(), options.queue),
            pool: Arc::new(Pool::new(options.memory_budget)),
            options,
            enabled: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Makes calls run on persistent instances from now on, if one can be made.
    pub(crate) fn enable(&self, state: State) -> Result<(), ViewError> {
        let call = Call::view(state, 0, Bytes::new());
        Instance::create(
            &self.guest.viewing,
            call,
            self.persistent_allowance(),
            self.deadline(false),
        )
        .map_err(|fault| self.error(fault))?;
        self.enabled.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes calls run on fresh instances from now on. Calls under way end as
    /// they would have.
    pub(crate) fn disable(&self) {
        self.enabled.store(false, Ordering::Release);
        self.pool.clear();
    }

    pub(crate) fn stats(&self) -> ViewStats {
        ViewStats {
            answered: self.counters.answered.get(),
            failed: self.counters.failed.get(),
            reused: self.counters.reused.get(),
            created: self.counters.created.get(),
            dropped_faulty: self.counters.dropped_faulty.get(),
            dropped_large: self.counters.dropped_large.get(),
            dropped_reorg: self.counters.dropped_reorg.get(),
            idle: self.pool.idle(),
            busy: self.admission.busy(),
            waiting: self.admission.waiting(),
            memory: self.pool.used(),
        }
    }

    /// Answers on the caller's thread, which waits.
    pub(crate) fn ask_sync(&self, question: &Question<'_>) -> Result<Bytes, ViewError> {
        let _place = pollster::block_on(self.admit(question.input))?;
        let mut lease = self.lease(question);
        let instance = match lease.reused(question, self.deadline(false)) {
            Some(instance) => instance,
            None => lease.fresh(Instance::create(
                &self.guest.viewing,
                question.call(),
                lease.allowance(),
                self.deadline(false),
            ))?,
        };
        let answer = instance.view(question.view, self.options.max_output);
        lease.end(answer)
    }

    /// Answers on the caller's task, which gives way to others at every epoch
    /// tick. Dropping the future ends the call at its next tick.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Bytes, ViewError> {
        let _place = self.admit(question.input).await?;
        let mut lease = self.lease(question);
        let instance = if let Some(instance) = lease.reused(question, self.deadline(true)) {
            instance
        } else {
            let made = Instance::create_async(
                &self.guest.viewing,
                question.call(),
                lease.allowance(),
                self.deadline(true),
            );
            let made = made.await;
            lease.fresh(made)?
        };
        let answer = instance
            .view_async(question.view, self.options.max_output)
            .await;
        lease.end(answer)
    }

    /// Runs `block` on top of the question's block, then the view on that, both
    /// on instances of their own; nothing is kept.
    pub(crate) async fn preview(
        &self,
        question: &Question<'_>,
        block: &[u8],
    ) -> Result<Bytes, ViewError> {
        let _place = self.admit(question.input).await?;
        let base = question.snapshot.at(question.block.height);
        let height = question.block.height.saturating_add(1);
        let answer = self
            .preview_on(base, height, block, question.view, question.input)
            .await
            .map_err(|fault| self.error(fault));
        self.count(&answer);
        answer
    }

    async fn preview_on(
        &self,
        base: State,
        height: Height,
        block: &[u8],
        view: View<'_>,
        input: &[u8],
    ) -> Result<Bytes, Fault> {
        let indexing = Call::index(base.clone(), height, Bytes::copy_from_slice(block));
        let writes = self.single_use(indexing).await?.start_async().await?;
        let state = base.with_block(height, Arc::new(writes));
        let viewing = Call::view(state, height, Bytes::copy_from_slice(input));
        let mut instance = self.single_use(viewing).await?;
        instance.view_async(view, self.options.max_output).await
    }

    async fn single_use(&self, call: Call) -> Result<Instance, Fault> {
        Instance::create_async(
            &self.guest.viewing,
            call,
            Allowance::up_to(self.options.max_instance_memory),
            self.deadline(true),
        )
        .await
    }

    async fn admit(&self, input: &[u8]) -> Result<SemaphorePermit<'_>, ViewError> {
        let limit = self.options.max_input;
        let admitted = if input.len() > limit {
            Err(ViewError::InputTooLong {
                length: input.len(),
                limit,
            })
        } else {
            self.admission.enter().await
        };
        if admitted.is_err() {
            self.counters.failed.add(1);
        }
        admitted
    }

    fn lease(&self, question: &Question<'_>) -> Lease<'_> {
        let generation = question.snapshot.generation();
        if self.generation.fetch_max(generation, Ordering::AcqRel) < generation {
            let dropped = self.pool.retain_generation(generation);
            self.counters.dropped_reorg.add(dropped);
        }
        let shared = match self.options.scope {
            Scope::Auto => self.guest.height_partitioned,
            Scope::Block => false,
            Scope::Shared => true,
        };
        let pin = if shared {
            Pin::Generation(generation)
        } else {
            Pin::Block {
                generation,
                height: question.block.height,
                hash: question.block.hash,
            }
        };
        Lease {
            engine: self,
            pin: self.is_enabled().then_some(pin),
            instance: None,
        }
    }

    fn persistent_allowance(&self) -> Allowance {
        Allowance::within(self.options.max_instance_memory, &self.pool)
    }

    fn deadline(&self, yields: bool) -> Deadline {
        Deadline::after(self.options.timeout, yields)
    }

    fn count(&self, answer: &Result<Bytes, ViewError>) {
        match answer {
            Ok(_) => self.counters.answered.add(1),
            Err(_) => self.counters.failed.add(1),
        }
    }

    fn error(&self, fault: Fault) -> ViewError {
        match fault {
            Fault::Guest(fault) => fault.into(),
            Fault::Host(fault) => fault.into(),
            Fault::Timeout(backtrace) => ViewError::Timeout {
                limit: self.options.timeout,
                backtrace,
            },
            Fault::Memory {
                wanted,
                limit,
                backtrace,
            } => ViewError::MemoryLimit {
                wanted,
                limit,
                backtrace,
            },
            Fault::Output { length, limit } => ViewError::OutputTooLong { length, limit },
        }
    }
}

/// One call's hold on an instance. Unless the call ends well, dropping the lease
/// drops the instance: after a fault, a panic, or when the caller has gone.
struct Lease<'a> {
    engine: &'a ViewEngine,
    /// Where the instance goes after the call; none if it isn't kept.
    pin: Option<Pin>,
    instance: Option<Instance>,
}

impl Lease<'_> {
    /// An idle instance that may answer `question`, made ready for it.
    fn reused(&mut self, question: &Question<'_>, deadline: Deadline) -> Option<&mut Instance> {
        let mut instance = self.engine.pool.check_out(self.pin?)?;
        instance.prepare(question.call(), deadline);
        self.engine.counters.reused.add(1);
        tracing::debug!(view = question.view.name, "view runs in stateful mode");
        Some(self.instance.insert(instance))
    }

    /// Holds the instance that was made for the call.
    fn fresh(&mut self, made: Result<Instance, Fault>) -> Result<&mut Instance, ViewError> {
        let instance = made.map_err(|fault| {
            self.engine.counters.failed.add(1);
            self.engine.error(fault)
        })?;
        self.engine.counters.created.add(1);
        if self.pin.is_some() {
            tracing::debug!("view runs in stateful mode, on a new instance");
        } else {
            tracing::debug!("view runs on a fresh instance");
        }
        Ok(self.instance.insert(instance))
    }

    /// What the instance made for this call may take.
    fn allowance(&self) -> Allowance {
        match self.pin {
            Some(_) => self.engine.persistent_allowance(),
            None => Allowance::up_to(self.engine.options.max_instance_memory),
        }
    }

    /// Ends the call; after an answer the instance goes back to the idle ones.
    fn end(mut self, answer: Result<Bytes, Fault>) -> Result<Bytes, ViewError> {
        let engine = self.engine;
        let answer = answer.map_err(|fault| engine.error(fault));
        engine.count(&answer);
        let keep = matches!(answer, Ok(_) | Err(ViewError::OutputTooLong { .. }));
        if keep && let Some(instance) = self.instance.take() {
            self.keep(instance);
        }
        answer
    }

    fn keep(&self, mut instance: Instance) {
        let engine = self.engine;
        let Some(pin) = self.pin else { return };
        let share = engine.options.memory_budget / engine.options.instances.get();
        if instance.memory_bytes() > share {
            engine.counters.dropped_large.add(1);
            return;
        }
        instance.finish();
        drop(engine.pool.check_in(instance, pin));
        // Whoever turned views off, or saw a newer chain, did so before or after
        // the line above: here or there the instance is let go.
        if !engine.is_enabled() {
            engine.pool.clear();
        }
        let newest = engine.generation.load(Ordering::Acquire);
        if !pin.is_of(newest) {
            let dropped = engine.pool.retain_generation(newest);
            engine.counters.dropped_reorg.add(dropped);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.instance.is_some() {
            self.engine.counters.dropped_faulty.add(1);
        }
    }
}

//! What the host functions act on: the one call that an instance is running.
//!
//! It lives in the instance's wasmtime store and belongs to that call alone, so
//! no caller can see another's input, height or snapshot. An idle instance has
//! no call.

mod many;

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use metashrew_abi::flush::Flush;
use metashrew_store::{
    Direction, HashedKey, MAX_KEY_LEN, MemoPlace, State, StateScan, Version, WriteSet,
};
use wasmtime::Memory;

use crate::deadline::Deadline;
use crate::error::GuestBacktrace;
use crate::fault::Fault;
use crate::host::running;
use crate::instance::SMALL;
use crate::limits::Allowance;
use crate::logs::RunLog;
use crate::observe::{Event, Watch};
use crate::optional::KeptAnswer;
use crate::read_time::{CallReads, ReadTime};
use crate::scout::{READS_PER_STATE, ScoutControl};
use crate::stack::Offsets;

pub(crate) use many::{GroupSize, HeldReads};

/// The data of an instance's wasmtime store.
pub(crate) struct Context {
    /// The exported memory, once the instance is complete.
    pub(crate) memory: Option<Memory>,
    /// The call being run.
    pub(crate) call: Option<Call>,
    pub(crate) buffers: Buffers,
    /// What the call read at once and has not loaded.
    pub(crate) answer: KeptAnswer,
    pub(crate) allowance: Allowance,
    pub(crate) deadline: Deadline,
    /// Where the guest's own code is in what runs.
    pub(crate) offsets: Arc<Offsets>,
}

impl Context {
    /// What the call under way reads at `key`. Where the answer is pending, the call's time
    /// goes on.
    pub(crate) async fn read(&mut self, key: &[u8]) -> Result<&[u8], Fault> {
        let call = running(&mut self.call)?;
        if self.deadline.has_alarms() {
            let find = Box::pin(call.find(key, &mut self.buffers));
            self.deadline.bound(find).await??;
        } else {
            call.find(key, &mut self.buffers).await?;
        }
        self.allowance.hold(call.held_bytes())?;
        Ok(call.found())
    }
}

/// Buffers that a view's calls use one after the other, so that a call allocates
/// nothing for them. Each call writes them before it reads them.
#[derive(Default)]
pub(crate) struct Buffers {
    /// The call's input.
    input: Vec<u8>,
    /// The key of the last read.
    last_key: Vec<u8>,
}

/// Bytes that an idle instance's buffer may hold on to.
const MAX_KEPT_BUFFER: usize = SMALL;

impl Buffers {
    pub(crate) fn set_input(&mut self, input: &[u8]) {
        self.input.clear();
        self.input.extend_from_slice(input);
    }

    /// Forgets what a call left.
    pub(crate) fn clear(&mut self) {
        for buffer in [&mut self.input, &mut self.last_key] {
            buffer.clear();
            buffer.shrink_to(MAX_KEPT_BUFFER);
        }
    }
}

/// One call: what it was asked, and what it reads and writes.
pub(crate) struct Call {
    height: u32,
    state: State,
    /// What was read last (the buffers have its key): a guest asks for a value's length
    /// and then for the value.
    last: Last,
    role: Role,
    watch: Watch,
    /// Whether it is to end, where it can be interrupted.
    stop: Option<Stop>,
}

/// A value that was read: the last one, or one of many.
pub(crate) enum Last {
    None,
    /// In the block's write set.
    Remembered(MemoPlace),
    /// Empty if the key is absent.
    Value(Bytes),
}

/// Whether a check, or a block, is to end.
pub(crate) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

enum Role {
    /// Runs `_start`: collects what is flushed, and remembers what was read, so
    /// that the commit need not read it again.
    Index {
        block: Bytes,
        writes: WriteSet,
        flushed: bool,
        /// Whether what is read is remembered, for the commit.
        remembers: bool,
        /// The time of its reads, if that is wanted.
        timed: Option<Box<CallReads>>,
        /// Where what it logs is kept, if it is.
        log: Option<Box<RunLog>>,
    },
    /// Runs a view on the input in the buffers: flushes nothing.
    View,
    /// The same, once more, to compare the answers.
    Check,
    /// Runs `_start` for what it reads: there is no place for what it writes.
    Scout {
        block: Bytes,
        reads: u64,
        control: Arc<dyn ScoutControl>,
    },
}

impl Call {
    /// A run of `_start` over `block` at `height` on top of `state`.
    pub(crate) fn index(state: State, height: u32, block: Bytes) -> Self {
        Self {
            height,
            state,
            last: Last::None,
            role: Role::Index {
                block,
                writes: WriteSet::default(),
                flushed: false,
                remembers: true,
                timed: None,
                log: None,
            },
            watch: Watch::default(),
            stop: None,
        }
    }

    /// A run of `_start` over a block that is not going to be committed.
    pub(crate) fn overlay(state: State, height: u32, block: Bytes) -> Self {
        let mut call = Self::index(state, height, block);
        if let Role::Index { remembers, .. } = &mut call.role {
            *remembers = false;
        }
        call
    }

    /// The same call; the time that its reads took is added there when it is over.
    pub(crate) fn timed(mut self, reads: &Arc<ReadTime>) -> Self {
        if let Role::Index { timed, .. } = &mut self.role {
            *timed = Some(Box::new(CallReads::of(reads)));
        }
        self
    }

    /// The same call, until it is to stop. It has to run on code that can be interrupted.
    pub(crate) fn until(self, stop: Option<Stop>) -> Self {
        Self { stop, ..self }
    }

    /// The same call; what it logs is kept there.
    pub(crate) fn logged(mut self, to: Option<RunLog>) -> Self {
        if let Role::Index { log, .. } = &mut self.role {
            *log = to.map(Box::new);
        }
        self
    }

    /// A view of `state` at `height`.
    pub(crate) fn view(state: State, height: u32) -> Self {
        Self {
            height,
            state,
            last: Last::None,
            role: Role::View,
            watch: Watch::default(),
            stop: None,
        }
    }

    /// The same, of which only the answer counts, until it is to `stop`.
    pub(crate) fn check(state: State, height: u32, stop: Option<Stop>) -> Self {
        Self {
            role: Role::Check,
            stop,
            ..Self::view(state, height)
        }
    }

    /// A run of `_start` over `block` at `height` on the state as it is, of which nothing
    /// is kept, until `control` has it end.
    pub(crate) fn scout(height: u32, block: Bytes, control: Arc<dyn ScoutControl>) -> Self {
        Self {
            height,
            state: control.state(),
            last: Last::None,
            role: Role::Scout {
                block,
                reads: 0,
                control,
            },
            watch: Watch::default(),
            stop: None,
        }
    }

    /// The same call, watched.
    pub(crate) fn watched(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Who watches it.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Whether somebody wants the call to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        match &self.role {
            Role::Scout { control, .. } => control.is_cancelled(),
            Role::Index { .. } | Role::View | Role::Check => {
                self.stop.as_ref().is_some_and(|stop| stop())
            }
        }
    }

    /// Whether what the guest logs is to be told.
    pub(crate) fn logs(&self) -> bool {
        !matches!(self.role, Role::Scout { .. } | Role::Check)
    }

    /// Where what the guest logs is kept, if it is.
    pub(crate) fn run_log(&self) -> Option<&RunLog> {
        match &self.role {
            Role::Index { log, .. } => log.as_deref(),
            Role::View | Role::Check | Role::Scout { .. } => None,
        }
    }

    /// How many values a scout has read.
    pub(crate) fn scouted_reads(&self) -> u64 {
        match self.role {
            Role::Scout { reads, .. } => reads,
            Role::Index { .. } | Role::View | Role::Check => 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state.clone()
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }

    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    /// The block, or the view's input.
    pub(crate) fn payload<'a>(&'a self, buffers: &'a Buffers) -> &'a [u8] {
        match &self.role {
            Role::Index { block, .. } | Role::Scout { block, .. } => block,
            Role::View | Role::Check => &buffers.input,
        }
    }

    /// Makes sure that the value of `key` is the one [`found`](Self::found).
    async fn find(&mut self, key: &[u8], buffers: &mut Buffers) -> Result<(), Fault> {
        if key.len() > MAX_KEY_LEN {
            // It cannot have been written. A guest can name one of 4 GiB: it is not copied.
            self.last = Last::None;
            return self.watch.tell(Event::Read { key, value: &[] });
        }
        if matches!(self.last, Last::None) || buffers.last_key != key {
            self.last = Last::None;
            let found = self.look_up(HashedKey::new(key)).await?;
            buffers.last_key.clear();
            buffers.last_key.extend_from_slice(key);
            self.last = found;
            let value = self.found();
            self.watch.tell(Event::Read { key, value })?;
        }
        Ok(())
    }

    /// The value that was found last; an absent key and an empty value are the same to
    /// a guest.
    fn found(&self) -> &[u8] {
        self.kept(&self.last)
    }

    fn kept<'a>(&'a self, value: &'a Last) -> &'a [u8] {
        match (value, &self.role) {
            (Last::Value(value), _) => value,
            (Last::Remembered(place), Role::Index { writes, .. }) => {
                writes.remembered_value(*place)
            }
            (Last::Remembered(_) | Last::None, _) => &[],
        }
    }

    /// The memory that what it wrote and read takes in the host, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.role {
            Role::Index { writes, .. } => writes.bytes(),
            Role::View | Role::Check | Role::Scout { .. } => 0,
        }
    }

    /// A walk over the keys from `start` to `end`.
    pub(crate) fn scan(
        &mut self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
    ) -> StateScan {
        if let Role::Scout { control, .. } = &self.role {
            self.state = control.state();
        }
        self.state.scan(start, end, direction)
    }

    /// Notes a key that was found in a walk, with its value if the guest gets that.
    pub(crate) fn note_found(
        &mut self,
        key: &[u8],
        version: &Version,
        with_value: bool,
    ) -> Result<(), Fault> {
        let value = &version.value;
        self.watch.tell(Event::Found { key, value })?;
        match &mut self.role {
            Role::Index {
                writes, remembers, ..
            } => {
                let key = HashedKey::new(key);
                if with_value && *remembers && writes.find_remembered(key).is_none() {
                    writes.remember(key, Some(version));
                }
            }
            Role::Scout { reads, .. } => *reads += 1,
            Role::View | Role::Check => {}
        }
        Ok(())
    }

    /// Where the time of a block's reads is counted, if it is.
    pub(crate) fn timed_reads(&mut self) -> Option<&mut CallReads> {
        match &mut self.role {
            Role::Index { timed, .. } => timed.as_deref_mut(),
            Role::View | Role::Check | Role::Scout { .. } => None,
        }
    }

    async fn look_up(&mut self, key: HashedKey<'_>) -> Result<Last, Fault> {
        match &mut self.role {
            Role::Index {
                writes,
                timed,
                remembers,
                ..
            } => {
                if let Some(place) = writes.find_remembered(key) {
                    return Ok(Last::Remembered(place));
                }
                let read = self.state.read(key);
                let newest = match timed {
                    Some(reads) => reads.time(read).await,
                    None => read.await,
                }?;
                let place = remembers.then(|| writes.remember(key, newest.as_ref()));
                return Ok(match place.flatten() {
                    Some(place) => Last::Remembered(place),
                    None => Last::Value(value_of(newest)),
                });
            }
            Role::View | Role::Check => {}
            Role::Scout { reads, control, .. } => {
                if control.is_cancelled() {
                    return Err(Fault::Timeout(GuestBacktrace::default()));
                }
                *reads += 1;
                if reads.is_multiple_of(READS_PER_STATE) {
                    self.state = control.state();
                }
            }
        }
        Ok(Last::Value(value_of(self.state.read(key).await?)))
    }

    /// Whether flushes count: a view's are ignored.
    pub(crate) fn collects_writes(&self) -> bool {
        matches!(self.role, Role::Index { .. })
    }

    /// Adds a flush to the block's writes.
    pub(crate) fn write(&mut self, flush: Flush<'_>) -> Result<(), Fault> {
        if let Role::Index {
            writes, flushed, ..
        } = &mut self.role
        {
            writes.reserve(flush.len(), flush.bytes());
            for (key, value) in flush.pairs() {
                self.watch.tell(Event::Write { key, value })?;
                writes
                    .insert(key, value)
                    .map_err(|error| Fault::Guest(error.into()))?;
            }
            *flushed = true;
        }
        Ok(())
    }

    /// What the block writes, whose run is over; `None` if the guest never flushed.
    pub(crate) fn into_writes(self) -> Option<WriteSet> {
        match self.role {
            Role::Index {
                writes,
                flushed: true,
                log,
                ..
            } => {
                if let Some(log) = log {
                    (*log).processed();
                }
                Some(writes)
            }
            _ => None,
        }
    }
}

fn value_of(version: Option<Version>) -> Bytes {
    version.map_or_else(Bytes::new, |version| version.value)
}

//! How much memory an instance may have, and what happens when it wants more.

use std::sync::{Arc, Weak};

use wasmtime::ResourceLimiter;

use crate::error::{GuestBacktrace, HostFault};
use crate::fault::Fault;
use crate::instance::SMALL;
use crate::scout::ScoutMemory;
use crate::view::{Account, ViewPool};

/// Elements that the tables of an instance may have together, on every host alike:
/// the pooling allocator reserves room for so many a table.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Bytes that an element of a table takes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Bytes that the tables of an instance take at most.
pub(crate) const MAX_TABLE_BYTES: usize = MAX_TABLE_ELEMENTS * TABLE_ELEMENT;

/// What one instance may take: its memory, its tables, and what the host holds for it.
///
/// A guest only ever sees `memory.grow` fail at its own declared maximum or at
/// 4 GiB. Every other refusal ends the call.
pub(crate) struct Allowance {
    limit: usize,
    source: Source,
    used: usize,
    /// Of these, what the host holds of the call's writes and reads.
    held: usize,
    /// Of these, what the host holds of the call's input and answer.
    held_for_call: usize,
    /// Of these, what the host holds for what the call read at once.
    held_for_reads: usize,
    /// When the call came, for which it grows.
    age: u64,
    /// Elements that all tables have.
    table_elements: usize,
    /// Whether the growth under way is within the guest's own maximum.
    legal: bool,
    /// Whether a growth that the guest would be refused ends the call instead: a fresh
    /// instance, which has less, may have it.
    ends_when_refused: bool,
}

/// What an instance's bytes are taken from.
enum Source {
    Unlimited,
    Views {
        pool: Weak<ViewPool>,
        /// What was taken from the pool's budget already.
        account: Arc<Account>,
    },
    Scouts(Arc<ScoutMemory>),
}

impl Source {
    /// Takes `bytes` for an instance that uses `used` of at most `limit`; false if there are
    /// not as many.
    fn take(&self, used: usize, bytes: usize, limit: usize, age: u64) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Views { pool, account } => {
                let missing = used.saturating_add(bytes).saturating_sub(account.bytes());
                let grown = || {
                    pool.upgrade()
                        .map(|pool| pool.grow(account, missing, limit, age))
                };
                // Without a pool nobody counts any more.
                missing == 0 || grown().unwrap_or(true)
            }
            Self::Scouts(memory) => memory.take(bytes),
        }
    }
}

impl Allowance {
    /// As much as the guest's own maximum: for indexing.
    pub(crate) fn unlimited() -> Self {
        Self::up_to(usize::MAX)
    }

    /// At most `limit` bytes.
    pub(crate) fn up_to(limit: usize) -> Self {
        Self {
            limit,
            source: Source::Unlimited,
            used: 0,
            held: 0,
            held_for_call: 0,
            held_for_reads: 0,
            age: 0,
            table_elements: 0,
            legal: false,
            ends_when_refused: false,
        }
    }

    /// At most `limit` bytes, each taken from the budget of `pool` unless `account` has it
    /// already. `used` of them are in use.
    pub(crate) fn within(
        limit: usize,
        pool: &Arc<ViewPool>,
        account: &Arc<Account>,
        used: usize,
    ) -> Self {
        Self {
            source: Source::Views {
                pool: Arc::downgrade(pool),
                account: Arc::clone(account),
            },
            used,
            ..Self::up_to(limit)
        }
    }

    /// What is left of the scouts' memory.
    pub(crate) fn of_scout(memory: Arc<ScoutMemory>) -> Self {
        Self {
            source: Source::Scouts(memory),
            ..Self::unlimited()
        }
    }

    /// Bytes that the instance has.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The account that its bytes are taken from, which is to be dropped after the memory.
    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        match &self.source {
            Source::Views { account, .. } => Some(Arc::clone(account)),
            Source::Unlimited | Source::Scouts(_) => None,
        }
    }

    /// From now on it grows for a call that came at `age`.
    pub(crate) fn set_age(&mut self, age: u64) {
        self.age = age;
    }

    /// Counts what the host holds of a call's writes and reads, now `bytes`, like the
    /// guest's memory. Not for indexing, which has limits of its own: those must be the
    /// same on every machine.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.held && self.limit < usize::MAX {
            self.take(bytes - self.held)?;
            self.held = bytes;
        }
        Ok(())
    }

    /// Counts `bytes` more that the host holds until the call ends.
    pub(crate) fn hold_for_call(&mut self, bytes: usize) -> Result<(), Fault> {
        self.take(bytes)?;
        self.held_for_call += bytes;
        Ok(())
    }

    /// Counts what the host holds of what the call reads at once, now `bytes`: the buffer of
    /// the answer, and what is about to go into it. Not for indexing, as in
    /// [`hold`](Self::hold).
    pub(crate) fn hold_for_reads(&mut self, bytes: usize) -> Result<(), Fault> {
        let counts = self.limit < usize::MAX || !matches!(self.source, Source::Unlimited);
        if counts && bytes > self.held_for_reads && bytes > SMALL {
            self.take(bytes - self.held_for_reads)?;
            self.held_for_reads = bytes;
        }
        Ok(())
    }

    /// All of that is gone.
    pub(crate) fn release_reads(&mut self) {
        self.keep_reads(0);
    }

    /// Of that, only `bytes` are left.
    pub(crate) fn keep_reads(&mut self, bytes: usize) {
        let bytes = self.held_for_reads.saturating_sub(bytes);
        self.held_for_reads -= bytes;
        self.used -= bytes;
        if let Source::Scouts(memory) = &self.source {
            memory.give_back(bytes);
        }
    }

    /// The call is over: gives back what was held for it, and what was reserved and not
    /// used.
    pub(crate) fn end_call(&mut self) {
        self.release_reads();
        self.used -= self.held_for_call;
        self.held_for_call = 0;
        if let Source::Views { account, .. } = &self.source {
            account.trim(self.used);
        }
    }

    /// From now on a guest sees no growth fail: the call ends where one does.
    pub(crate) fn end_when_refused(&mut self) {
        self.ends_when_refused = true;
    }

    /// A growth to `wanted` is beyond `limit`: the guest sees -1, as on every host, unless
    /// that may be for what earlier calls left.
    fn refuse(&self, wanted: usize, limit: usize) -> wasmtime::Result<()> {
        if self.ends_when_refused {
            let backtrace = GuestBacktrace::default();
            return Err(wasmtime::Error::new(Fault::Memory {
                wanted,
                limit,
                backtrace,
            }));
        }
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let wanted = self.used.saturating_add(bytes);
        let backtrace = GuestBacktrace::default();
        if wanted > self.limit {
            let limit = self.limit;
            return Err(Fault::Memory {
                wanted,
                limit,
                backtrace,
            });
        }
        if !self.source.take(self.used, bytes, self.limit, self.age) {
            return Err(Fault::Starved { wanted });
        }
        self.used = wanted;
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if let Source::Scouts(memory) = &self.source {
            memory.give_back(self.used);
        }
    }
}

impl ResourceLimiter for Allowance {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.legal = maximum.is_none_or(|maximum| desired <= maximum);
        if !self.legal {
            self.refuse(desired, maximum.unwrap_or(usize::MAX))?;
            return Ok(true); // wasmtime refuses it itself
        }
        self.take(desired.saturating_sub(current))
            .map_err(wasmtime::Error::new)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.legal {
            let reason = format!("its memory could not grow: {error:#}");
            return Err(wasmtime::Error::new(Fault::Host(HostFault::Resources(
                reason,
            ))));
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let together = self.table_elements.saturating_add(grown);
        if maximum.is_some_and(|maximum| desired > maximum) || together > MAX_TABLE_ELEMENTS {
            let limit = maximum.map_or(MAX_TABLE_ELEMENTS, |it| it.min(MAX_TABLE_ELEMENTS));
            self.refuse(desired * TABLE_ELEMENT, limit * TABLE_ELEMENT)?;
            return Ok(false);
        }
        self.take(grown * TABLE_ELEMENT)
            .map_err(wasmtime::Error::new)?;
        self.table_elements = together;
        Ok(true)
    }
}

//! How much memory an instance may have, and what happens when it wants more.

use std::sync::{Arc, Weak};

use wasmtime::ResourceLimiter;

use crate::error::{GuestBacktrace, HostFault};
use crate::fault::Fault;
use crate::scout::ScoutMemory;
use crate::view::Desk;

/// Elements that the tables of an instance may have together, on every host alike:
/// the pooling allocator reserves room for so many a table.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Bytes that an element of a table takes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// What one instance may take: its memory, and its tables.
///
/// A guest only ever sees `memory.grow` fail at its own declared maximum or at
/// 4 GiB. Every other refusal ends the call.
pub(crate) struct Allowance {
    limit: usize,
    budget: Budget,
    reserved: usize,
    /// Of these, what the host holds of the call's writes and reads.
    held: usize,
    /// Elements that all tables have.
    table_elements: usize,
    /// Whether the growth under way is within the guest's own maximum.
    legal: bool,
}

/// What an instance's bytes are taken from.
enum Budget {
    Unlimited,
    Views {
        desk: Weak<Desk>,
        /// Whether the budget may be exceeded.
        overdraws: bool,
    },
    Scouts(Arc<ScoutMemory>),
}

impl Budget {
    /// Takes `bytes` for an instance that `has` some; false if there are not as many.
    fn take(&self, has: usize, bytes: usize) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Views { desk, overdraws } => desk
                .upgrade()
                .is_none_or(|desk| desk.take_memory(has, bytes, *overdraws)),
            Self::Scouts(memory) => memory.take(bytes),
        }
    }

    fn give_back(&self, bytes: usize) {
        match self {
            Self::Unlimited => {}
            Self::Views { desk, .. } => {
                if let Some(desk) = desk.upgrade() {
                    desk.give_back_memory(bytes);
                }
            }
            Self::Scouts(memory) => memory.give_back(bytes),
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
            budget: Budget::Unlimited,
            reserved: 0,
            held: 0,
            table_elements: 0,
            legal: false,
        }
    }

    /// At most `limit` bytes, each taken from the budget of `desk` for as long as the
    /// instance lives. If it `overdraws`, it gets them even if the budget is used up.
    pub(crate) fn within(limit: usize, desk: &Arc<Desk>, overdraws: bool) -> Self {
        let mut allowance = Self::up_to(limit);
        allowance.budget = Budget::Views {
            desk: Arc::downgrade(desk),
            overdraws,
        };
        allowance
    }

    /// What is left of the scouts' memory.
    pub(crate) fn of_scout(memory: Arc<ScoutMemory>) -> Self {
        let mut allowance = Self::unlimited();
        allowance.budget = Budget::Scouts(memory);
        allowance
    }

    /// Bytes that the instance has.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }
}

impl Allowance {
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

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        let wanted = self.reserved.saturating_add(bytes);
        let granted = wanted <= self.limit && self.budget.take(self.reserved, bytes);
        if !granted {
            return Err(Fault::Memory {
                wanted,
                limit: self.limit,
                backtrace: GuestBacktrace::default(),
            });
        }
        self.reserved = wanted;
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.budget.give_back(self.reserved);
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
            return Ok(true); // wasmtime refuses it itself; the guest sees -1, as on every host
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
            return Ok(false); // the guest sees -1, as on every host
        }
        self.take(grown * TABLE_ELEMENT)
            .map_err(wasmtime::Error::new)?;
        self.table_elements = together;
        Ok(true)
    }
}

//! How much memory an instance may have, and what happens when it wants more.

use std::sync::{Arc, Weak};

use wasmtime::ResourceLimiter;

use crate::error::{GuestBacktrace, HostFault};
use crate::fault::Fault;
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
    budget: Option<Weak<Desk>>,
    /// Whether the budget may be exceeded.
    overdraws: bool,
    reserved: usize,
    /// Elements that all tables have.
    table_elements: usize,
    /// Whether the growth under way is within the guest's own maximum.
    legal: bool,
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
            budget: None,
            overdraws: false,
            reserved: 0,
            table_elements: 0,
            legal: false,
        }
    }

    /// At most `limit` bytes, each taken from the budget of `desk` for as long as the
    /// instance lives. If it `overdraws`, it gets them even if the budget is used up.
    pub(crate) fn within(limit: usize, desk: &Arc<Desk>, overdraws: bool) -> Self {
        let mut allowance = Self::up_to(limit);
        allowance.budget = Some(Arc::downgrade(desk));
        allowance.overdraws = overdraws;
        allowance
    }

    /// Bytes that the instance has.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }
}

impl Allowance {
    fn take(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let wanted = self.reserved.saturating_add(bytes);
        let budget = self.budget.as_ref().and_then(Weak::upgrade);
        let granted = wanted <= self.limit
            && budget.is_none_or(|budget| budget.take_memory(self.reserved, bytes, self.overdraws));
        if !granted {
            return Err(wasmtime::Error::new(Fault::Memory {
                wanted,
                limit: self.limit,
                backtrace: GuestBacktrace::default(),
            }));
        }
        self.reserved = wanted;
        Ok(())
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.as_ref().and_then(Weak::upgrade) {
            budget.give_back_memory(self.reserved);
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
            return Ok(true); // wasmtime refuses it itself; the guest sees -1, as on every host
        }
        self.take(desired.saturating_sub(current))?;
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
        self.take(grown * TABLE_ELEMENT)?;
        self.table_elements = together;
        Ok(true)
    }
}

//! Access to a guest's memory. Every pointer a guest passes is checked here.

use metashrew_abi::{buffer, imports};
use wasmtime::{Caller, Extern, Memory};

use crate::context::Context;
use crate::error::{GuestBacktrace, GuestFault};
use crate::fault::Fault;

/// The guest's memory, for the host function `function`.
pub(crate) struct GuestMemory<'a> {
    data: &'a mut [u8],
    function: &'static str,
}

impl<'a> GuestMemory<'a> {
    /// The memory of the calling guest and the context of its call.
    pub(crate) fn of(
        caller: &'a mut Caller<'_, Context>,
        function: &'static str,
    ) -> Result<(Self, &'a mut Context), Fault> {
        let memory = match caller.data().memory {
            Some(memory) => memory,
            // A start section runs before the instance is complete.
            None => exported(caller)?,
        };
        let (data, context) = memory.data_and_store_mut(caller);
        Ok((Self { data, function }, context))
    }

    /// The buffer at `pointer`, its length being in front of it.
    pub(crate) fn buffer(&self, pointer: i32) -> Result<&[u8], Fault> {
        let pointer = pointer.cast_unsigned();
        buffer::at(self.data, pointer).ok_or_else(|| bad_pointer(self.function, pointer))
    }

    /// Writes `parts`, one behind the other, at `pointer`.
    pub(crate) fn write(&mut self, pointer: i32, parts: &[&[u8]]) -> Result<(), Fault> {
        let pointer = pointer.cast_unsigned();
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let start = usize::try_from(pointer).expect("hosts have at least 32-bit addresses");
        let mut target = start
            .checked_add(length)
            .and_then(|end| self.data.get_mut(start..end))
            .ok_or_else(|| bad_pointer(self.function, pointer))?;
        for part in parts {
            let (here, rest) = target.split_at_mut(part.len());
            here.copy_from_slice(part);
            target = rest;
        }
        Ok(())
    }
}

/// The fault of a `pointer` that `function` cannot follow.
pub(crate) fn bad_pointer(function: &str, pointer: u32) -> Fault {
    Fault::Guest(GuestFault::BadPointer {
        function: function.to_owned(),
        pointer,
        backtrace: GuestBacktrace::default(),
    })
}

fn exported(caller: &mut Caller<'_, Context>) -> Result<Memory, Fault> {
    match caller.get_export(imports::MEMORY) {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Fault::Guest(GuestFault::MissingExport {
            name: imports::MEMORY.to_owned(),
            expected: "a memory",
        })),
    }
}

//! What the host functions act on: the one call that an instance is running.
//!
//! It lives in the instance's wasmtime store and belongs to that call alone, so
//! no caller can see another's input, height or snapshot. An idle instance has
//! no call.

use bytes::Bytes;
use metashrew_store::{State, WriteSet};
use wasmtime::Memory;

use crate::deadline::Deadline;
use crate::fault::Fault;
use crate::limits::Allowance;

/// The data of an instance's wasmtime store.
pub(crate) struct Context {
    /// The exported memory, once the instance is complete.
    pub(crate) memory: Option<Memory>,
    /// The call being run.
    pub(crate) call: Option<Call>,
    pub(crate) allowance: Allowance,
    pub(crate) deadline: Deadline,
}

/// One call: what it was asked, and what it reads and writes.
pub(crate) struct Call {
    height: u32,
    payload: Bytes,
    state: State,
    role: Role,
}

enum Role {
    /// Runs `_start`: collects what is flushed, and remembers what was read, so
    /// that the commit need not read it again.
    Index { writes: WriteSet, flushed: bool },
    /// Runs a view: flushes nothing. The last read is kept, because a guest asks
    /// for a value's length and then for the value.
    View {
        last: Option<(Vec<u8>, Option<Bytes>)>,
    },
}

impl Call {
    /// A run of `_start` over `block` at `height` on top of `state`.
    pub(crate) fn index(state: State, height: u32, block: Bytes) -> Self {
        Self {
            height,
            payload: block,
            state,
            role: Role::Index {
                writes: WriteSet::default(),
                flushed: false,
            },
        }
    }

    /// A view of `state` at `height`.
    pub(crate) fn view(state: State, height: u32, input: Bytes) -> Self {
        Self {
            height,
            payload: input,
            state,
            role: Role::View { last: None },
        }
    }

    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    pub(crate) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The value of `key`; an absent key and an empty value are the same to a guest.
    pub(crate) fn read(&mut self, key: &[u8]) -> Result<Bytes, Fault> {
        match &mut self.role {
            Role::Index { writes, .. } => {
                if let Some(known) = writes.remembered(key) {
                    return Ok(value_of(known.as_ref()));
                }
                let newest = self.state.get(key)?;
                let value = value_of(newest.as_ref());
                writes.remember(Bytes::copy_from_slice(key), newest);
                Ok(value)
            }
            Role::View { last } => {
                if let Some((known, value)) = last
                    && known == key
                {
                    return Ok(value.clone().unwrap_or_default());
                }
                let value = self.state.get(key)?.map(|version| version.value);
                let (known, slot) = last.get_or_insert_with(Default::default);
                known.clear();
                known.extend_from_slice(key);
                slot.clone_from(&value);
                Ok(value.unwrap_or_default())
            }
        }
    }

    /// Whether flushes count: a view's are ignored.
    pub(crate) fn collects_writes(&self) -> bool {
        matches!(self.role, Role::Index { .. })
    }

    /// Adds a flush to the block's writes.
    pub(crate) fn write(
        &mut self,
        pairs: impl Iterator<Item = (Bytes, Bytes)>,
    ) -> Result<(), Fault> {
        if let Role::Index { writes, flushed } = &mut self.role {
            for (key, value) in pairs {
                writes
                    .insert(key, value)
                    .map_err(|error| Fault::Guest(error.into()))?;
            }
            *flushed = true;
        }
        Ok(())
    }

    /// What the block writes; `None` if the guest never flushed.
    pub(crate) fn into_writes(self) -> Option<WriteSet> {
        match self.role {
            Role::Index {
                writes,
                flushed: true,
            } => Some(writes),
            _ => None,
        }
    }
}

fn value_of(version: Option<&metashrew_store::Version>) -> Bytes {
    version.map_or_else(Bytes::new, |version| version.value.clone())
}

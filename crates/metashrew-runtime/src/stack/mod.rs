//! The stack limit of a guest: the same on every machine, because the guest counts it.
//!
//! Every function has a *cost* that follows from its code alone (`frames.rs`). Where a call may
//! be part of a recursion (`graph.rs`), the module that is compiled takes the caller's cost from
//! a global before the call, traps if that is used up, and gives it back after (`splice.rs`).
//! All else of the module stays as it is: indices, names, custom sections. Offsets are told as
//! those of the guest's own bytes (`offsets.rs`).
//!
//! What is not counted, the frames between recursions, has a bound of its own. So the native
//! stack follows from the two: a frame takes at most [`NATIVE_PER_COST`] bytes for each unit of
//! its cost.

mod frames;
mod graph;
mod offsets;
mod splice;

use std::borrow::Cow;
use std::sync::Arc;

pub(crate) use offsets::Offsets;

use crate::error::LoadError;
use frames::Frames;

/// What the counted frames of a call may cost together.
///
/// Guests that run elsewhere fit in wasmtime's default of 512 KiB of native stack, and the frames
/// of what compilers make of Rust take a tenth of their cost or more.
pub(crate) const LIMIT: u32 = 6 << 20;

/// What frames that are not counted may cost together. A module in which they may cost
/// more has every call counted.
const MAX_UNCOUNTED: u64 = 1 << 20;

/// Bytes of native stack that a frame takes at most for each unit of its cost. The worst are values
/// of 16 bytes that the compiler computes ahead and keeps across a call: see `frames.rs`.
const NATIVE_PER_COST: usize = 16;

/// Bytes of native stack that hold whatever may be counted and whatever is not.
#[expect(clippy::cast_possible_truncation, reason = "a constant below 2^32")]
pub(crate) const NATIVE: usize = NATIVE_PER_COST * (LIMIT as usize + MAX_UNCOUNTED as usize);

/// A module that counts its stack.
pub(crate) struct Counted<'a> {
    pub(crate) wasm: Cow<'a, [u8]>,
    pub(crate) offsets: Arc<Offsets>,
}

/// The module `wasm`, made to count its stack.
///
/// # Errors
/// If it is not valid, or one of its functions alone takes more than may go uncounted.
pub(crate) fn count(wasm: &[u8]) -> Result<Counted<'_>, LoadError> {
    let frames = Frames::of(wasm).map_err(|error| LoadError::Invalid(error.to_string()))?;
    let largest = frames.functions.iter().map(|function| function.cost).max();
    if largest.is_some_and(|cost| cost > MAX_UNCOUNTED) {
        return Err(LoadError::Invalid(format!(
            "one of its functions takes more stack than {MAX_UNCOUNTED}, which is the limit"
        )));
    }
    let calls = graph::counted_calls(&frames, MAX_UNCOUNTED);
    if calls.is_empty() {
        return Ok(Counted {
            wasm: Cow::Borrowed(wasm),
            offsets: Arc::default(),
        });
    }
    let (wasm, offsets) = splice::splice(wasm, frames.globals, &calls)
        .map_err(|error| LoadError::Invalid(error.to_string()))?;
    Ok(Counted {
        wasm: Cow::Owned(wasm),
        offsets: Arc::new(offsets),
    })
}

#[cfg(test)]
mod tests;

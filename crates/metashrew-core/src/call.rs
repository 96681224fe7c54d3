//! Where a call begins: the host says so, or the SDK's macros do, or an input that is
//! not the last one's shows it. Nothing that a call left is there in the next.

use crate::{buffers, cache, call_local, host, initialize};
use foldhash::fast::FixedState;
use std::cell::Cell;
use std::hash::BuildHasher;
use std::thread;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `_start`.
    Index,
    /// A view.
    View,
}

thread_local! {
    static ANNOUNCED: Cell<bool> = const { Cell::new(false) };
}

/// The host's word that a call begins: of kind 0 a block, of kind 1 a view. See
/// `docs/abi.md`.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "__metashrew_begin"))]
#[allow(unsafe_code, reason = "the host calls it by its symbol")]
pub extern "C" fn __metashrew_begin(kind: i32) {
    let kind = match kind {
        0 => Some(Kind::Index),
        1 => Some(Kind::View),
        _ => None,
    };
    begin(kind, true);
    ANNOUNCED.set(true);
}

/// Whether the host said that the call under way began.
pub(crate) fn announced() -> bool {
    ANNOUNCED.get()
}

/// Begins a call, with nothing of the one before. `bounded`: the next one will not go
/// unnoticed.
pub(crate) fn begin(kind: Option<Kind>, bounded: bool) {
    // First, since destructors are the guest's: what they write is of the last call.
    call_local::drop_all();
    buffers::forget_answers();
    cache::begin(kind, bounded);
}

/// The guest looks at its input, from which it may show that another call began.
pub(crate) fn look_at(input: &[u8]) {
    let input = Input::of(input);
    if cache::is_another(input) {
        begin(None, false);
    }
    cache::enter(input);
}

/// Nothing that follows belongs to the call under way.
#[cfg(any(feature = "test-utils", not(target_arch = "wasm32")))]
pub(crate) fn end() {
    ANNOUNCED.set(false);
    cache::end();
}

/// What tells one call's input from another's.
///
/// An input never changes during a call, so a different one is another call's. The
/// same may be either: two calls can have equal inputs, and only the beginning of a
/// long one is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    /// Of the state that the call sees; a host gives every call one.
    pub(crate) height: Option<u32>,
    length: usize,
    hash: u64,
}

impl Input {
    /// A block's header is within, and most views' whole input.
    const LOOKED_AT: usize = 4096;

    fn of(input: &[u8]) -> Self {
        let beginning = input.get(..Self::LOOKED_AT).unwrap_or(input);
        Self {
            height: input.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)),
            length: input.len(),
            hash: FixedState::default().hash_one(beginning),
        }
    }
}

/// A call whose export the SDK made; dropping it ends the call.
pub(crate) struct Call(());

impl Call {
    /// Begins a call, unless the host said so already: the call, and its input.
    pub(crate) fn begin(kind: Kind) -> (Self, Vec<u8>) {
        initialize();
        let bytes = host::load_input();
        let input = Input::of(&bytes);
        if !announced() || cache::is_another(input) {
            begin(Some(kind), true);
        }
        cache::enter(input);
        (Self(()), bytes)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if thread::panicking() {
            cache::distrust();
        }
        cache::end();
    }
}

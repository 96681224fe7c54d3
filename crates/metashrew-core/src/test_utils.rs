//! Runs a guest natively, over a host in this thread's memory.
//!
//! The host keeps every version of every value by height, as the real one does:
//! [`index_block`] sees the state before its block, [`view`] the state after the
//! height it names, and what a view sets stays where it is. Each thread has a
//! host of its own, and so has each test.
//!
//! The guest's memory persists from call to call, as in stateful views;
//! [`restart`] gives it a fresh start, as the real host does for every block. A call
//! that panics loses it, as a trapped instance is dropped; a block that panics leaves
//! nothing in the state either.
//!
//! The crate `metashrew-test` makes chains of blocks, follows their reorgs over this
//! host, and runs the same tests on the built module.

pub(crate) mod host;

use crate::cache;
use crate::call;
use crate::entry::{self, ErrorText};
use crate::imports::__set_input;
use host::Access;
use metashrew_support::compat::read_buffer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

/// Indexes a block with a guest's function, as `_start` does.
///
/// ```
/// # use metashrew_core::test_utils;
/// # use std::convert::Infallible;
/// test_utils::index_block(1, b"block", |_height, block| {
///     metashrew_core::set(b"/newest".to_vec().into(), block.to_vec().into());
///     Ok::<_, Infallible>(())
/// });
/// assert_eq!(test_utils::written(1)[&b"/newest"[..]], b"block");
/// ```
///
/// # Panics
/// If the function fails or panics.
pub fn index_block<Kind, E: ErrorText<Kind>>(
    height: u32,
    block: &[u8],
    index: impl FnOnce(u32, &[u8]) -> Result<(), E>,
) {
    index_export(height, block, || entry::start(index));
}

/// Indexes a block with an exported `_start`.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// assert_eq!(test_utils::written(1)[&b"name"[..]], b"ann");
/// ```
///
/// # Panics
/// If it panics, or returns without a flush.
pub fn index_export(height: u32, block: &[u8], start: impl FnOnce()) {
    call(Access::Index, height, block, || {
        start();
        let flushed = host::with(|host| host.flushed());
        assert!(flushed, "block {height}: the guest did not flush");
        host::with(host::Host::commit);
    });
}

/// Calls a guest's view at a height: its answer.
///
/// ```
/// # use metashrew_core::test_utils;
/// # use std::convert::Infallible;
/// let answer = test_utils::view(7, b"ann", |_height, name| {
///     Ok::<_, Infallible>(name.to_ascii_uppercase())
/// });
/// assert_eq!(answer, b"ANN");
/// ```
///
/// # Panics
/// If the view fails or panics.
pub fn view<Kind, E: ErrorText<Kind>>(
    height: u32,
    input: &[u8],
    answer: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>,
) -> Vec<u8> {
    view_export(height, input, || entry::view(answer))
}

/// As [`view`], with the error that the view answers with.
///
/// ```
/// # use metashrew_core::test_utils;
/// let refused = test_utils::try_view(7, b"ann", |height, _name| {
///     Err(format!("nothing at height {height}"))
/// });
/// assert_eq!(refused, Err("nothing at height 7".to_owned()));
/// ```
///
/// # Errors
/// The text that the real host gives the caller, if the view fails.
///
/// # Panics
/// If the view panics.
pub fn try_view<Kind, E: ErrorText<Kind>>(
    height: u32,
    input: &[u8],
    answer: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, String> {
    try_view_export(height, input, || entry::view(answer))
}

/// Calls an exported view at a height: what its pointer points at.
///
/// ```
/// # use metashrew_core::test_utils;
/// #[metashrew_core::view]
/// fn upper(name: &[u8]) -> Vec<u8> {
///     name.to_ascii_uppercase()
/// }
/// assert_eq!(test_utils::view_export(7, b"ann", || __view_upper()), b"ANN");
/// ```
///
/// # Panics
/// If the view fails or panics, or answers with a pointer to no buffer.
pub fn view_export(height: u32, input: &[u8], export: impl FnOnce() -> i32) -> Vec<u8> {
    try_view_export(height, input, export).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`view_export`], with the error that the view answers with.
///
/// ```
/// # use metashrew_core::test_utils;
/// #[metashrew_core::view]
/// fn owner() -> Result<String, String> {
///     Err("nobody".to_owned())
/// }
/// let refused = test_utils::try_view_export(7, b"", || __view_owner());
/// assert_eq!(refused, Err("nobody".to_owned()));
/// ```
///
/// # Errors
/// The text that the real host gives the caller, if the view fails.
///
/// # Panics
/// If the view panics, or answers with a pointer to no buffer.
#[allow(
    unsafe_code,
    reason = "an answer is read through its pointer, as the host reads it"
)]
pub fn try_view_export(
    height: u32,
    input: &[u8],
    export: impl FnOnce() -> i32,
) -> Result<Vec<u8>, String> {
    let pointer = call(Access::View, height, input, export);
    // SAFETY: an answer's buffer lives until the next call begins.
    let read = |pointer| unsafe { read_buffer(pointer) };
    let failed = pointer == 0;
    if let Some(text) = failed.then(|| read(entry::__metashrew_error(0))).flatten() {
        return Err(String::from_utf8_lossy(&text).into_owned());
    }
    let answer = read(pointer);
    Ok(answer.unwrap_or_else(|| panic!("the view answered {pointer:#x}, where no buffer is")))
}

/// The state after a height: every key's newest value at or below it.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::index_export(2, b"block", || host::flush([("name", "ben")]));
/// assert_eq!(test_utils::state(1)[&b"name"[..]], b"ann");
/// ```
pub fn state(height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    host::with(|host| host.state(height))
}

/// What the block at a height wrote.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::index_export(2, b"block", || host::flush([("age", "7")]));
/// assert!(test_utils::written(2).keys().eq([b"age"]));
/// ```
pub fn written(height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    host::with(|host| host.written(height))
}

/// Runs `look` as a view at a height runs: what it reads is the state after that
/// height.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::index_export(2, b"block", || host::flush([("name", "ben")]));
/// assert_eq!(test_utils::at(1, || host::read(b"name")), b"ann");
/// ```
///
/// # Panics
/// If it panics.
pub fn at<T>(height: u32, look: impl FnOnce() -> T) -> T {
    call(Access::View, height, &[], || {
        let (_call, _input) = call::Call::begin(call::Kind::View);
        look()
    })
}

/// Takes the blocks above `keep` back, as the host does in a reorg; all of them, if it
/// is `None`. The guest's memory goes too, as the host drops its instances.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::index_export(2, b"block", || host::flush([("name", "ben")]));
/// test_utils::roll_back(Some(1));
/// assert_eq!(test_utils::state(2)[&b"name"[..]], b"ann");
/// ```
pub fn roll_back(keep: Option<u32>) {
    restart();
    host::with(|host| host.roll_back(keep));
}

/// All that a host keeps: for another thread, whose statics of the thread are fresh.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// let state: test_utils::State = test_utils::save();
/// let other = std::thread::spawn(|| {
///     test_utils::restore(state);
///     host::read(b"name")
/// });
/// assert_eq!(other.join().unwrap(), b"ann");
/// ```
#[derive(Debug, Clone)]
pub struct State(Arc<host::Values>);

/// The state of this thread's host, at all heights.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// let empty = test_utils::save();
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::restore(empty);
/// assert!(host::read(b"name").is_empty());
/// ```
pub fn save() -> State {
    State(host::with(|host| host.values()))
}

/// Makes a state that of this thread's host. The guest's memory is forgotten.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// let state = test_utils::save();
/// test_utils::reset();
/// test_utils::restore(state);
/// assert_eq!(host::read(b"name"), b"ann");
/// ```
pub fn restore(state: State) {
    restart();
    host::with(|host| host.set_values(state.0));
}

/// What the guest logged since this was last asked.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// host::log("indexed");
/// assert_eq!(test_utils::take_log(), ["indexed"]);
/// assert!(test_utils::take_log().is_empty());
/// ```
pub fn take_log() -> Vec<String> {
    host::with(host::Host::take_log)
}

/// Forgets everything: the host's state and the guest's memory, but for statics of
/// its own.
///
/// ```
/// # use metashrew_core::{host, test_utils};
/// test_utils::index_export(1, b"block", || host::flush([("name", "ann")]));
/// test_utils::reset();
/// assert!(test_utils::state(1).is_empty());
/// ```
pub fn reset() {
    restart();
    host::with(|host| *host = host::Host::default());
}

/// Forgets the guest's memory, but for statics of its own: what follows runs as on a
/// new instance. The host's state stays.
///
/// ```
/// # use metashrew_core::test_utils;
/// let name = || b"name".to_vec().into();
/// metashrew_core::set(name(), b"ann".to_vec().into()); // Nothing flushes it.
/// test_utils::restart();
/// assert!(metashrew_core::get(name()).is_empty());
/// ```
pub fn restart() {
    call::begin(None, false);
    cache::forget();
}

/// The host forgets its state, unless a call is under way.
pub(crate) fn clear_outside_of_calls() {
    host::with(host::Host::clear_outside_of_calls);
}

fn call<T>(access: Access, height: u32, payload: &[u8], run: impl FnOnce() -> T) -> T {
    __set_input([&height.to_le_bytes()[..], payload].concat());
    host::with(|host| host.enter(access));
    let announces = !host::with(|host| host.silent);
    let _running = Running { announces };
    if announces {
        crate::__metashrew_begin(i32::from(access == Access::View));
    }
    run()
}

/// A call that the host makes; dropping it ends the call.
struct Running {
    announces: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        host::with(|host| host.enter(Access::Newest));
        if thread::panicking() {
            // As the host drops an instance that trapped.
            restart();
        }
        if self.announces {
            call::end();
        }
    }
}

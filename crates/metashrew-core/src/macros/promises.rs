//! `memory!` and `height_independent!`: what a guest promises its host.

/// `memory!(by_height)`: a promise to the host that one instance may answer for
/// every block, whatever it answered before.
///
/// What [`get`](crate::get) caches is kept apart by height by itself. The promise is
/// about the rest: whatever the guest keeps in statics of its own, or by
/// [`cache_set`](crate::cache_set), from which an answer is made, is filed under the
/// height or the block that it was made from, or depends on neither. Without this
/// line a host gives each block an instance of its own, and nothing need be
/// promised.
///
/// Views of [`export!`](crate::export) and [`declare_indexer!`](crate::declare_indexer)
/// need no more. One written by hand calls [`input`](crate::input) before it reads: so
/// the SDK knows its height.
///
/// `memory!(across_blocks)`: a promise to the host that what a block writes is the same
/// whatever the guest's memory holds, so that it may be kept from one block to the next.
/// What [`get`](crate::get) caches then serves later blocks, and a value that was read or
/// written lately is not asked of the host. The caches see to their part of the promise: they
/// hold what the host has. The rest is the guest's: a static may hold a value of the state
/// only as long as it is what the state has, and no count, no order and no presence of what it
/// remembers may reach what it writes. A host drops the memory whenever it likes, and at every
/// start, so a guest that does not keep the promise builds another state on each machine.
///
/// `memory!(answers)`: the guest's views mean to answer from what earlier calls left in
/// memory (how often they were called, say), beyond what state and input give. A host
/// that runs calls again on fresh instances, to find views that do so by mistake, leaves
/// this guest's alone. `memory!(answers: stats, caches)` says it of these views only.
///
/// ```
/// # use std::convert::Infallible;
/// # use std::cell::Cell;
/// metashrew_core::memory!(answers: calls);
///
/// thread_local!(static CALLS: Cell<u8> = const { Cell::new(0) });
///
/// fn calls(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
///     Ok(vec![CALLS.replace(CALLS.get() + 1)])
/// }
///
/// # use metashrew_core::test_utils;
/// assert_eq!(test_utils::view(7, b"", calls), [0]);
/// assert_eq!(test_utils::view(7, b"", calls), [1]);
/// ```
#[macro_export]
macro_rules! memory {
    (across_blocks) => {
        const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = "__metashrew_memory_across_blocks")
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __memory_across_blocks() {}
        };
    };
    (by_height) => {
        const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = "__metashrew_height_partitioned")
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __height_partitioned() {}
        };
    };
    (answers) => {
        const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = "__metashrew_answers_from_memory")
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __answers_from_memory() {}
        };
    };
    (answers: $($view:ident),+ $(,)?) => {
        $(const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = ::core::concat!(
                    "__metashrew_answers_from_memory.",
                    ::core::stringify!($view)
                ))
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __answers_from_memory() {}
        };)+
    };
}

/// `height_independent!(balance, totals)`: a promise to the host that what these views answer
/// (or with which error they end) follows from the state and the input alone, whatever the
/// height that the call stands on. `height_independent!()` says it of all views.
///
/// A host that tells its clients when an answer changes then runs such a view again only where
/// a block wrote what it had read. A view that puts the height into its answer, or that reads
/// other keys at another height, does not keep the promise: its clients are not told.
///
/// For views of [`export!`](crate::export), and for those written by hand;
/// `#[view(height_independent)]` says it of the view behind it.
///
/// ```
/// # use std::convert::Infallible;
/// fn newest(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
///     Ok(metashrew_core::get(b"/newest".to_vec().into()).to_vec())
/// }
///
/// metashrew_core::height_independent!(newest);
/// # let _ = newest;
/// ```
#[macro_export]
macro_rules! height_independent {
    () => {
        const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = "__metashrew_height_independent")
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __height_independent() {}
        };
    };
    ($($view:ident),+ $(,)?) => {
        $(const _: () = {
            #[cfg_attr(
                target_arch = "wasm32",
                unsafe(export_name = ::core::concat!(
                    "__metashrew_height_independent.",
                    ::core::stringify!($view)
                ))
            )]
            #[allow(dead_code, unsafe_code, reason = "the host looks for its symbol")]
            extern "C" fn __height_independent() {}
        };)+
    };
}

/// What a view of [`declare_indexer!`](crate::declare_indexer) promises.
#[doc(hidden)]
#[macro_export]
macro_rules! __view_promise {
    (height_independent, $view:ident) => {
        $crate::height_independent!($view);
    };
}

//! Stands in for secp256k1's C code where a guest's workspace leaves that out.
//!
//! The crate secp256k1-sys exports two functions, which nobody calls, that need these
//! three: with them, a guest links that calls nothing of secp256k1, and has no import
//! for it. For whatever else is called, the linker of Rust 1.96 and later finds nothing;
//! an earlier one makes an import of it, which hosts name when they load the guest.
#![allow(unsafe_code, reason = "secp256k1-sys looks for these symbols")]
#![allow(clippy::used_underscore_items, reason = "the names are fixed")]

const WHY: &str = "this guest was built without secp256k1 (see its .cargo/config.toml)";

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_size(_flags: u32) -> usize {
    panic!("{WHY}")
}

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_create(
    _memory: usize,
    _flags: u32,
) -> usize {
    panic!("{WHY}")
}

#[unsafe(no_mangle)]
extern "C" fn rustsecp256k1_v0_10_0_context_preallocated_destroy(_context: usize) {
    panic!("{WHY}")
}

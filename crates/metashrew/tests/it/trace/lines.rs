//! A guest with debug information, so that a trace tells lines: `inlined` is part of `calls`.
//!
//! `lines.wasm` beside this file is made of it, in its directory, by:
//! rustc --edition 2024 --crate-type cdylib --target wasm32-unknown-unknown -O -C panic=abort
//! -C debuginfo=line-tables-only --remap-path-prefix "$PWD=guest" lines.rs
#![no_std]

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn __get_len(key: *const u8) -> i32;
    fn __flush(message: *const u8);
}

#[repr(C)]
struct Buffer<const N: usize>(u32, [u8; N]);

static KEY: Buffer<1> = Buffer(1, *b"k");
static NOTHING: Buffer<0> = Buffer(0, []);

#[inline(always)]
fn inlined() -> i32 {
    unsafe { __get_len(KEY.1.as_ptr()) }
}

#[inline(never)]
fn calls() -> i32 {
    inlined() + 1
}

#[unsafe(no_mangle)]
extern "C" fn _start() {
    core::hint::black_box(calls());
    unsafe { __flush(NOTHING.1.as_ptr()) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

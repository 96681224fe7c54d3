//! Every guest assembles, and every piece of wasm is a module of its own.

use metashrew_testing::{guests, ranging};

#[test]
fn guests_assemble() {
    let modules = [
        guests::chained(),
        guests::traps_at(7),
        guests::aborts_at(7),
        guests::spins_at(7),
        guests::silent_at(7),
        guests::devours_memory_at(7),
        guests::slow(1000),
        guests::silent(),
        guests::empty_flush(),
        guests::odd_flush(),
        guests::bad_flush(),
        guests::bad_flush_pointer(),
        guests::many_flushes(),
        guests::calls_unknown_import(),
        guests::has_unknown_import(),
        guests::no_start(),
        guests::no_memory(),
        guests::odd_start(),
        guests::flush_only(5000),
        guests::rewriting(5000),
        guests::rewriting_values(5000, 500, 1),
        ranging::ranging(),
    ];
    for module in &modules {
        assert!(module.starts_with(b"\0asm\x01\0\0\0"));
    }
    for (index, module) in modules.iter().enumerate() {
        assert!(
            !modules.iter().skip(index + 1).any(|other| other == module),
            "guest {index} appears twice"
        );
    }
}

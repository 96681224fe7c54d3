//! Small guests whose views remember: some so that a later answer depends on it, some so
//! that it does not. `_start` is the well-behaved one of [`guests`](crate::guests).

use crate::guests::from_wat;

const SHARED: &str = include_str!("guests.wat");
const OTHERS: &str = include_str!("views.wat");
const VIEWS: &str = include_str!("remembering.wat");

/// Views that answer from what earlier calls left: `first_input`, `coarse`, `simulated`,
/// `ring` (from the 20th call on), `needs_warmth`, `hoards`; views that remember and answer
/// as a fresh instance does, as far as that gets: `warms`, `notes`; and all of
/// [`chained`](crate::guests::chained), of which `counter` is one of the former.
/// `remembering.wat`, beside this file, says what each does.
pub fn remembering() -> Vec<u8> {
    saying("")
}

/// The same, but it says that it means to answer from its memory.
pub fn remembering_on_purpose() -> Vec<u8> {
    saying(r#"(func (export "__metashrew_answers_from_memory"))"#)
}

/// The same, but it says that it keeps apart by height what it remembers: which `coarse`
/// and `first_input` do not.
pub fn remembering_by_height() -> Vec<u8> {
    saying(r#"(func (export "__metashrew_height_partitioned"))"#)
}

fn saying(what: &str) -> Vec<u8> {
    from_wat(&format!(
        r#"(module {SHARED} (memory (export "memory") 2)
           (func (export "_start") (call $chain (call $load)))
           {what} {OTHERS} {VIEWS})"#
    ))
}

//! A chain that grows: what a block costs as the state does.
//!
//! `cargo bench -p metashrew-sync --bench growing -- [NAME=VALUE]...` indexes generated
//! blocks until so many keys are written, and prints a table and a line of JSON for
//! each mark on the way (1, 3, 10, 30 and 100 million keys).
//!
//! - `keys=1000000`: where it ends.
//! - `guest=addresses`: the guest; `writes` reads nothing and writes 14,000 new keys in
//!   each block, into blocks of 10 transactions.
//! - `cache=default`: the caches together, a quarter of the machine's memory as `start`
//!   takes; `twentieth` of the logical bytes at the end, or a number of bytes.
//! - `ages=mainnet`: how old the outputs are that are spent; `any` for all alike.
//! - `floor=1000000`: up to so many keys the guest's floor is measured too, before.
//! - `keep=PATH`: where the database is moved to at the end, on the same file system.
//! - `verify=yes`: verifies the database at the end, too.
//! - `subject=PATH`: another build of this bench, of another commit, that indexes.
//! - `dir=PATH`: where the database goes (default: the system's temporary directory).
//!
//! `role=dump to=FILE` writes the guest's state after `keys` to a file instead, for
//! `bench/engines`.
//!
//! The blocks are made here, and indexed by the real pipeline in a process of its own,
//! which `/proc` tells the cost of: what the generator takes is not in it, but takes
//! turns with it on the same cores.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its tables, and a panic ends it"
)]

#[path = "growing/arguments.rs"]
mod arguments;
#[path = "growing/baseline.rs"]
mod baseline;
#[path = "growing/feed.rs"]
mod feed;
#[path = "growing/marks.rs"]
mod marks;
#[path = "growing/process.rs"]
mod process;
#[path = "growing/remote.rs"]
mod remote;
#[path = "growing/report.rs"]
mod report;
#[path = "growing/subject.rs"]
mod subject;

use arguments::Arguments;

/// As the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::of_the_process();
    match arguments.get("role") {
        None => marks::run(&arguments),
        Some("floor") => baseline::run(&arguments),
        Some("dump") => baseline::dump(&arguments),
        Some("index") => subject::index(&arguments),
        Some("open") => subject::open(&arguments),
        Some("rollback") => subject::rollback(&arguments),
        Some("verify") => subject::verify(&arguments),
        Some(other) => panic!("there is no role `{other}`"),
    }
}

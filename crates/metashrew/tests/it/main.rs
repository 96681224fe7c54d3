//! The command from outside: its flags, its output, its exit codes, its server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod bench;
mod branches;
mod checks;
mod codegen;
mod configuration;
mod damaged;
mod descriptors;
mod dev;
mod docs;
mod engine_files;
mod existing;
mod failures;
mod followed;
mod fork;
mod forked;
mod full_disk;
mod guests;
mod halting;
mod harness;
mod help;
mod hostile;
mod identity;
mod inspect;
mod keys;
mod kills;
mod languages;
mod log;
mod logs;
mod machine;
mod mainnet;
mod new;
mod offline;
mod outages;
mod pending;
mod power_cuts;
mod push;
mod replay;
mod secure;
mod serving;
mod shadow;
mod shares;
mod signals;
mod small_disk;
mod sources;
mod start;
mod status;
mod tail;
mod trace;
mod usage;
mod view;
mod view_checks;

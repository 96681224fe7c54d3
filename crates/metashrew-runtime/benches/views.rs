//! What a view call costs: warm, on a fresh instance, and beside a bare wasmtime
//! call of the same function; by one caller and by many; while indexing runs.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench reads the clock and prints; criterion's macros document nothing"
)]

#[path = "views/callers.rs"]
mod callers;
#[path = "views/checks.rs"]
mod checks;
#[path = "views/indexing.rs"]
mod indexing;
#[path = "views/subject.rs"]
mod subject;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use metashrew_runtime::{Route, ViewCall};
use metashrew_testing::floor;
use subject::{CALLS, Disk, HEIGHT, Subject, block, workload};

/// As in the command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The same functions with nothing around them but wasmtime and a host of hash maps.
fn bare(criterion: &mut Criterion) {
    let guest = floor::link(&workload());
    let mut bare = floor::BareView::after(&guest, HEIGHT, &block(HEIGHT));
    for (name, input) in CALLS {
        let view = bare.view(name);
        bare.set_input(input);
        criterion.bench_function(&format!("{name}/bare wasmtime call"), |bencher| {
            bencher.iter(|| bare.call(&view));
        });
    }
}

fn one_caller(criterion: &mut Criterion, subject: &Subject, place: &str) {
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an executor");
    for (name, input) in CALLS {
        for (mode, route) in [("warm", Route::Pooled), ("fresh", Route::Fresh)] {
            let call = ViewCall {
                route,
                ..ViewCall::new(name, input)
            };
            let runtime = &subject.runtime;
            criterion.bench_function(&format!("{name}/{place}/{mode} sync"), |bencher| {
                bencher.iter(|| black_box(runtime.call_sync(call)).expect("it answers"));
            });
            criterion.bench_function(&format!("{name}/{place}/{mode} async"), |bencher| {
                bencher
                    .iter(|| black_box(executor.block_on(runtime.call(call))).expect("it answers"));
            });
        }
    }
}

fn in_memory(criterion: &mut Criterion) {
    one_caller(criterion, &Subject::in_memory(), "memory");
}

fn on_disk(criterion: &mut Criterion) {
    let disk = Disk::new();
    one_caller(criterion, &disk.subject, "disk");
}

fn many_callers(_: &mut Criterion) {
    callers::table(&Disk::new().subject, &Subject::still());
}

fn checked(_: &mut Criterion) {
    checks::table();
}

fn beside_indexing(_: &mut Criterion) {
    indexing::table();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = views;
    config = settings();
    targets = bare, in_memory, on_disk, many_callers, checked, beside_indexing
}
criterion_main!(views);

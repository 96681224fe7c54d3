//! What a view call costs: warm, fresh, and beside a bare wasmtime call.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench reads the clock; criterion's macros document nothing"
)]

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewOptions};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store};
use metashrew_testing::guests;

fn runtime(views: ViewOptions) -> MetashrewRuntime {
    let store = Store::in_memory();
    let options = RuntimeOptions {
        views,
        ..RuntimeOptions::default()
    };
    let runtime = MetashrewRuntime::with_options(&guests::chained(), store.clone(), options)
        .expect("the guest loads");
    for height in 0..10u8 {
        let writes = runtime
            .process_block(u32::from(height), &[height; 100])
            .expect("the guest indexes");
        let block = BlockRef {
            height: u32::from(height),
            hash: BlockHash::from_bytes([height + 1; 32]),
            parent: BlockHash::from_bytes([height; 32]),
        };
        store.commit(&block, &writes).expect("memory takes it");
    }
    runtime
}

fn fresh() -> ViewOptions {
    ViewOptions {
        enabled: false,
        ..ViewOptions::default()
    }
}

/// A view that does nothing, called with nothing around it but wasmtime.
fn bare(criterion: &mut Criterion) {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
             (global $count (mut i32) (i32.const 0))
             (func (export "counter") (result i32)
               (global.set $count (i32.add (global.get $count) (i32.const 1)))
               (i32.store (i32.const 1028) (global.get $count))
               (i32.store (i32.const 1024) (i32.const 4))
               (i32.const 1028)))"#,
    )
    .expect("valid text");
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let module = wasmtime::Module::new(&engine, &wasm).expect("a module");
    let mut store = wasmtime::Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
    let counter = instance
        .get_typed_func::<(), i32>(&mut store, "counter")
        .expect("the view");
    criterion.bench_function("view/trivial/bare wasmtime call", |bencher| {
        bencher.iter(|| counter.call(&mut store, ()).expect("it returns"));
    });
}

fn one_caller(criterion: &mut Criterion) {
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an executor");
    for (name, runtime) in [
        ("warm", runtime(ViewOptions::default())),
        ("fresh", runtime(fresh())),
    ] {
        for (view, input) in [("counter", &b""[..]), ("get", b"acc"), ("echo", &[7; 1000])] {
            criterion.bench_function(&format!("view/{view}/{name} sync"), |bencher| {
                bencher.iter(|| {
                    let answer = runtime.view_sync(view, input, &BlockId::Latest);
                    black_box(answer).expect("it answers")
                });
            });
            criterion.bench_function(&format!("view/{view}/{name} async"), |bencher| {
                bencher.iter(|| {
                    let call = runtime.view(view, input, &BlockId::Latest);
                    black_box(executor.block_on(call)).expect("it answers")
                });
            });
        }
    }
}

/// Calls by many threads at once; the time is that of one call, all callers together.
fn many_callers(criterion: &mut Criterion) {
    for (name, views) in [("warm", ViewOptions::default()), ("fresh", fresh())] {
        let runtime = runtime(views);
        for callers in [1, 2, 8, 64] {
            let id = format!("view/counter/{name}, {callers} callers");
            criterion.bench_function(&id, |bencher| {
                bencher.iter_custom(|calls| together(&runtime, callers, calls));
            });
        }
    }
}

fn together(runtime: &MetashrewRuntime, callers: usize, calls: u64) -> Duration {
    let each = calls.div_ceil(callers as u64);
    let start = Barrier::new(callers + 1);
    let begun = std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                start.wait();
                for _ in 0..each {
                    let answer = runtime.view_sync("counter", b"", &BlockId::Latest);
                    black_box(answer).expect("it answers");
                }
            });
        }
        start.wait();
        Instant::now()
    });
    let elapsed = begun.elapsed();
    elapsed.mul_f64(calls as f64 / (each * callers as u64) as f64)
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = views; config = settings(); targets = bare, one_caller, many_callers }
criterion_main!(views);

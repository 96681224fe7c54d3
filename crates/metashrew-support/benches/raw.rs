//! What it costs to read a full block in place: per block to parse, per
//! transaction to walk.

use criterion::{Criterion, Throughput};
use metashrew_support::raw::{Block, ScriptKind};
use std::hint::black_box;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for name in ["block-772904", "block-840243"] {
        let path = format!("{}/../../examples/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).expect("the project holds it");
        read(&mut criterion, name, &bytes);
    }
    criterion.final_summary();
}

fn read(criterion: &mut Criterion, name: &str, bytes: &[u8]) {
    let block = Block::parse(bytes).expect("it is a block");
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(block.transactions().len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Block::parse(black_box(bytes)));
    });
    group.bench_function("outputs", |bencher| {
        bencher.iter(|| {
            let outputs = block.transactions().flat_map(|tx| tx.outputs);
            outputs
                .map(|output| output.value + output.script.len() as u64)
                .sum::<u64>()
        });
    });
    group.bench_function("inputs", |bencher| {
        bencher.iter(|| {
            let inputs = block.transactions().flat_map(|tx| tx.inputs);
            inputs
                .map(|input| u64::from(input.vout) + input.script.len() as u64)
                .sum::<u64>()
        });
    });
    group.bench_function("kinds", |bencher| {
        bencher.iter(|| {
            let outputs = block.transactions().flat_map(|tx| tx.outputs);
            outputs
                .filter(|it| matches!(it.kind(), ScriptKind::P2tr { .. }))
                .count()
        });
    });
    group.bench_function("witnesses", |bencher| {
        bencher.iter(|| {
            let inputs = block.transactions().flat_map(|tx| tx.inputs);
            inputs
                .flat_map(|input| &input.witness)
                .map(<[u8]>::len)
                .sum::<usize>()
        });
    });
    group.bench_function("envelopes", |bencher| {
        bencher.iter(|| {
            block
                .transactions()
                .map(|tx| tx.envelopes().count())
                .sum::<usize>()
        });
    });
    group.bench_function("txids", |bencher| {
        bencher.iter(|| {
            block.transactions().fold(0, |sum: u8, tx| {
                tx.txid()
                    .first()
                    .map_or(sum, |byte| sum.wrapping_add(*byte))
            })
        });
    });
    group.finish();
}

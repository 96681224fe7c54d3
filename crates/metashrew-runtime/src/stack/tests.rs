//! What is counted, what it changes of a module, and that the native stack outlasts it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use metashrew_store::wait;
use wasmparser::{Parser, Payload};
use wasmtime::{Config, Engine, Instance, InstanceAllocationStrategy, Module, Store, Trap};

use super::*;
use crate::context::Call;
use crate::deadline::Deadline;
use crate::error::{GuestFault, HostFault};
use crate::fault::Fault;
use crate::host::Waits;
use crate::limits::Allowance;
use crate::options::{ModuleCache, ViewOptions};
use crate::view::Sizes;
use crate::{engine, guest, instance};

/// The function `deep` counts in `depth` how deep it is, and goes deeper for ever. What
/// `around` says is in it: it holds `{call}` where the call is to be.
fn recursion(functions: &str, parameters: &str, around: &str, arguments: &str) -> Vec<u8> {
    let call = format!("(call $deep {arguments})");
    let text = format!(
        r#"(module (memory (export "memory") 4)
             (global $depth (export "depth") (mut i32) (i32.const 0)) {functions}
             (func $deep {parameters}
               (global.set $depth (i32.add (global.get $depth) (i32.const 1))) {})
             (func (export "run") {call}))"#,
        around.replace("{call}", &call)
    );
    wat::parse_str(text).unwrap()
}

/// The depth that a recursion reaches, and the trap that ends it: where it is, and what.
fn depth(engine: &Engine, wasm: &[u8]) -> (i32, Trap, Option<usize>) {
    let module = Module::new(engine, wasm).unwrap();
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    wait(async {
        let instance = Instance::new_async(&mut store, &module, &[]).await.unwrap();
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .unwrap();
        let error = run.call_async(&mut store, ()).await.unwrap_err();
        let frames = error.downcast_ref::<wasmtime::WasmBacktrace>().unwrap();
        let at = frames.frames()[0].module_offset();
        let depth = instance.get_global(&mut store, "depth").unwrap();
        let depth = depth.get(&mut store).i32().unwrap();
        (depth, *error.downcast_ref::<Trap>().unwrap(), at)
    })
}

/// A local for each of `count` numbers, read from memory.
fn locals(count: u32, ty: &str) -> (String, String) {
    let mut text = (String::new(), String::new());
    for local in 0..count {
        write!(text.0, "(local $v{local} {ty}) ").unwrap();
        let at = local * 16;
        write!(text.1, "(local.set $v{local} ({ty}.load (i32.const {at})))").unwrap();
    }
    text
}

/// Adds `product` of each pair of `count` locals to what is on the stack.
fn products(count: u32, product: &str, sum: &str) -> String {
    let mut text = String::new();
    for (a, b) in (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))) {
        write!(text, "local.get $v{a} local.get $v{b} {product} {sum} ").unwrap();
    }
    text
}

/// Recursions that take as much native stack as possible for what they cost.
fn worst() -> Vec<(String, Vec<u8>)> {
    let mut cases = vec![("nothing".to_owned(), recursion("", "", "{call}", ""))];
    for (ty, product, sum) in [
        ("i64", "i64.mul", "i64.xor"),
        ("f64", "f64.mul", "f64.add"),
        ("v128", "i64x2.mul", "v128.xor"),
    ] {
        for count in [8, 64] {
            let (declared, read) = locals(count, ty);
            let work = products(count, product, sum);
            let work = format!("i32.const 0 ({ty}.load (i32.const 0)) {work} {ty}.store");
            let again = format!("{read} {work} {{call}} {work}");
            cases.push((
                format!("{ty}, {count}, computed again"),
                recursion("", &declared, &again, ""),
            ));
            let hoisted =
                format!("{read} (loop $l {{call}} {work} (br_if $l (i32.load (i32.const 0))))");
            cases.push((
                format!("{ty}, {count}, hoisted"),
                recursion("", &declared, &hoisted, ""),
            ));
            let uses: Vec<_> = (0..count)
                .map(|local| format!("({ty}.store (i32.const {local}) (local.get $v{local}))"))
                .collect();
            let uses = uses.concat();
            let kept = format!("{read} {{call}} {uses}");
            cases.push((
                format!("{ty}, {count}, kept"),
                recursion("", &declared, &kept, ""),
            ));
        }
        let zero = if ty == "v128" {
            "v128.const i64x2 1 2".to_owned()
        } else {
            format!("{ty}.const 1")
        };
        let load = format!("({ty}.load (i32.const 0))");
        let parameters = format!("(param {})", format!("{ty} ").repeat(800));
        let arguments = format!("({zero})").repeat(800);
        cases.push((
            format!("{ty}, arguments"),
            recursion("", &parameters, "{call}", &arguments),
        ));
        let arguments = load.repeat(800);
        cases.push((
            format!("{ty}, loaded arguments"),
            recursion("", &parameters, "{call}", &arguments),
        ));
        let many = format!(
            "(func $many (result {}) {})",
            format!("{ty} ").repeat(800),
            load.repeat(800)
        );
        let drops = "drop ".repeat(800);
        let results = format!("call $many {{call}} {drops}");
        cases.push((format!("{ty}, results"), recursion(&many, "", &results, "")));
        let results = format!("call $many {drops} {{call}}");
        cases.push((
            format!("{ty}, dropped results"),
            recursion(&many, "", &results, ""),
        ));
    }
    cases
}

#[test]
fn one_wide_value_makes_a_frame_wide_wherever_it_is() {
    let cost = |values: &str, made: &str| {
        let text = format!(
            "(module (func $make (result {values}) unreachable) (func $take (param {values}))
               (func {made} call $take))"
        );
        let wasm = wat::parse_str(text).unwrap();
        Frames::of(&wasm).unwrap().functions.last().unwrap().cost
    };
    let narrow = cost("i32 i32", "call $make");
    for wide in ["f32", "f64", "v128"] {
        let (above, below) = (format!("i32 {wide}"), format!("{wide} i32"));
        // Twice as much for each of the two.
        assert_eq!(cost(&above, "call $make"), narrow + 2 * 8);
        assert_eq!(cost(&below, "call $make"), narrow + 2 * 8, "{wide}");
        // A block that nothing in it says the types of.
        let block = |values: &str| cost(values, &format!("(block (result {values}) unreachable)"));
        assert_eq!(block(&below), block(&above), "{wide}");
    }
}

/// The settings of guests, with so many bytes of native stack.
fn with_native_stack(bytes: usize) -> Engine {
    let mut config: Config = engine::deterministic();
    config
        .max_wasm_stack(bytes)
        .async_stack_size(bytes + (1 << 20))
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).unwrap()
}

#[test]
fn no_frame_takes_more_native_stack_than_its_cost_says() {
    const NATIVE_STACK: usize = 16 << 20;
    let engine = with_native_stack(NATIVE_STACK);
    for (name, wasm) in worst() {
        let frames = Frames::of(&wasm).unwrap().functions;
        let cost = frames[frames.len() - 2].cost;
        let (depth, trap, _) = depth(&engine, &wasm);
        assert_eq!(trap, Trap::StackOverflow, "{name}");
        let native = NATIVE_STACK as u64 / u64::try_from(depth).unwrap();
        // Less than half of what there is.
        assert!(
            2 * native <= cost * NATIVE_PER_COST as u64,
            "{name}: {native} for {cost}"
        );
    }
}

/// The engines that guests run on.
fn engines() -> [(&'static str, Engine); 3] {
    let sizes = Sizes::of(&ViewOptions::default());
    [
        ("indexing", engine::indexing(&ModuleCache::Off, 1).unwrap()),
        (
            "viewing",
            engine::viewing(&ModuleCache::Off, &sizes, 0, 1).unwrap(),
        ),
        ("without a pool", engine::viewing_without_pool()),
    ]
}

#[test]
fn every_recursion_ends_where_its_cost_says_on_every_engine() {
    let engines = engines();
    for (name, wasm) in worst() {
        let frames = Frames::of(&wasm).unwrap().functions;
        let cost = frames[frames.len() - 2].cost;
        // The frame that finds nothing left is there already.
        let expect = i32::try_from(u64::from(LIMIT) / cost + 1).unwrap();
        let counted = count(&wasm).unwrap();
        for (engine_name, engine) in &engines {
            let (depth, trap, at) = depth(engine, &counted.wasm);
            assert_eq!(depth, expect, "{name}, {engine_name}");
            assert_eq!(trap, Trap::UnreachableCodeReached, "{name}, {engine_name}");
            assert!(
                counted.offsets.counts_stack(at.unwrap()),
                "{name}, {engine_name}"
            );
        }
    }
}

/// How many calls of the module in `text` are counted.
fn counted(text: &str) -> usize {
    let wasm = wat::parse_str(text).unwrap();
    graph::counted_calls(&Frames::of(&wasm).unwrap(), MAX_UNCOUNTED).len()
}

#[test]
fn what_may_recurse_is_counted_and_nothing_else() {
    let check = |functions: &str, expect| {
        assert_eq!(
            counted(&format!("(module {functions})")),
            expect,
            "{functions}"
        );
    };
    check("(func $a (call $b)) (func $b (call $c)) (func $c)", 0);
    check("(func $a (call $a))", 1);
    check("(func $a (return_call $a))", 0);
    check("(func $a (call $b)) (func $b (return_call $a))", 1);
    check(
        "(func $a (call $b) (call $c)) (func $b (call $a)) (func $c)",
        2,
    );
    check(
        r#"(import "env" "f" (func $f)) (func $a (call $f) (call $f))"#,
        0,
    );
    let table = "(table 1 funcref) (elem (i32.const 0) func $a)";
    check(
        &format!("{table} (func $a (call_indirect (i32.const 0)))"),
        1,
    );
    check(
        &format!("{table} (func $a (call_indirect (param i32) (i32.const 0) (i32.const 0)))"),
        0,
    );
    check(
        &format!("{table} (func $a (return_call_indirect (i32.const 0)))"),
        0,
    );
    check(
        &format!("{table} (func $a (call $b)) (func $b (call_indirect (i32.const 0)))"),
        2,
    );
    check(
        "(table 1 funcref) (func $a (call_indirect (i32.const 0)))",
        0,
    );
    check(
        "(table 1 funcref) (elem declare func $a) (func $a (drop (ref.func $a)) (call_indirect (i32.const 0)))",
        1,
    );
    check(
        "(global funcref (ref.func $a)) (table 1 funcref) (func $a (call_indirect (i32.const 0)))",
        1,
    );
}

#[test]
fn every_call_is_counted_where_frames_between_recursions_cost_much() {
    let locals = "(local f64)".repeat(10_000); // 160,000 a frame
    let chain = |length: u32| {
        let functions =
            (0..length).map(|function| format!("(func {locals} (call {}))", function + 1));
        counted(&format!(
            "(module {} (func))",
            functions.collect::<String>()
        ))
    };
    assert_eq!((chain(6), chain(7)), (0, 7));
}

#[test]
fn a_frame_above_what_may_go_uncounted_is_refused() {
    let operands = |number: usize| {
        let (push, drop) = ("i64.const 0 ".repeat(number), "drop ".repeat(number));
        wat::parse_str(format!("(module (func {push} {drop}))")).unwrap()
    };
    assert!(count(&operands(100_000)).is_ok());
    let error = count(&operands(150_000)).err().unwrap().to_string();
    assert!(error.contains("takes more stack than 1048576"), "{error}");
}

/// Every instruction of a module with its offset, and the offsets of its names.
fn instructions(wasm: &[u8]) -> (BTreeMap<usize, String>, Vec<Vec<u8>>) {
    let (mut instructions, mut custom) = (BTreeMap::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::CodeSectionEntry(body) => {
                for operator in body
                    .get_operators_reader()
                    .unwrap()
                    .into_iter_with_offsets()
                {
                    let (operator, at) = operator.unwrap();
                    instructions.insert(at, format!("{operator:?}"));
                }
            }
            Payload::CustomSection(section) => custom.push(section.data().to_vec()),
            _ => {}
        }
    }
    (instructions, custom)
}

#[test]
fn a_guest_keeps_its_instructions_their_offsets_and_its_names() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let files = std::fs::read_dir(kept)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let guests = files
        .chain([metashrew_testing::guests::chained()])
        .chain(worst().into_iter().map(|(_, wasm)| wasm));
    let mut changed = 0;
    for wasm in guests {
        let counted = count(&wasm).unwrap();
        let (original, names) = instructions(&wasm);
        let (compiled, compiled_names) = instructions(&counted.wasm);
        assert_eq!(names, compiled_names);
        let (added, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = compiled
            .into_iter()
            .partition(|(at, _)| counted.offsets.counts_stack(*at));
        let kept: BTreeMap<_, _> = kept
            .into_iter()
            .map(|(at, operator)| (counted.offsets.original(at), operator))
            .collect();
        assert_eq!(kept, original);
        changed += usize::from(!added.is_empty());
        for at in added.keys() {
            let before = original.get(&counted.offsets.original(*at));
            assert!(before.is_some(), "{at}");
        }
    }
    assert!(changed > 10, "{changed}");
}

#[test]
fn a_native_stack_that_ends_first_is_the_hosts_fault() {
    let text = r#"(module (memory (export "memory") 1)
        (func $deep (result i32) (i32.add (i32.const 1) (call $deep)))
        (export "v" (func $deep)))"#;
    let fault_on = |engine: &Engine| {
        let code = guest::compile(engine, &wat::parse_str(text).unwrap()).unwrap();
        let linked = guest::link(&code, Waits::Thread).unwrap();
        let call = Call::view(metashrew_store::Store::in_memory().snapshot().latest(), 0);
        let (allowance, deadline) = (Allowance::unlimited(), Deadline::default());
        let mut instance = instance::Instance::create(&linked, call, allowance, deadline).unwrap();
        let view = guest::View {
            name: "v",
            index: 0,
        };
        instance.view(view, 1).unwrap_err()
    };
    let short = fault_on(&with_native_stack(256 * 1024));
    assert!(
        matches!(short, Fault::Host(HostFault::Stack { .. })),
        "{short}"
    );
    let enough = fault_on(&with_native_stack(NATIVE));
    assert!(
        matches!(enough, Fault::Guest(GuestFault::Trap { .. })),
        "{enough}"
    );
}

//! Guests written with `#[main]` and `#[view]`, as modules: in the forms of existing guests,
//! with types, and with errors as values.

use std::time::Duration;

use metashrew_runtime::{BlockError, ViewError, inspect};
use metashrew_store::BlockId;
use prost::Message;
use wasmtime::{Caller, Engine, Extern, Linker, Module, Store as WasmStore};

use crate::sdk_guests::wasm;
use crate::{Bench, assert_adds_up};

/// The message that asks for a block, in both guests.
#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(uint32, tag = "1")]
    height: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Block {
    #[prost(bytes = "vec", tag = "1")]
    block: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Count {
    #[prost(uint64, tag = "1")]
    transactions: u64,
}

/// A block with so many transactions of one input and one output.
fn block(transactions: u8) -> Vec<u8> {
    let mut block = vec![0; 80];
    block.push(transactions);
    for _ in 0..transactions {
        block.extend([2, 0, 0, 0, 1]);
        block.extend([7; 36]);
        block.extend([0, 255, 255, 255, 255, 1]);
        block.extend([0; 8 + 1 + 4]);
    }
    block
}

fn bench(name: &str) -> Bench {
    let bench = Bench::with(&wasm(name), |views| views.timeout = Duration::from_hours(1));
    for height in 1..=3u8 {
        let height_of_block = u32::from(height);
        let writes = bench
            .runtime
            .process_block(height_of_block, &block(height))
            .unwrap();
        bench.commit(height_of_block, 1, &writes);
    }
    bench
}

fn fails(bench: &Bench, view: &str, input: &[u8]) -> String {
    match bench.runtime.view_sync(view, input, &BlockId::Latest) {
        Err(ViewError::Returned { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_guest_in_the_form_of_existing_ones_runs_with_its_own_prost() {
    let bench = bench("attributes");
    let question = Question { height: 2 }.encode_to_vec();
    let expect = Block { block: block(2) }.encode_to_vec();
    for view in ["getblock", "typedblock"] {
        assert_eq!(bench.view(view, &question, &BlockId::Latest), expect);
    }
    let length = bench.view("blocklength", &[3, 0, 0, 0], &BlockId::Latest);
    assert_eq!(length, u32::try_from(block(3).len()).unwrap().to_le_bytes());
    let missing = Question { height: 4 }.encode_to_vec();
    assert_eq!(fails(&bench, "getblock", &missing), "no block 4");
    assert_eq!(fails(&bench, "typedblock", &missing), "no block 4");
    let text = fails(&bench, "blocklength", b"");
    assert_eq!(text, "could not convert slice to array");
}

#[test]
fn answers_are_of_the_types_that_views_say() {
    let bench = bench("typed");
    let view = |name, input: &[u8], height| {
        let answer = bench.view(name, input, &BlockId::Height(height));
        String::from_utf8(answer).unwrap()
    };
    let counts = view("counts", br#"{"from":1,"count":2}"#, 3);
    assert_eq!(counts, r#"{"height":3,"transactions":[1,2]}"#);
    assert_eq!(view("text", b"", 2), "2");
    assert_eq!(view("echo", b"x", 2), "x");
    let question = Question { height: 2 }.encode_to_vec();
    let answer = bench.view("message", &question, &BlockId::Height(3));
    assert_eq!(Count::decode(&*answer).unwrap().transactions, 2);
}

#[test]
fn errors_keep_the_instance_and_what_it_has_cached() {
    let bench = bench("typed");
    let counts = br#"{"from":1,"count":3}"#;
    bench.view("counts", counts, &BlockId::Latest);
    let reads = bench.runtime.view_stats();
    for _ in 0..21 {
        let text = fails(&bench, "counts", br#"{"from":9}"#);
        assert_eq!(text, "there is no block 9: the newest is 3");
        let text = fails(&bench, "counts", br#"{"form":9}"#);
        assert!(
            text.starts_with("bad input: unknown field `form`"),
            "{text}"
        );
    }
    bench.view("counts", counts, &BlockId::Latest);
    let stats = bench.runtime.view_stats();
    assert_eq!((stats.calls.created, stats.dropped.total()), (1, 0));
    assert_eq!(stats.calls.retried, reads.calls.retried);
    assert_eq!(stats.errors.view_error, 42);
    assert_adds_up(&stats);
}

#[test]
fn a_block_that_fails_says_why_and_names_no_file() {
    let bench = bench("typed");
    let error = bench.runtime.process_block(4, &block(0)).unwrap_err();
    let BlockError::Guest(fault) = &error else {
        panic!("{error:?}");
    };
    let text = fault.to_string();
    assert!(
        text.starts_with("the guest aborted: block 4: it has no transactions\n"),
        "{text}"
    );
    assert!(!text.contains(".rs"), "{text}");
    let error = bench.runtime.process_block(4, b"short").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("block 4: the block ends after 5 bytes"),
        "{error}"
    );
}

#[test]
fn views_describe_themselves_from_every_module() {
    let meta = inspect(&wasm("attributes")).unwrap().meta.unwrap().unwrap();
    assert_eq!((&*meta.name, &*meta.version), ("attributes", "0.1.0"));
    let views = meta.view_functions.iter();
    let views: Vec<_> = views
        .map(|view| {
            (
                &*view.name,
                &*view.input_type,
                &*view.output_type,
                &*view.doc,
            )
        })
        .collect();
    assert_eq!(
        views,
        [
            ("blocklength", "bytes", "bytes", ""),
            ("getblock", "bytes", "bytes", ""),
            (
                "typedblock",
                "proto::BlockRequest (protobuf)",
                "proto::BlockResponse (protobuf)",
                "The same, by its types."
            ),
        ]
    );

    let report = inspect(&wasm("typed")).unwrap();
    assert!(report.imports.iter().all(|import| import.module == "env"));
    let meta = report.meta.unwrap().unwrap();
    assert_eq!(
        meta.doc,
        "Counts the transactions of each block.\n\nThe genesis block has one."
    );
    let counts = &meta.view_functions[0];
    assert_eq!(
        (&*counts.name, &*counts.input_type, &*counts.output_type),
        ("counts", "Blocks (JSON)", "Counts (JSON)")
    );
    for part in [r#""required":["from"]"#, r#""additionalProperties":false"#] {
        assert!(
            counts.input_schema.contains(part),
            "{}",
            counts.input_schema
        );
    }
    assert!(counts.output_schema.contains(r#""transactions""#));
    assert_eq!(meta.view_functions[1].input_schema, "");
}

/// A host that knows neither `__metashrew_begin` nor `__metashrew_error`, and comes back
/// from `abort`.
#[test]
fn on_other_hosts_an_error_ends_the_call_by_abort() {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm("attributes")).unwrap();
    let mut linker = Linker::<Vec<String>>::new(&engine);
    let length = |_: Caller<'_, _>| 4i32;
    linker.func_wrap("env", "__host_len", length).unwrap();
    let load = |_: Caller<'_, _>, _: i32| ();
    linker.func_wrap("env", "__load_input", load).unwrap();
    let log = |mut caller: Caller<'_, Vec<String>>, text: i32| {
        let text = String::from_utf8(bytes(&mut caller, text)).unwrap();
        caller.data_mut().push(text);
    };
    linker.func_wrap("env", "__log", log).unwrap();
    let abort = |mut caller: Caller<'_, Vec<String>>, message: i32, file: i32, _: i32, _: i32| {
        assert_eq!(file, 0);
        let message = bytes(&mut caller, message);
        let units = message
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let message = char::decode_utf16(units).map(Result::unwrap).collect();
        caller.data_mut().push(message);
    };
    linker.func_wrap("env", "abort", abort).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let mut store = WasmStore::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let view = instance.get_typed_func::<(), i32>(&mut store, "blocklength");
    assert!(view.unwrap().call(&mut store, ()).is_err());
    let text = "could not convert slice to array";
    assert_eq!(*store.data(), [text, text]);
}

fn bytes(caller: &mut Caller<'_, Vec<String>>, pointer: i32) -> Vec<u8> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    let bytes = memory.unwrap().data(caller).to_vec();
    let at = usize::try_from(pointer.cast_unsigned()).unwrap();
    let length = u32::from_le_bytes(bytes[at - 4..at].try_into().unwrap());
    bytes[at..][..usize::try_from(length).unwrap()].to_vec()
}

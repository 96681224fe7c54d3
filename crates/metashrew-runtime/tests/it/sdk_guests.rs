//! Guests built with the SDK, as modules: what they export, what their caches
//! save and cost, and that they answer right at every height.

use std::path::Path;

use metashrew_store::{BlockId, Store};
use wasmtime::{
    AsContext, Caller, Engine, Extern, ExternType, Instance, Linker, Memory, Module,
    Store as WasmStore,
};

use crate::{Bench, fresh};

const CACHE_LIMIT: &str = "__metashrew_cache_limit";
const HEIGHT_PARTITIONED: &str = "__metashrew_height_partitioned";

pub(crate) fn wasm(name: &str) -> Vec<u8> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm");
    let directory = std::env::var_os("METASHREW_GUESTS").map_or(kept, Into::into);
    std::fs::read(directory.join(format!("{name}.wasm"))).unwrap()
}

/// The least a host can be: it has a value for every key, and counts who asks.
struct Host {
    input: Vec<u8>,
    reads: u64,
}

/// Bytes that tell the key and the height; the key's first byte says how many
/// there may be, as a power of two.
fn value(key: &[u8], height: &[u8]) -> Vec<u8> {
    let most = 1usize << key[0].min(14);
    let length = key
        .iter()
        .fold(0usize, |sum, byte| sum * 31 + usize::from(*byte))
        % most;
    let pattern = [key, height].concat();
    pattern.into_iter().cycle().take(length + 1).collect()
}

fn memory(caller: &mut Caller<'_, Host>) -> Memory {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .unwrap()
}

fn buffer(memory: &Memory, store: &impl AsContext, pointer: i32) -> Vec<u8> {
    let start = usize::try_from(pointer.cast_unsigned()).unwrap();
    let bytes = memory.data(store);
    let length = u32::from_le_bytes(bytes[start - 4..start].try_into().unwrap());
    bytes[start..][..usize::try_from(length).unwrap()].to_vec()
}

fn asked(caller: &mut Caller<'_, Host>, key: i32) -> Vec<u8> {
    let key = buffer(&memory(caller), caller, key);
    value(&key, &caller.data().input[..4])
}

struct Guest {
    store: WasmStore<Host>,
    instance: Instance,
}

impl Guest {
    fn new(name: &str) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm(name)).unwrap();
        let mut linker = Linker::<Host>::new(&engine);
        let length = |bytes: usize| i32::try_from(bytes).unwrap();
        linker
            .func_wrap("env", "__host_len", move |caller: Caller<'_, Host>| {
                length(caller.data().input.len())
            })
            .unwrap();
        linker
            .func_wrap(
                "env",
                "__load_input",
                |mut caller: Caller<'_, Host>, at: i32| {
                    let input = caller.data().input.clone();
                    let memory = memory(&mut caller);
                    memory
                        .write(&mut caller, at.try_into().unwrap(), &input)
                        .unwrap();
                },
            )
            .unwrap();
        linker
            .func_wrap(
                "env",
                "__get_len",
                move |mut caller: Caller<'_, Host>, key: i32| {
                    caller.data_mut().reads += 1;
                    length(asked(&mut caller, key).len())
                },
            )
            .unwrap();
        linker
            .func_wrap(
                "env",
                "__get",
                |mut caller: Caller<'_, Host>, key: i32, at: i32| {
                    let value = asked(&mut caller, key);
                    let memory = memory(&mut caller);
                    memory
                        .write(&mut caller, at.try_into().unwrap(), &value)
                        .unwrap();
                },
            )
            .unwrap();
        linker.define_unknown_imports_as_traps(&module).unwrap();
        let host = Host {
            input: vec![],
            reads: 0,
        };
        let mut store = WasmStore::new(&engine, host);
        let instance = linker.instantiate(&mut store, &module).unwrap();
        Self { store, instance }
    }

    fn limit(&mut self, bytes: i32) {
        let export = self
            .instance
            .get_typed_func::<i32, ()>(&mut self.store, CACHE_LIMIT);
        export.unwrap().call(&mut self.store, bytes).unwrap();
    }

    fn view(&mut self, name: &str, height: u32, input: &[u8]) -> Vec<u8> {
        self.store.data_mut().input = [&height.to_le_bytes()[..], input].concat();
        let view = self
            .instance
            .get_typed_func::<(), i32>(&mut self.store, name);
        let pointer = view.unwrap().call(&mut self.store, ()).unwrap();
        let memory = self.memory();
        buffer(&memory, &self.store, pointer)
    }

    fn memory(&mut self) -> Memory {
        self.instance.get_memory(&mut self.store, "memory").unwrap()
    }

    fn memory_bytes(&mut self) -> usize {
        let memory = self.memory();
        memory.data_size(&self.store)
    }

    fn reads(&self) -> u64 {
        self.store.data().reads
    }

    /// Of `ledger`'s view `stats`: hits, misses, evictions, items, bytes, limit.
    fn stats(&mut self) -> [u64; 6] {
        let stats = self.view("stats", 0, b"");
        let wide = |at: usize| u64::from_le_bytes(stats[at..at + 8].try_into().unwrap());
        let narrow = |at: usize| u32::from_le_bytes(stats[at..at + 4].try_into().unwrap()).into();
        [
            wide(0),
            wide(8),
            wide(16),
            narrow(24),
            narrow(28),
            narrow(32),
        ]
    }
}

#[test]
fn every_sdk_guest_takes_a_limit_and_some_promise_to_keep_heights_apart() {
    for (name, promises) in [
        ("addresses", true),
        ("blocks", true),
        ("ledger", true),
        ("memo", false),
        ("session", true),
    ] {
        let module = Module::new(&Engine::default(), wasm(name)).unwrap();
        let Some(ExternType::Func(limit)) = module.get_export(CACHE_LIMIT) else {
            panic!("{name} takes no limit");
        };
        assert!(limit.params().len() == 1 && limit.params().all(|param| param.is_i32()));
        assert_eq!(limit.results().len(), 0);
        let marker = module.get_export(HEIGHT_PARTITIONED);
        assert_eq!(marker.is_some(), promises, "{name}");
        // The host takes every `() -> i32` for a view.
        if let Some(ExternType::Func(marker)) = marker {
            assert_eq!(marker.results().len(), 0);
        }
    }
}

#[test]
fn only_the_ledger_asks_for_memory_across_blocks() {
    for name in ["addresses", "blocks", "ledger", "memo", "session"] {
        let module = Module::new(&Engine::default(), wasm(name)).unwrap();
        let marker = module.get_export("__metashrew_memory_across_blocks");
        assert_eq!(marker.is_some(), name == "ledger", "{name}");
    }
}

#[test]
fn a_warm_view_asks_the_host_for_nothing() {
    let mut ledger = Guest::new("ledger");
    let accounts: Vec<u8> = (0..1000u32).map(|number| number.to_le_bytes()[0]).collect();
    let first = ledger.view("sum", 5, &accounts);
    // 64 accounts and the newest block.
    assert_eq!(ledger.reads(), 65);
    for _ in 0..3 {
        assert_eq!(ledger.view("sum", 5, &accounts), first);
    }
    assert_eq!(ledger.reads(), 65);
    assert_ne!(ledger.view("sum", 6, &accounts), first);
    assert_eq!(ledger.reads(), 130);
    assert_eq!(ledger.view("sum", 5, &accounts), first);
    let [hits, misses, evictions, items, ..] = ledger.stats();
    assert_eq!(
        [hits, misses, evictions, items],
        [4 * 1001 + 1001 - 65 + 1001 - 65, 130, 0, 130]
    );
}

/// Fills both halves of the caches several times over: with values of up to 512
/// bytes, of up to 8, of up to 16,384, and of 512 again, so that what one kind left
/// has to serve the next.
fn fill(ledger: &mut Guest) {
    for (magnitude, count) in [(9, 16_000u32), (3, 40_000), (14, 1_500), (9, 16_000)] {
        for number in 0..count {
            let key = [&[magnitude], &number.to_le_bytes()[..]].concat();
            let height = number % 7;
            let answer = ledger.view("get", height, &key);
            assert_eq!(answer, value(&key, &height.to_le_bytes()));
        }
        for number in 0..count / 4 {
            let accounts = [&[magnitude], &number.to_le_bytes()[..]].concat();
            ledger.view("cached", number % 7, &accounts);
        }
    }
}

#[test]
fn a_full_cache_takes_little_more_memory_than_its_limit() {
    const LIMIT: usize = 8 << 20;
    let mut ledger = Guest::new("ledger");
    let empty = ledger.memory_bytes();
    ledger.limit(i32::try_from(LIMIT).unwrap());
    fill(&mut ledger);
    let [_, _, evictions, _, bytes, told] = ledger.stats();
    let [bytes, told] = [bytes, told].map(|bytes| usize::try_from(bytes).unwrap());
    assert_eq!(told, LIMIT);
    assert!(evictions > 0);
    assert!((LIMIT * 9 / 10..=LIMIT).contains(&bytes), "{bytes}");
    let grown = ledger.memory_bytes() - empty;
    assert!(grown <= LIMIT + LIMIT / 2, "{grown}");
}

/// Asks two runtimes for the same, at heights back and forth, over two chains.
fn check(name: &str, ask: &[(&str, &[u8])]) -> u64 {
    let wasm = wasm(name);
    let bench = Bench::over(&wasm, Store::in_memory(), |_| {});
    let reference = fresh(&wasm, &bench.store);
    for branch in [1, 2] {
        bench.index_to(6, branch);
        for height in [6, 1, 4, 6, 2, 3, 4, 1, 6, 5] {
            for (view, input) in ask {
                let at = BlockId::Height(height);
                let expect = reference.view_sync(view, input, &at).unwrap().bytes;
                assert_eq!(bench.view(view, input, &at), expect, "{view} at {height}");
            }
        }
        bench.store.rollback(Some(3)).unwrap();
    }
    bench.runtime.view_stats().calls.created
}

#[test]
fn one_instance_serves_every_block_of_a_chain_if_the_guest_promises() {
    let ask: [(&str, &[u8]); 4] = [
        ("get", b"tip"),
        ("sum", b""),
        ("cached", &[1, 2, 3]),
        ("cached", b""),
    ];
    // One for each chain.
    assert_eq!(check("ledger", &ask), 2);
}

#[test]
fn a_guest_that_keeps_heights_together_is_answered_right_all_the_same() {
    // One for each of six blocks of either chain.
    assert_eq!(check("memo", &[("get", b"tip"), ("sum", b"")]), 12);
}

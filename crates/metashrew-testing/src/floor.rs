//! The floor that benches compare with: a guest over hash maps and nothing else, in
//! the fastest engine settings found.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "this host is for guests known to be good"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::{HashMap, HashSet, HashSetExt};
use metashrew_abi::{buffer, flush, imports, many};
use wasmtime::{
    Caller, Config, Engine, Instance, InstanceAllocationStrategy, InstancePre, Linker, Memory,
    Module, PoolingAllocationConfig, Store, TypedFunc,
};

/// What the guest runs over.
#[derive(Debug, Default)]
pub struct Host {
    memory: Option<Memory>,
    input: Vec<u8>,
    state: HashMap<Bytes, Bytes>,
    writes: Vec<(Bytes, Bytes)>,
    /// The keys asked for, where they are wanted.
    reads: Option<Vec<Bytes>>,
    /// The answer that `load_answer` gives.
    kept: Vec<u8>,
    written: Written,
}

impl Host {
    fn read(&mut self, key: &[u8]) -> Option<&Bytes> {
        if let Some(reads) = &mut self.reads {
            reads.push(Bytes::copy_from_slice(key));
        }
        self.state.get(key)
    }
}

/// What a guest has written so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Written {
    /// Pairs; a key counts as often as it is written.
    pub keys: u64,
    /// Bytes of those keys and values.
    pub bytes: u64,
}

/// A guest that is given one block after the other.
pub struct Floor<'guest> {
    guest: &'guest InstancePre<Host>,
    host: Host,
}

impl<'guest> Floor<'guest> {
    /// Over an empty state.
    pub fn new(guest: &'guest InstancePre<Host>) -> Self {
        let host = Host::default();
        Self { guest, host }
    }

    /// Runs the next block, on a fresh instance.
    pub fn index(&mut self, height: u32, bytes: &[u8]) {
        let host = std::mem::take(&mut self.host);
        self.host = block(self.guest, host, height, bytes);
    }

    /// The state: every key with its last value, in no order.
    pub fn state(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.host.state.iter()
    }

    /// What was written up to now.
    pub fn written(&self) -> Written {
        self.host.written
    }
}

/// The time of a block: every block on a fresh instance, a first run thrown away.
pub fn run(guest: &InstancePre<Host>, first: u32, blocks: &[Bytes]) -> Duration {
    let last = blocks.last().expect("a workload has blocks");
    block(guest, Host::default(), first, last);
    let mut host = Host::default();
    let begun = Instant::now();
    for (height, bytes) in (first..).zip(blocks) {
        host = block(guest, host, height, bytes);
    }
    begun.elapsed() / u32::try_from(blocks.len()).expect("few blocks")
}

/// The different keys that each block reads, in their order.
pub fn reads(guest: &InstancePre<Host>, first: u32, blocks: &[Bytes]) -> Vec<Vec<Bytes>> {
    let mut host = Host::default();
    (first..)
        .zip(blocks)
        .map(|(height, bytes)| {
            host.reads = Some(Vec::new());
            host = block(guest, std::mem::take(&mut host), height, bytes);
            let mut seen = HashSet::new();
            let mut reads = host.reads.take().unwrap_or_default();
            reads.retain(|key| seen.insert(key.clone()));
            reads
        })
        .collect()
}

/// A view on one instance that persists, of a state that does not change.
pub struct BareView {
    store: Store<Host>,
    instance: Instance,
    height: u32,
}

impl BareView {
    /// After the one block at `height`.
    pub fn after(guest: &InstancePre<Host>, height: u32, bytes: &[u8]) -> Self {
        let host = block(guest, Host::default(), height, bytes);
        let (store, instance) = instantiate(guest, host);
        Self {
            store,
            instance,
            height,
        }
    }

    /// Gives the next calls their input.
    pub fn set_input(&mut self, input: &[u8]) {
        self.store.data_mut().input = [&self.height.to_le_bytes(), input].concat();
    }

    /// The view called `name`.
    pub fn view(&mut self, name: &str) -> TypedFunc<(), i32> {
        let view = self.instance.get_typed_func(&mut self.store, name);
        view.expect("the guest has it")
    }

    /// Calls a view; answers the pointer to its answer.
    pub fn call(&mut self, view: &TypedFunc<(), i32>) -> i32 {
        view.call(&mut self.store, ()).expect("it answers")
    }
}

fn instantiate(guest: &InstancePre<Host>, host: Host) -> (Store<Host>, Instance) {
    let mut store = Store::new(guest.module().engine(), host);
    let instance = guest.instantiate(&mut store).expect("it instantiates");
    store.data_mut().memory = instance.get_memory(&mut store, imports::MEMORY);
    (store, instance)
}

fn block(guest: &InstancePre<Host>, mut host: Host, height: u32, block: &[u8]) -> Host {
    host.input = [&height.to_le_bytes(), block].concat();
    let (mut store, instance) = instantiate(guest, host);
    instance
        .get_typed_func::<(), ()>(&mut store, imports::START)
        .expect("it has a start")
        .call(&mut store, ())
        .expect("it takes the block");
    let mut host = store.into_data();
    host.written.keys += host.writes.len() as u64;
    let bytes = |(key, value): &(Bytes, Bytes)| (key.len() + value.len()) as u64;
    host.written.bytes += host.writes.iter().map(bytes).sum::<u64>();
    host.state.extend(host.writes.drain(..));
    host
}

/// Compiles and links a guest.
pub fn link(wasm: &[u8]) -> InstancePre<Host> {
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(512 << 20)
        .max_memory_size(1 << 32)
        .table_elements(1_000_000)
        .total_memories(4)
        .total_tables(4)
        .total_core_instances(4);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false);
    let engine = Engine::new(&config).expect("an engine");
    let module = Module::new(&engine, wasm).expect("a module");
    let mut linker = Linker::new(&engine);
    provide(&mut linker).expect("names are linked once");
    linker
        .define_unknown_imports_as_traps(&module)
        .expect("only functions are missing");
    linker.instantiate_pre(&module).expect("imports fit")
}

fn provide(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let env = imports::MODULE;
    linker.func_wrap(env, imports::HOST_LEN, |caller: Caller<'_, Host>| {
        caller.data().input.len() as i32
    })?;
    linker.func_wrap(
        env,
        imports::LOAD_INPUT,
        |mut caller: Caller<'_, Host>, at: i32| {
            let (memory, host) = parts(&mut caller);
            memory[at as usize..][..host.input.len()].copy_from_slice(&host.input);
        },
    )?;
    linker.func_wrap(
        env,
        imports::GET_LEN,
        |mut caller: Caller<'_, Host>, key: i32| {
            let (memory, host) = parts(&mut caller);
            let key = buffer::at(memory, key as u32).expect("a good pointer");
            host.read(key).map_or(0, |value| value.len() as i32)
        },
    )?;
    linker.func_wrap(
        env,
        imports::GET,
        |mut caller: Caller<'_, Host>, key: i32, at: i32| {
            let (memory, host) = parts(&mut caller);
            let key = buffer::at(memory, key as u32).expect("a good pointer");
            if let Some(value) = host.state.get(key) {
                memory[at as usize..][..value.len()].copy_from_slice(value);
            }
        },
    )?;
    linker.func_wrap(
        env,
        imports::FLUSH,
        |mut caller: Caller<'_, Host>, at: i32| {
            let (memory, host) = parts(&mut caller);
            let message = buffer::at(memory, at as u32).expect("a good pointer");
            let message = Bytes::copy_from_slice(message);
            let flush = flush::decode(&message).expect("a good flush");
            let shared = |(key, value)| (message.slice_ref(key), message.slice_ref(value));
            host.writes.extend(flush.pairs().map(shared));
        },
    )?;
    linker.func_wrap(env, imports::LOG, |_: Caller<'_, Host>, _: i32| {})?;
    provide_many(linker)
}

/// Of the optional module, what blocks of the guests use.
fn provide_many(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let optional = imports::OPTIONAL_MODULE;
    linker.func_wrap(
        optional,
        imports::READ_MANY,
        |mut caller: Caller<'_, Host>, keys: i32| {
            let (memory, host) = parts(&mut caller);
            let keys = buffer::at(memory, keys as u32).expect("a good pointer");
            let mut answer = many::AnswerBuilder::new(std::mem::take(&mut host.kept));
            for key in many::Keys::decode(keys).expect("a good request").iter() {
                let value = host.read(key).map_or(&[][..], |value| value);
                answer.push(value).expect("an answer of the size allowed");
            }
            host.kept = answer.finish();
            host.kept.len() as i32
        },
    )?;
    linker.func_wrap(
        optional,
        imports::LOAD_ANSWER,
        |mut caller: Caller<'_, Host>, at: i32| {
            let (memory, host) = parts(&mut caller);
            memory[at as usize..][..host.kept.len()].copy_from_slice(&host.kept);
        },
    )?;
    Ok(())
}

fn parts<'a>(caller: &'a mut Caller<'_, Host>) -> (&'a mut [u8], &'a mut Host) {
    let memory = caller.data().memory.expect("the instance is complete");
    memory.data_and_store_mut(caller)
}

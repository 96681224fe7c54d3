//! The host functions: one table for indexing, views and previews, which differ
//! by the call in the [`Context`] only. Those of the module `metashrew` are in `optional.rs`.

use std::borrow::Cow;
use std::pin::pin;

use metashrew_abi::buffer::HEIGHT_BYTES;
use metashrew_abi::{flush, imports};
use metashrew_store::{WRITE_OVERHEAD, wait};
use wasmtime::{Caller, Engine, ExternType, Linker, Module};

use crate::context::{Call, Context};
use crate::error::{GuestBacktrace, GuestFault, HostFault, LoadError};
use crate::fault::Fault;
use crate::memory::GuestMemory;
use crate::observe::{Event, called, returned};
use crate::optional;

/// Longest text taken from one `__log`, `abort` or error of a view, in bytes.
pub(crate) const MAX_TEXT: usize = 64 * 1024;

/// What waits for a read that is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The thread that runs the guest. Nothing is paid for it while reads are ready.
    Thread,
    /// The fibre that runs the guest: its thread does something else meanwhile. Every call
    /// must run on one, and each read allocates a little.
    Fibre,
}

/// Links the host functions, and a trap that names itself for every other
/// function that `module` imports.
pub(crate) fn linker(
    engine: &Engine,
    module: &Module,
    waits: Waits,
) -> Result<Linker<Context>, LoadError> {
    let mut linker = Linker::new(engine);
    let provided = provide(&mut linker)
        .and_then(|()| optional::provide(&mut linker))
        .and_then(|()| match waits {
            Waits::Thread => provide_reads(&mut linker),
            Waits::Fibre => provide_reads_on_fibres(&mut linker),
        });
    provided.map_err(|error| LoadError::Engine(format!("{error:#}")))?;
    for import in module.imports() {
        if imports::is_provided(import.module(), import.name()) {
            continue;
        }
        let ExternType::Func(ty) = import.ty() else {
            return Err(LoadError::Import(format!(
                "`{}.{}` is not a function; a guest has its own memory, tables and globals",
                import.module(),
                import.name()
            )));
        };
        let (module, name) = (import.module().to_owned(), import.name().to_owned());
        linker
            .func_new(import.module(), import.name(), ty, move |_, _, _| {
                Err(wasmtime::Error::new(Fault::Guest(
                    GuestFault::UnknownImport {
                        module: module.clone(),
                        name: name.clone(),
                        backtrace: GuestBacktrace::default(),
                    },
                )))
            })
            .ok(); // a name imported twice is linked already
    }
    Ok(linker)
}

fn provide(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let module = imports::MODULE;
    linker.func_wrap(
        module,
        imports::HOST_LEN,
        |mut caller: Caller<'_, Context>| {
            watched(&mut caller, imports::HOST_LEN, |caller| host_len(caller))
        },
    )?;
    linker.func_wrap(
        module,
        imports::LOAD_INPUT,
        |mut caller: Caller<'_, Context>, pointer: i32| {
            watched(&mut caller, imports::LOAD_INPUT, |caller| {
                load_input(caller, pointer)
            })
        },
    )?;
    linker.func_wrap(
        module,
        imports::FLUSH,
        |mut caller: Caller<'_, Context>, pointer: i32| {
            watched(&mut caller, imports::FLUSH, |caller| flush(caller, pointer))
        },
    )?;
    linker.func_wrap(
        module,
        imports::LOG,
        |mut caller: Caller<'_, Context>, pointer: i32| {
            watched(&mut caller, imports::LOG, |caller| log(caller, pointer))
        },
    )?;
    linker.func_wrap(
        module,
        imports::ABORT,
        |mut caller: Caller<'_, Context>, message: i32, file: i32, line: i32, column: i32| {
            watched::<()>(&mut caller, imports::ABORT, |caller| {
                Err(abort(caller, message, file, line, column))
            })
        },
    )?;
    Ok(())
}

fn provide_reads(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let module = imports::MODULE;
    linker.func_wrap(
        module,
        imports::GET_LEN,
        |mut caller: Caller<'_, Context>, key: i32| {
            watched(&mut caller, imports::GET_LEN, |caller| {
                wait(pin!(get_len(caller, key)))
            })
        },
    )?;
    linker.func_wrap(
        module,
        imports::GET,
        |mut caller: Caller<'_, Context>, key: i32, pointer: i32| {
            watched(&mut caller, imports::GET, |caller| {
                wait(pin!(get(caller, key, pointer)))
            })
        },
    )?;
    Ok(())
}

fn provide_reads_on_fibres(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let module = imports::MODULE;
    linker.func_wrap_async(
        module,
        imports::GET_LEN,
        |mut caller: Caller<'_, Context>, (key,): (i32,)| {
            Box::new(async move {
                called(&caller, imports::GET_LEN);
                let length = traps(get_len(&mut caller, key).await);
                returned(&caller, imports::GET_LEN, length)
            })
        },
    )?;
    linker.func_wrap_async(
        module,
        imports::GET,
        |mut caller: Caller<'_, Context>, (key, pointer): (i32, i32)| {
            Box::new(async move {
                called(&caller, imports::GET);
                let got = traps(get(&mut caller, key, pointer).await);
                returned(&caller, imports::GET, got)
            })
        },
    )?;
    Ok(())
}

/// Runs a host function, and tells whoever watches when it begins and ends.
pub(crate) fn watched<T>(
    caller: &mut Caller<'_, Context>,
    function: &'static str,
    run: impl FnOnce(&mut Caller<'_, Context>) -> Result<T, Fault>,
) -> wasmtime::Result<T> {
    called(caller, function);
    let result = traps(run(caller));
    returned(caller, function, result)
}

pub(crate) fn traps<T>(result: Result<T, Fault>) -> wasmtime::Result<T> {
    result.map_err(wasmtime::Error::new)
}

pub(crate) fn running(call: &mut Option<Call>) -> Result<&mut Call, Fault> {
    call.as_mut().ok_or_else(idle)
}

/// Reached only if an instance ran outside a call, which would be our fault.
fn idle() -> Fault {
    Fault::Host(HostFault::Resources("no call is under way".to_owned()))
}

/// A length as wasm takes it: inputs, values and answers are far below 2 GiB.
pub(crate) fn wasm_length(length: usize) -> Result<i32, Fault> {
    i32::try_from(length)
        .map_err(|_| Fault::Host(HostFault::Resources(format!("{length} bytes do not fit"))))
}

fn host_len(caller: &Caller<'_, Context>) -> Result<i32, Fault> {
    let context = caller.data();
    let call = context.call.as_ref().ok_or_else(idle)?;
    wasm_length(HEIGHT_BYTES + call.payload(&context.buffers).len())
}

fn load_input(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<(), Fault> {
    let (mut memory, context) = GuestMemory::of(caller, imports::LOAD_INPUT)?;
    let call = running(&mut context.call)?;
    let payload = call.payload(&context.buffers);
    let bytes = HEIGHT_BYTES + payload.len();
    call.watch().tell(Event::Input { bytes })?;
    memory.write(pointer, &[&call.height().to_le_bytes(), payload])
}

async fn get_len(caller: &mut Caller<'_, Context>, key: i32) -> Result<i32, Fault> {
    let (memory, context) = GuestMemory::of(caller, imports::GET_LEN)?;
    wasm_length(context.read(memory.buffer(key)?).await?.len())
}

async fn get(caller: &mut Caller<'_, Context>, key: i32, pointer: i32) -> Result<(), Fault> {
    let (mut memory, context) = GuestMemory::of(caller, imports::GET)?;
    let value = context.read(memory.buffer(key)?).await?;
    memory.write(pointer, &[value])
}

fn flush(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<(), Fault> {
    let (memory, context) = GuestMemory::of(caller, imports::FLUSH)?;
    let call = running(&mut context.call)?;
    if !call.collects_writes() {
        return Ok(());
    }
    let message = memory.buffer(pointer)?;
    let flush = flush::decode(message).map_err(|error| Fault::Guest(error.into()))?;
    let added = flush.bytes() + flush.len() * WRITE_OVERHEAD;
    context.allowance.hold(call.held_bytes() + added)?;
    call.write(flush)
}

fn log(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<(), Fault> {
    let (memory, context) = GuestMemory::of(caller, imports::LOG)?;
    let text = memory.buffer(pointer)?;
    let call = running(&mut context.call)?;
    if let Some(log) = call.run_log() {
        log.add(text);
    }
    // Most hosts leave out what guests log: then it costs nothing more.
    let is_shown = tracing::enabled!(target: "metashrew::guest", tracing::Level::INFO);
    if !call.logs() || !is_shown && !call.watch().is_watched() {
        return Ok(());
    }
    let text = self::text(text);
    call.watch().tell(Event::Log { text: &text })?;
    let height = call.height();
    tracing::info!(target: "metashrew::guest", height, "{}", text.trim_end());
    Ok(())
}

/// The text that a guest means by `bytes`: not more than may be, and readable.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let mut text = String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes));
    // What stands for bytes that are no text is longer than they are.
    if text.len() > MAX_TEXT {
        let end = text.floor_char_boundary(MAX_TEXT);
        text.to_mut().truncate(end);
    }
    text
}

fn abort(
    caller: &mut Caller<'_, Context>,
    message: i32,
    file: i32,
    line: i32,
    column: i32,
) -> Fault {
    match GuestMemory::of(caller, imports::ABORT) {
        Ok((memory, _)) => Fault::Guest(GuestFault::Abort {
            message: utf16(&memory, message),
            file: utf16(&memory, file),
            line: line.cast_unsigned(),
            column: column.cast_unsigned(),
            backtrace: GuestBacktrace::default(),
        }),
        Err(fault) => fault,
    }
}

/// AssemblyScript text; null is none, and what cannot be read is said to be so,
/// since the guest is about to end anyway.
fn utf16(memory: &GuestMemory<'_>, pointer: i32) -> String {
    if pointer == 0 {
        return String::new();
    }
    let Ok(bytes) = memory.buffer(pointer) else {
        return format!("<no text at {pointer:#x}>");
    };
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let units = bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

//! The host functions of the module `metashrew`, which a guest need not import: many keys in
//! one call, and keys in order. The guest loads the answer with a second call.
//!
//! They are the same for all calls, on all linkers. A range can be long, so its work ends with
//! the call's time, and gives way, like the guest's own; every call of one is on a fibre.

use std::ops::Bound;

use metashrew_abi::range::{self, Request};
use metashrew_abi::{Malformed, imports, many};
use metashrew_store::{Direction, StateScan, Step};
use wasmtime::{Caller, Linker};

use crate::context::{Call, Context, GroupSize, HeldReads};
use crate::deadline::{Deadline, Pace};
use crate::error::{GuestBacktrace, GuestFault};
use crate::fault::Fault;
use crate::host::{running, traps, wasm_length, watched};
use crate::instance::SMALL;
use crate::limits::Allowance;
use crate::memory::GuestMemory;
use crate::observe::{Event, called, returned};
use crate::read_time::CallReads;

/// Links them.
pub(crate) fn provide(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let module = imports::OPTIONAL_MODULE;
    linker.func_wrap_async(
        module,
        imports::READ_MANY,
        |mut caller: Caller<'_, Context>, (keys,): (i32,)| {
            Box::new(async move {
                called(&caller, imports::READ_MANY);
                let length = traps(read_many(&mut caller, keys).await);
                returned(&caller, imports::READ_MANY, length)
            })
        },
    )?;
    linker.func_wrap_async(
        module,
        imports::READ_RANGE,
        |mut caller: Caller<'_, Context>, (request,): (i32,)| {
            Box::new(async move {
                called(&caller, imports::READ_RANGE);
                let length = traps(read_range(&mut caller, request).await);
                returned(&caller, imports::READ_RANGE, length)
            })
        },
    )?;
    linker.func_wrap(
        module,
        imports::LOAD_ANSWER,
        |mut caller: Caller<'_, Context>, pointer: i32| {
            watched(&mut caller, imports::LOAD_ANSWER, |caller| {
                load_answer(caller, pointer)
            })
        },
    )?;
    Ok(())
}

/// What was read at once, until the guest loads it. A small buffer serves one answer after the
/// other.
#[derive(Default)]
pub(crate) struct KeptAnswer {
    bytes: Vec<u8>,
    is_there: bool,
}

impl KeptAnswer {
    /// The buffer for the next answer: the one before is gone.
    fn buffer(&mut self) -> Vec<u8> {
        self.is_there = false;
        std::mem::take(&mut self.bytes)
    }

    /// Keeps an answer, and tells its length.
    fn keep(&mut self, answer: Vec<u8>) -> Result<i32, Fault> {
        self.bytes = answer;
        self.is_there = true;
        wasm_length(self.bytes.len())
    }

    /// Forgets what was loaded, or what a call left. A small buffer stays.
    pub(crate) fn clear(&mut self) {
        self.is_there = false;
        self.bytes.clear();
        self.bytes.shrink_to(SMALL);
    }
}

async fn read_many(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<i32, Fault> {
    let (memory, context) = GuestMemory::of(caller, imports::READ_MANY)?;
    let buffer = context.answer.buffer();
    let answer = match many::Keys::decode(memory.buffer(pointer)?) {
        Ok(keys) => {
            let call = running(&mut context.call)?;
            let values = values(
                call,
                &mut context.allowance,
                &context.deadline,
                keys,
                buffer,
            );
            context.deadline.bound(Box::pin(values)).await??
        }
        Err(many::RequestError::Refused(error)) => Err(error),
        Err(many::RequestError::Malformed(reason)) => {
            return Err(bad_request(imports::READ_MANY, reason));
        }
    };
    match answer {
        Ok(answer) => context.answer.keep(answer),
        Err(error) => {
            context.allowance.release_reads();
            Ok(error.code())
        }
    }
}

/// The answer to a request for the values of `keys`.
async fn values(
    call: &mut Call,
    allowance: &mut Allowance,
    deadline: &Deadline,
    keys: many::Keys<'_>,
    buffer: Vec<u8>,
) -> Result<Result<Vec<u8>, many::ReadManyError>, Fault> {
    let mut answer = many::AnswerBuilder::new(buffer);
    let mut pace = Pace::new(deadline);
    let mut size = GroupSize::default();
    let mut held = HeldReads::new(allowance, keys.len() * size_of::<&[u8]>())?;
    let keys: Vec<_> = keys.iter().collect();
    let mut rest = &keys[..];
    while !rest.is_empty() {
        let group = call
            .find_many(rest, &mut size, &mut pace, &mut held)
            .await?;
        held.hold_for_block(call.held_bytes())?;
        let (read, others) = rest.split_at_checked(group.len()).unwrap_or((rest, &[]));
        for (key, found) in read.iter().zip(&group) {
            pace.step(|| call.is_cancelled()).await?;
            let value = call.told(key, found)?;
            pace.handled(value.len());
            if let Ok(room) = answer.room_for(value) {
                held.hold_answer(room)?;
                answer.reserve(room);
            }
            if let Err(error) = answer.push(value) {
                return Ok(Err(error));
            }
        }
        rest = others;
    }
    held.keep_answer();
    Ok(Ok(answer.finish()))
}

async fn read_range(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<i32, Fault> {
    let (memory, context) = GuestMemory::of(caller, imports::READ_RANGE)?;
    let buffer = context.answer.buffer();
    let request = Request::decode(memory.buffer(pointer)?)
        .map_err(|reason| bad_request(imports::READ_RANGE, reason))?;
    let call = running(&mut context.call)?;
    let pairs = pairs(
        call,
        &mut context.allowance,
        &context.deadline,
        &request,
        buffer,
    );
    let answer = context.deadline.bound(Box::pin(pairs)).await??;
    context.answer.keep(answer)
}

/// The answer to a request for the keys of a range.
async fn pairs(
    call: &mut Call,
    allowance: &mut Allowance,
    deadline: &Deadline,
    request: &Request<'_>,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let since = call.timed_reads().map(|_| CallReads::now());
    let mut answer = range::AnswerBuilder::new(request, buffer);
    let mut pace = Pace::new(deadline);
    let mut scan = begin(call, request)?;
    let (mut found, mut bytes) = (0, 0);
    let mut complete = false;
    while !answer.is_full() {
        pace.step(|| call.is_cancelled()).await?;
        let (key, version) = match scan.step().await? {
            Step::Entry(key, version) => (key, version),
            Step::Passed => continue,
            Step::End => {
                complete = true;
                break;
            }
        };
        pace.handled(version.value.len());
        if version.value.is_empty() {
            continue;
        }
        let room = answer.room_for(&key, &version.value);
        allowance.hold_for_reads(room)?;
        answer.reserve(room);
        answer.push(&key, &version.value);
        call.note_found(&key, &version, !request.keys_only)?;
        found += 1;
        bytes += version.value.len() as u64;
    }
    if let (Some(reads), Some(since)) = (call.timed_reads(), since) {
        reads.add_range(found, bytes, since);
    }
    call.watch().tell(Event::RangeEnd { complete })?;
    Ok(answer.finish())
}

fn begin(call: &mut Call, request: &Request<'_>) -> Result<StateScan, Fault> {
    call.watch().tell(Event::Range {
        start: request.start,
        end: request.end,
        descending: request.descending,
        keys_only: request.keys_only,
    })?;
    let direction = if request.descending {
        Direction::Back
    } else {
        Direction::Forward
    };
    let end = if request.end.is_empty() {
        Bound::Unbounded
    } else {
        Bound::Excluded(request.end)
    };
    Ok(call.scan(Bound::Included(request.start), end, direction))
}

fn load_answer(caller: &mut Caller<'_, Context>, pointer: i32) -> Result<(), Fault> {
    let (mut memory, context) = GuestMemory::of(caller, imports::LOAD_ANSWER)?;
    if !context.answer.is_there {
        return Err(Fault::Guest(GuestFault::NoAnswer {
            backtrace: GuestBacktrace::default(),
        }));
    }
    memory.write(pointer, &[&context.answer.bytes])?;
    context.answer.clear();
    context.allowance.release_reads();
    Ok(())
}

fn bad_request(function: &'static str, reason: Malformed) -> Fault {
    Fault::Guest(GuestFault::BadRequest {
        function,
        reason,
        backtrace: GuestBacktrace::default(),
    })
}

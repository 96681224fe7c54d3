//! Runs a script with the SDK; what each operation answered.

use super::ops::{self, Op, Out, Spec};
use metashrew_core::host::{self, RangeRequest};
use metashrew_core::index_pointer::{AtomicPointer, IndexPointer};
use metashrew_core::range::{Cursor, Entry, Page, Range, RangeError};
use metashrew_core::{CacheAllocationMode, set_cache_mode};
use metashrew_support::index_pointer::KeyValuePointer;
use std::cell::Cell;
use std::sync::Arc;

metashrew_core::call_local! {
    static FLAG: Cell<bool> = Cell::new(false);
}

/// Runs a script: its answers.
pub(crate) fn run(script: impl Iterator<Item = Op>) -> Vec<u8> {
    let mut out = Out::default();
    let mut atomic = AtomicPointer::default();
    for op in script {
        step(op, &mut atomic, &mut out);
    }
    out.0
}

fn step(op: Op, atomic: &mut AtomicPointer, out: &mut Out) {
    match op {
        Op::Get(key) => drop(out.bytes(&metashrew_core::get(Arc::new(key)))),
        Op::Set(key, value) => metashrew_core::set(Arc::new(key), Arc::new(value)),
        Op::Flush => metashrew_core::flush(),
        Op::Reset => metashrew_core::reset(),
        Op::Publish => metashrew_core::flush_to_lru(),
        Op::Limit(bytes) => metashrew_core::set_cache_memory_limit(bytes as usize),
        Op::Many(keys) => {
            let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
            for value in metashrew_core::read_many(&keys) {
                out.bytes(&value);
            }
        }
        Op::HostMany(keys) => {
            for value in host::read_many(&keys).iter() {
                out.bytes(value);
            }
        }
        Op::HostRange(spec) => host_range(&spec, out),
        Op::Page(spec) => page(&range(&spec).page(), out),
        Op::Walk(spec) => walk(range(&spec), out),
        Op::Iterate(spec, writes) => iterate(&range(&spec), writes, out),
        Op::AtomicSet(key, value) => {
            let mut pointer = atomic.derive(&IndexPointer::wrap(&key));
            pointer.set(Arc::new(value));
        }
        Op::Checkpoint => atomic.checkpoint(),
        Op::Commit if atomic.checkpoint_depth() > 1 => atomic.commit(),
        Op::Rollback if atomic.checkpoint_depth() > 1 => atomic.rollback(),
        Op::Commit | Op::Rollback => (),
        Op::Finish => {
            while atomic.checkpoint_depth() > 1 {
                atomic.commit();
            }
            atomic.commit();
            *atomic = AtomicPointer::default();
        }
        Op::AtomicPage(spec) => page(&atomic.page(&range(&spec)), out),
        Op::Append(list, value) => pointer(list).append(Arc::new(value)),
        Op::Pop(list) => drop(out.bytes(&pointer(list).pop())),
        Op::List(list) => {
            let items = pointer(list).get_list();
            out.number(items.len());
            for item in items {
                out.bytes(&item);
            }
        }
        Op::HostFlush(pairs) => host::flush(pairs.iter().map(|(key, value)| (key, value))),
        op => of_the_call(op, out),
    }
}

/// What concerns the call and its caches. Of what was kept, it depends on earlier calls
/// whether it is there, and not what it is.
fn of_the_call(op: Op, out: &mut Out) {
    match op {
        Op::Clear => metashrew_core::clear(),
        Op::Look => drop(metashrew_core::input()),
        Op::Answer => drop(metashrew_support::compat::export_bytes(vec![1, 2, 3])),
        Op::Mode(true) => set_cache_mode(CacheAllocationMode::Indexer),
        Op::Mode(false) => set_cache_mode(CacheAllocationMode::View),
        Op::Keep(name, mut value) => {
            value.insert(0, name);
            metashrew_core::cache_set(name.to_string(), Arc::new(value));
        }
        Op::Kept(name) => {
            let kept = metashrew_core::cache_get(&name.to_string());
            out.byte(kept.is_none_or(|kept| kept.first() == Some(&name)).into());
        }
        Op::Drop(name) => {
            metashrew_core::cache_remove(&name.to_string());
            out.byte(
                metashrew_core::cache_get(&name.to_string())
                    .is_none()
                    .into(),
            );
        }
        Op::Flag => drop(out.byte(FLAG.replace(true).into())),
        _ => unreachable!("it is run elsewhere"),
    }
}

fn pointer(list: u8) -> IndexPointer {
    IndexPointer::wrap(&ops::list(list))
}

fn range(spec: &Spec) -> Range {
    let mut range = if spec.prefix {
        Range::prefix(&spec.start)
    } else {
        Range::between(&*spec.start, &*spec.end)
    };
    if spec.reverse {
        range = range.reverse();
    }
    if spec.keys_only {
        range = range.keys_only();
    }
    if let Some(limit) = spec.limit {
        range = range.limit(limit as usize);
    }
    if let Some(bytes) = spec.max_bytes {
        range = range.max_bytes(bytes as usize);
    }
    if let Some(after) = &spec.after {
        range = range.after(&Cursor::from_bytes(&**after));
    }
    range
}

fn entries(entries: &[Entry], out: &mut Out) {
    out.number(entries.len());
    for entry in entries {
        out.bytes(&entry.key).bytes(&entry.value);
    }
}

fn page(page: &Result<Page, RangeError>, out: &mut Out) {
    match page {
        Ok(page) => {
            entries(&page.entries, out.byte(0));
            let next = page.next.as_ref().map(Cursor::to_bytes);
            out.byte(next.is_some().into());
            out.bytes(&next.unwrap_or_default());
        }
        Err(error) => failed(error, out),
    }
}

fn failed(error: &RangeError, out: &mut Out) {
    match error {
        RangeError::CursorOutside => drop(out.byte(1)),
        RangeError::Limit { .. } => drop(out.byte(2)),
        RangeError::MaxBytes { .. } => drop(out.byte(3)),
        RangeError::EntryTooLarge { key, bytes, .. } => {
            out.byte(4).bytes(key).number(*bytes);
        }
    }
}

fn walk(mut range: Range, out: &mut Out) {
    loop {
        let answer = range.page();
        page(&answer, out);
        match answer {
            Ok(Page {
                next: Some(next), ..
            }) => {
                range = range.after(&Cursor::from_bytes(next.to_bytes()));
            }
            // What is too large for a page is passed over.
            Err(RangeError::EntryTooLarge { key, .. }) => {
                range = range.after(&Cursor::from_bytes(key));
            }
            _ => return,
        }
    }
}

fn iterate(range: &Range, writes: Vec<(Vec<u8>, Vec<u8>)>, out: &mut Out) {
    let mut writes = writes.into_iter();
    for entry in range {
        match entry {
            Ok(entry) => entries(&[entry], out),
            Err(error) => failed(&error, out),
        }
        if let Some((key, value)) = writes.next() {
            metashrew_core::set(Arc::new(key), Arc::new(value));
        }
    }
    out.number(0);
}

fn host_range(spec: &Spec, out: &mut Out) {
    let request = RangeRequest {
        descending: spec.reverse,
        keys_only: spec.keys_only,
        max_count: spec.limit.unwrap_or(10),
        max_bytes: spec.max_bytes.unwrap_or(1 << 20),
        start: &spec.start,
        end: &spec.end,
    };
    host::read_range(&request, |answer| {
        for pair in answer.pairs() {
            out.bytes(pair.key).number(pair.value_len as usize);
            out.bytes(pair.value);
        }
        // How it ended, as the bound that was met tells: docs/abi.md.
        let ended = format!("{:?}", answer.end());
        out.bytes(ended.as_bytes());
    });
}

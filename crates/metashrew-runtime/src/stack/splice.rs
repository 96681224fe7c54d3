//! Writes the module that counts its stack: one global more, and code around the calls that
//! are counted. Everything else is copied byte by byte.

use std::ops::Range;

use wasmparser::{BinaryReaderError, Parser, Payload, WasmFeatures};

use super::LIMIT;
use super::graph::CountedCall;
use super::offsets::Offsets;

const CUSTOM_SECTION: u8 = 0;
const GLOBAL_SECTION: u8 = 6;
const CODE_SECTION: u8 = 10;

/// The sections that come before that of the globals: tags are numbered out of order.
const BEFORE_GLOBALS: [u8; 6] = [1, 2, 3, 4, 5, 13];

const I32: u8 = 0x7f;
const MUTABLE: u8 = 1;
const EMPTY_BLOCK: u8 = 0x40;
const UNREACHABLE: u8 = 0x00;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const GLOBAL_GET: u8 = 0x23;
const GLOBAL_SET: u8 = 0x24;
const I32_CONST: u8 = 0x41;
const I32_LT_S: u8 = 0x48;
const I32_ADD: u8 = 0x6a;
const I32_SUB: u8 = 0x6b;

/// The module `wasm`, which has so many `globals`, with the stack counted at `calls`.
pub(super) fn splice(
    wasm: &[u8],
    globals: u32,
    calls: &[CountedCall],
) -> Result<(Vec<u8>, Offsets), BinaryReaderError> {
    let layout = Layout::of(wasm)?;
    let mut module = Written::new(wasm, wasm.len() + calls.len() * 32);
    let mut has_global = false;
    for (id, payload) in &layout.sections {
        let comes_before = *id == CUSTOM_SECTION || BEFORE_GLOBALS.contains(id);
        if *id == GLOBAL_SECTION {
            module.globals(&layout.global_entries, layout.global_count, payload.end);
            has_global = true;
            continue;
        }
        if !has_global && !comes_before {
            module.globals(&(module.copied..module.copied), 0, module.copied);
            has_global = true;
        }
        if *id == CODE_SECTION {
            module.code(payload, &layout.bodies, globals, calls);
        } else {
            module.copy_to(payload.end);
        }
    }
    module.copy_to(wasm.len());
    Ok((module.bytes, module.offsets))
}

/// Where the parts of a module are.
#[derive(Default)]
struct Layout {
    /// The sections, each with where its content is.
    sections: Vec<(u8, Range<usize>)>,
    global_count: u32,
    global_entries: Range<usize>,
    /// The bodies of all functions, without their lengths.
    bodies: Vec<Range<usize>>,
}

impl Layout {
    fn of(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut layout = Self::default();
        let mut parser = Parser::new(0);
        parser.set_features(WasmFeatures::all());
        for payload in parser.parse_all(wasm) {
            let payload = payload?;
            layout.sections.extend(payload.as_section());
            match payload {
                Payload::GlobalSection(section) => {
                    layout.global_count = section.count();
                    layout.global_entries = section.original_position()..section.range().end;
                }
                Payload::CodeSectionEntry(body) => layout.bodies.push(body.range()),
                _ => {}
            }
        }
        Ok(layout)
    }
}

/// A module, or a part of one, as far as it is written.
struct Written<'a> {
    wasm: &'a [u8],
    bytes: Vec<u8>,
    offsets: Offsets,
    /// How far the guest's bytes are copied.
    copied: usize,
}

impl<'a> Written<'a> {
    fn new(wasm: &'a [u8], capacity: usize) -> Self {
        Self {
            wasm,
            bytes: Vec::with_capacity(capacity),
            offsets: Offsets::default(),
            copied: 0,
        }
    }

    /// Copies the guest's bytes up to `end`.
    fn copy_to(&mut self, end: usize) {
        let copied = self.wasm.get(self.copied..end).unwrap_or_default();
        if !copied.is_empty() {
            self.offsets.push(self.bytes.len(), self.copied, false);
            self.bytes.extend_from_slice(copied);
        }
        self.copied = end;
    }

    fn add(&mut self, bytes: &[u8]) {
        self.offsets.push(self.bytes.len(), self.copied, true);
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts in the section of the guest's globals, or one in its place, which has the
    /// counter too.
    fn globals(&mut self, entries: &Range<usize>, count: u32, end: usize) {
        let mut content = leb(count + 1);
        content.extend_from_slice(self.wasm.get(entries.clone()).unwrap_or_default());
        content.extend_from_slice(&[I32, MUTABLE, I32_CONST]);
        content.extend(signed_leb(LIMIT.into()));
        content.push(END);
        self.add(&[GLOBAL_SECTION]);
        self.add(&leb(length(&content)));
        self.add(&content);
        self.copied = end;
    }

    /// Puts in the section of code.
    fn code(
        &mut self,
        payload: &Range<usize>,
        bodies: &[Range<usize>],
        counter: u32,
        calls: &[CountedCall],
    ) {
        let mut content = Written::new(self.wasm, payload.len() + calls.len() * 32);
        content.copied = payload.start;
        // The number of functions, and then each with its length in front.
        let number = self.wasm.get(payload.clone()).unwrap_or_default();
        let number = number.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        content.copy_to(payload.start + number);
        let mut calls = calls;
        for body in bodies {
            let here = calls.partition_point(|call| call.at.start < body.end);
            let (inside, after) = calls.split_at(here);
            calls = after;
            if inside.is_empty() {
                content.copy_to(body.end);
                continue;
            }
            let mut written = Written::new(self.wasm, body.len() + inside.len() * 32);
            written.copied = body.start;
            for call in inside {
                written.counted_call(call, counter);
            }
            written.copy_to(body.end);
            // In place of the guest's own length.
            content.add(&leb(length(&written.bytes)));
            content.append(&written);
        }
        content.copy_to(payload.end);
        self.add(&[CODE_SECTION]);
        self.add(&leb(length(&content.bytes)));
        self.append(&content);
    }

    fn append(&mut self, part: &Self) {
        self.offsets.append(&part.offsets, self.bytes.len());
        self.bytes.extend_from_slice(&part.bytes);
        self.copied = part.copied;
    }

    fn counted_call(&mut self, call: &CountedCall, counter: u32) {
        self.copy_to(call.at.start);
        self.change(counter, call.cost, I32_SUB);
        let mut check = vec![GLOBAL_GET];
        check.extend(leb(counter));
        check.extend([I32_CONST, 0, I32_LT_S, IF, EMPTY_BLOCK, UNREACHABLE, END]);
        self.add(&check);
        self.copy_to(call.at.end);
        self.change(counter, call.cost, I32_ADD);
    }

    fn change(&mut self, counter: u32, cost: u64, operation: u8) {
        let mut code = vec![GLOBAL_GET];
        code.extend(leb(counter));
        code.push(I32_CONST);
        code.extend(signed_leb(cost));
        code.extend([operation, GLOBAL_SET]);
        code.extend(leb(counter));
        self.add(&code);
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The unsigned LEB128 form.
fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The signed LEB128 form of a number that is not negative.
fn signed_leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 && low & 0x40 == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

//! What a script has to answer, by maps.

use super::ops::{self, Op, Out, Spec};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A state, or part of one.
pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A call, as maps.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// What the host answers from.
    base: Map,
    /// What the call set.
    set: Map,
    waiting: Map,
    /// What the host was handed.
    pub(crate) flushed: Map,
    checkpoints: Vec<Map>,
    /// The flag of the call.
    flag: bool,
    out: Out,
}

/// Why a page is none.
enum Fault {
    Outside,
    Limit,
    MaxBytes,
    TooLarge(Vec<u8>, usize),
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl Model {
    /// Runs a script over a state, with the flush at the end that a block has: the model with
    /// what was flushed, and the answers.
    pub(crate) fn run(base: &Map, script: &[Op]) -> (Self, Vec<u8>) {
        let mut model = Self {
            base: base.clone(),
            checkpoints: vec![Map::new()],
            ..Self::default()
        };
        for op in script {
            model.step(op);
        }
        model.flush();
        let answers = std::mem::take(&mut model.out.0);
        (model, answers)
    }

    fn flush(&mut self) {
        self.flushed.append(&mut self.waiting);
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.set.insert(key.to_vec(), value.to_vec());
        self.waiting.insert(key.to_vec(), value.to_vec());
    }

    /// What a plain `get` sees.
    fn seen(&self) -> Map {
        let mut seen = self.base.clone();
        seen.extend(self.set.clone());
        seen
    }

    /// What the atomic pointer sees.
    fn seen_atomic(&self) -> Map {
        let mut seen = self.seen();
        seen.extend(self.checkpoints.iter().flat_map(Map::clone));
        seen
    }

    fn step(&mut self, op: &Op) {
        let value = |map: &Map, key| map.get(key).cloned().unwrap_or_default();
        match op {
            Op::Get(key) => drop(self.out.bytes(&value(&self.seen(), key))),
            Op::Set(key, value) => self.set(key, value),
            Op::Flush => self.flush(),
            Op::Reset => self.waiting.clear(),
            Op::Many(keys) => {
                for key in keys {
                    self.out.bytes(&value(&self.seen(), key));
                }
            }
            Op::HostMany(keys) => {
                for key in keys {
                    self.out.bytes(&value(&self.base, key));
                }
            }
            Op::HostRange(spec) => self.host_range(spec),
            Op::Page(spec) => drop(self.page(&self.seen(), spec)),
            Op::Walk(spec) => {
                let mut spec = spec.clone();
                while let ControlFlow::Continue(after) = self.page(&self.seen(), &spec) {
                    spec.after = Some(after);
                }
            }
            Op::Iterate(spec, writes) => self.iterate(spec, writes),
            Op::AtomicSet(key, value) => {
                let innermost = self.checkpoints.last_mut().expect("one is always open");
                innermost.insert(key.clone(), value.clone());
            }
            Op::Checkpoint => self.checkpoints.push(Map::new()),
            Op::Commit if self.checkpoints.len() > 1 => {
                let written = self.checkpoints.pop().expect("there are two");
                let outer = self.checkpoints.last_mut().expect("one is always open");
                outer.extend(written);
            }
            Op::Rollback if self.checkpoints.len() > 1 => drop(self.checkpoints.pop()),
            Op::Publish
            | Op::Limit(_)
            | Op::Mode(_)
            | Op::Keep(..)
            | Op::Look
            | Op::Answer
            | Op::Commit
            | Op::Rollback => (),
            Op::Finish => {
                for (key, value) in std::mem::take(&mut self.checkpoints).into_iter().flatten() {
                    self.set(&key, &value);
                }
                self.checkpoints.push(Map::new());
            }
            Op::AtomicPage(spec) => drop(self.page(&self.seen_atomic(), spec)),
            Op::Clear => {
                self.set.clear();
                self.waiting.clear();
            }
            Op::Kept(_) | Op::Drop(_) => drop(self.out.byte(1)),
            Op::Flag => drop(
                self.out
                    .byte(std::mem::replace(&mut self.flag, true).into()),
            ),
            Op::Append(..) | Op::Pop(_) | Op::List(_) => self.list(op),
            Op::HostFlush(pairs) => self.flushed.extend(pairs.iter().cloned()),
        }
    }

    /// A list of items under a key: how many under `/length`, each under its number.
    fn list(&mut self, op: &Op) {
        let (Op::Append(list, _) | Op::Pop(list) | Op::List(list)) = op else {
            return;
        };
        let key = |rest: &str| [&*ops::list(*list), rest.as_bytes()].concat();
        let item = |number: u32| key(&format!("/{number}"));
        let seen = self.seen();
        let value = |key| seen.get(&key).cloned().unwrap_or_default();
        let length = value(key("/length"))
            .try_into()
            .map_or(0, u32::from_le_bytes);
        match op {
            Op::Append(_, value) => {
                self.set(&key("/length"), &(length + 1).to_le_bytes());
                self.set(&item(length), value);
            }
            Op::Pop(_) if length == 0 => drop(self.out.bytes(&[])),
            Op::Pop(_) => {
                self.set(&key("/length"), &(length - 1).to_le_bytes());
                self.out.bytes(&value(item(length - 1)));
            }
            _ => {
                self.out.number(length as usize);
                for number in 0..length {
                    self.out.bytes(&value(item(number)));
                }
            }
        }
    }

    /// Answers a page, and where to go on.
    fn page(&mut self, seen: &Map, spec: &Spec) -> ControlFlow<(), Vec<u8>> {
        match page_of(seen, spec) {
            Ok((pairs, more)) => {
                self.out.byte(0).number(pairs.len());
                for (key, value) in &pairs {
                    self.out.bytes(key).bytes(value);
                }
                let next = pairs.last().filter(|_| more).map(|(key, _)| key.clone());
                self.out
                    .byte(more.into())
                    .bytes(next.as_deref().unwrap_or_default());
                next.map_or(ControlFlow::Break(()), ControlFlow::Continue)
            }
            Err(fault) => {
                fault.tell(&mut self.out);
                match fault {
                    Fault::TooLarge(key, _) => ControlFlow::Continue(key),
                    _ => ControlFlow::Break(()),
                }
            }
        }
    }

    fn iterate(&mut self, spec: &Spec, writes: &Pairs) {
        let mut spec = spec.clone();
        let limit = spec.limit.replace(1).unwrap_or(u32::MAX);
        let mut writes = writes.iter();
        // A cursor of another range is told also where nothing is asked for.
        let is_none = limit == 0 && !is_outside(&spec);
        for _ in 0..if is_none { 0 } else { limit.max(1) } {
            match page_of(&self.seen(), &spec) {
                Ok((pairs, _)) => {
                    let Some((key, value)) = pairs.first() else {
                        break;
                    };
                    self.out.number(1).bytes(key).bytes(value);
                    spec.after = Some(key.clone());
                    if let Some((key, value)) = writes.next() {
                        self.set(key, value);
                    }
                }
                Err(fault) => {
                    fault.tell(&mut self.out);
                    if let Some((key, value)) = writes.next() {
                        self.set(key, value);
                    }
                    break;
                }
            }
        }
        self.out.number(0);
    }

    fn host_range(&mut self, spec: &Spec) {
        let limit = spec.limit.unwrap_or(10) as usize;
        let mut left = spec.max_bytes.unwrap_or(1 << 20) as usize;
        let (mut taken, mut ended) = (0, "Range");
        for (key, value) in inside(&self.base, &between(spec)) {
            if taken == limit {
                break;
            }
            let counted = counted(&key, &value, spec.keys_only);
            let value_shown = if spec.keys_only || counted > left {
                &[][..]
            } else {
                &value
            };
            if counted > left {
                ended = if taken == 0 { "TooLarge" } else { "Bytes" };
            }
            if counted <= left || taken == 0 {
                self.out.bytes(&key).number(value.len()).bytes(value_shown);
            }
            if counted > left {
                break;
            }
            left -= counted;
            taken += 1;
        }
        if taken == limit {
            ended = "Count";
        }
        self.out.bytes(ended.as_bytes());
    }
}

/// The same keys, as the host is asked for them.
fn between(spec: &Spec) -> Spec {
    Spec {
        prefix: false,
        after: None,
        ..spec.clone()
    }
}

fn counted(key: &[u8], value: &[u8], keys_only: bool) -> usize {
    key.len() + 8 + if keys_only { 0 } else { value.len() }
}

fn is_inside(spec: &Spec, key: &[u8]) -> bool {
    if spec.prefix {
        return key.starts_with(&spec.start);
    }
    *spec.start <= *key && (spec.end.is_empty() || *key < *spec.end)
}

fn is_outside(spec: &Spec) -> bool {
    let after = spec.after.as_ref();
    after.is_some_and(|after| !is_inside(spec, after))
}

/// The pairs of a range, in its order, without regard to its cursor and bounds.
fn inside(map: &Map, spec: &Spec) -> Pairs {
    let pairs = map
        .iter()
        .filter(|(key, value)| !value.is_empty() && is_inside(spec, key));
    let mut pairs: Pairs = pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if spec.reverse {
        pairs.reverse();
    }
    pairs
}

/// The pairs of a page, and whether there are more behind it.
fn page_of(seen: &Map, spec: &Spec) -> Result<(Pairs, bool), Fault> {
    let limit = spec.limit.map_or(65_536, |limit| limit as usize);
    let max_bytes = spec.max_bytes.map_or(64 << 20, |bytes| bytes as usize);
    if !(1..=65_536).contains(&limit) {
        return Err(Fault::Limit);
    }
    if max_bytes > 64 << 20 {
        return Err(Fault::MaxBytes);
    }
    if is_outside(spec) {
        return Err(Fault::Outside);
    }
    let (mut page, mut left) = (Vec::new(), max_bytes);
    for (key, value) in inside(seen, spec) {
        let passed = spec.after.as_ref().is_some_and(|after| {
            if spec.reverse {
                key >= *after
            } else {
                key <= *after
            }
        });
        if passed {
            continue;
        }
        let counted = counted(&key, &value, spec.keys_only);
        if page.len() < limit && counted <= left {
            left -= counted;
            page.push((key, if spec.keys_only { Vec::new() } else { value }));
        } else if page.is_empty() {
            return Err(Fault::TooLarge(key, counted));
        } else {
            return Ok((page, true));
        }
    }
    Ok((page, false))
}

impl Fault {
    fn tell(&self, out: &mut Out) {
        match self {
            Self::Outside => drop(out.byte(1)),
            Self::Limit => drop(out.byte(2)),
            Self::MaxBytes => drop(out.byte(3)),
            Self::TooLarge(key, counted) => drop(out.byte(4).bytes(key).number(*counted)),
        }
    }
}

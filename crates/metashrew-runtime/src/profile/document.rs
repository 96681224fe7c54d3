//! What wasmtime's profiler writes, made fit for a reader: names as backtraces spell them, the
//! host's frames in a category of their own, and samples that were taken at once where their
//! ticks were.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde_json::{Value, json};
use wasmtime::Module;

use super::ProfileError;
use crate::fault::{readable, unnamed};

/// The guest, as the profiler knows it among the modules.
pub(super) const GUEST: &str = "guest";

/// The module whose functions stand for those of the host.
pub(super) const HOST: &str = "host";

/// Samples that were taken at once, for ticks that came one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) first: usize,
    pub(super) count: usize,
}

/// How backtraces call the guest's functions, by where their code begins. Wasmtime's profiler
/// numbers those without a name otherwise, leaves Rust's hashes in, and takes an `f` for C++'s
/// `float`.
pub(super) struct Names(BTreeMap<u64, String>);

impl Names {
    pub(super) fn of(guest: &Module) -> Self {
        let named = guest.functions().map(|function| {
            let index = function.index.as_u32();
            let name = function.name.as_deref();
            let shown = name.map_or_else(|| unnamed(index), readable);
            (function.offset as u64, shown)
        });
        Self(named.collect())
    }
}

/// Writes `profile` to `output`, and tells how many of its samples are in the host.
pub(super) fn write(
    profile: &[u8],
    bursts: &[Burst],
    names: &Names,
    output: impl io::Write,
) -> Result<usize, ProfileError> {
    let written = |error: serde_json::Error| ProfileError::Write(error.into());
    let mut profile: Value = serde_json::from_slice(profile).map_err(written)?;
    let of_host = add_category(&mut profile);
    let libraries = Libraries {
        guest: library(&profile, GUEST),
        host: library(&profile, HOST),
    };
    let mut in_host = 0;
    let threads = profile.get_mut("threads").and_then(Value::as_array_mut);
    for thread in threads.into_iter().flatten() {
        settle_frames(thread, &libraries, names, of_host);
        spread(thread, bursts);
        in_host += of_host.map_or(0, |category| samples_in(thread, category));
    }
    serde_json::to_writer(output, &profile).map_err(written)?;
    Ok(in_host)
}

/// The numbers of the modules in a profile; one without a sample has none.
struct Libraries {
    guest: Option<u64>,
    host: Option<u64>,
}

fn library(profile: &Value, name: &str) -> Option<u64> {
    let libraries = profile.get("libs")?.as_array()?;
    let is_it = |library: &Value| library.get("name").and_then(Value::as_str) == Some(name);
    Some(libraries.iter().position(is_it)? as u64)
}

/// Adds the category of the host, and tells its number.
fn add_category(profile: &mut Value) -> Option<usize> {
    let categories = profile.pointer_mut("/meta/categories")?.as_array_mut()?;
    categories.push(json!({ "name": "Host", "color": "orange", "subcategories": ["Other"] }));
    Some(categories.len() - 1)
}

/// Names the frames of the guest, and puts those of the host into its category.
fn settle_frames(thread: &mut Value, libraries: &Libraries, names: &Names, of_host: Option<usize>) {
    let column = |path: &str| thread.pointer(path).and_then(Value::as_array).cloned();
    let (Some(symbols), Some(functions), Some(addresses), Some(modules)) = (
        column("/frameTable/nativeSymbol"),
        column("/frameTable/func"),
        column("/nativeSymbols/address"),
        column("/nativeSymbols/libIndex"),
    ) else {
        return;
    };
    let mut strings = Strings::of(thread);
    for (frame, (symbol, function)) in symbols.iter().zip(&functions).enumerate() {
        let (Some(symbol), Some(function)) = (symbol.as_u64(), function.as_u64()) else {
            continue;
        };
        let module = at(&modules, symbol);
        if module.is_some() && module == libraries.host {
            set(thread, "/frameTable/category", frame as u64, of_host.into());
        }
        let name = at(&addresses, symbol).and_then(|address| names.0.get(&address));
        if let Some(name) = name.filter(|_| module.is_some() && module == libraries.guest) {
            let name = strings.number(name);
            set(thread, "/funcTable/name", function, name.into());
            set(thread, "/nativeSymbols/name", symbol, name.into());
        }
    }
    let kept = thread.get_mut("stringArray").and_then(Value::as_array_mut);
    if let Some(kept) = kept {
        kept.extend(strings.added);
    }
}

/// How many samples have an innermost frame of that category.
fn samples_in(thread: &Value, category: usize) -> usize {
    let column = |path: &str| thread.pointer(path).and_then(Value::as_array);
    let (Some(stacks), Some(frames), Some(categories)) = (
        column("/samples/stack"),
        column("/stackTable/frame"),
        column("/frameTable/category"),
    ) else {
        return 0;
    };
    let is_in = |stack: &&Value| {
        let frame = stack.as_u64().and_then(|stack| at(frames, stack));
        frame.and_then(|frame| at(categories, frame)) == Some(category as u64)
    };
    stacks.iter().filter(is_in).count()
}

/// The number in a row of a column.
fn at(column: &[Value], row: u64) -> Option<u64> {
    column.get(usize::try_from(row).ok()?)?.as_u64()
}

fn set(thread: &mut Value, column: &str, index: u64, value: Value) {
    let column = thread.pointer_mut(column).and_then(Value::as_array_mut);
    let index = usize::try_from(index).ok();
    if let Some(cell) = column
        .zip(index)
        .and_then(|(column, index)| column.get_mut(index))
    {
        *cell = value;
    }
}

/// The texts that are added to those of a thread.
struct Strings<'a> {
    first: usize,
    added: Vec<Value>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Strings<'a> {
    fn of(thread: &Value) -> Self {
        let there = thread.get("stringArray").and_then(Value::as_array);
        Self {
            first: there.map_or(0, Vec::len),
            added: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    fn number(&mut self, text: &'a str) -> usize {
        *self.numbers.entry(text).or_insert_with(|| {
            self.added.push(text.into());
            self.first + self.added.len() - 1
        })
    }
}

/// Shares the time before each burst among its samples.
fn spread(thread: &mut Value, bursts: &[Burst]) {
    let deltas = thread.pointer_mut("/samples/timeDeltas");
    let Some(deltas) = deltas.and_then(Value::as_array_mut) else {
        return;
    };
    for burst in bursts {
        let samples = deltas.get_mut(burst.first..burst.first + burst.count);
        let samples = samples.unwrap_or_default();
        let whole: f64 = samples.iter().filter_map(Value::as_f64).sum();
        #[expect(clippy::cast_precision_loss, reason = "a profile has few samples")]
        let share = whole / burst.count as f64;
        samples.fill(share.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_shares_its_time() {
        let mut thread = json!({ "samples": { "timeDeltas": [1.0, 4.0, 0.0, 0.0, 0.0, 2.0] } });
        let burst = |first, count| Burst { first, count };
        spread(&mut thread, &[burst(1, 4), burst(9, 2)]);
        assert_eq!(
            thread["samples"]["timeDeltas"],
            json!([1.0, 1.0, 1.0, 1.0, 1.0, 2.0])
        );
    }

    #[test]
    fn names_and_categories_are_set() {
        let names = Names(BTreeMap::from([(16, "f".to_owned())]));
        let profile = json!({
            "meta": { "categories": [{ "name": "Other" }] },
            "libs": [{ "name": "host" }, { "name": "guest" }],
            "threads": [{
                "stringArray": ["__get (host)", "float"],
                "nativeSymbols": { "address": [16, 16], "libIndex": [1, 0], "name": [1, 0] },
                "funcTable": { "name": [1, 0] },
                "frameTable": { "func": [0, 1, 0], "nativeSymbol": [0, 1, 0], "category": [0, 0, 0] },
            }],
        });
        let mut output = Vec::new();
        write(profile.to_string().as_bytes(), &[], &names, &mut output).unwrap();
        let written: Value = serde_json::from_slice(&output).unwrap();
        let thread = &written["threads"][0];
        assert_eq!(thread["stringArray"], json!(["__get (host)", "float", "f"]));
        assert_eq!(thread["funcTable"]["name"], json!([2, 0]));
        assert_eq!(thread["nativeSymbols"]["name"], json!([2, 0]));
        assert_eq!(thread["frameTable"]["category"], json!([0, 1, 0]));
        assert_eq!(written["meta"]["categories"][1]["name"], "Host");
    }
}

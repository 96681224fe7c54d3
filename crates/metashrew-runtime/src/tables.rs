//! The tables that a module declares: the engines have room for as many.

use wasmparser::{Parser, Payload};

use crate::error::LoadError;
use crate::file_kind::other_than_module;
use crate::limits::MAX_TABLE_ELEMENTS;

/// Tables that a module may have, which is what engines for WebAssembly agree upon.
const MAX_TABLES: u32 = 100;

/// How many tables a module has of its own; at least one, for engines.
///
/// # Errors
/// If `wasm` is no module, or its tables are more than a guest may have, or begin with
/// more elements together.
pub(crate) fn count(wasm: &[u8]) -> Result<u32, LoadError> {
    if let Some(what) = other_than_module(wasm) {
        return Err(LoadError::Invalid(what));
    }
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let (mut tables, mut elements) = (0_u32, 0_u64);
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::TableSection(section) = payload.map_err(invalid)? else {
            continue;
        };
        for table in section {
            elements = elements.saturating_add(table.map_err(invalid)?.ty.initial);
            tables = tables.saturating_add(1);
        }
    }
    if elements > MAX_TABLE_ELEMENTS as u64 {
        return Err(LoadError::Invalid(format!(
            "its tables begin with {elements} elements together, the limit is {MAX_TABLE_ELEMENTS}"
        )));
    }
    if tables > MAX_TABLES {
        let what = format!("it has {tables} tables, the limit is {MAX_TABLES}");
        return Err(LoadError::Invalid(what));
    }
    Ok(tables.max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metashrew_store::Store;
    use wasmtime::Engine;

    use super::*;
    use crate::context::Call;
    use crate::deadline::Deadline;
    use crate::engine;
    use crate::guest::{View, compile, link};
    use crate::host::Waits;
    use crate::instance::Instance;
    use crate::limits::Allowance;
    use crate::options::{ModuleCache, ViewOptions};
    use crate::view::Sizes;

    /// With tables of 1 and 2 elements, the view answers what each growth gives.
    fn growing(growths: &[(&str, u32)]) -> Vec<u8> {
        let length = growths.len() * 4;
        let grow = growths.iter().enumerate().map(|(index, (table, by))| {
            let at = 4 + index * 4;
            format!(
                "(i32.store (i32.const {at}) (table.grow ${table} (ref.null func) (i32.const {by})))"
            )
        });
        let grow: Vec<_> = grow.collect();
        let text = format!(
            r#"(module (memory (export "memory") 1) (table $a 1 funcref) (table $b 2 5 funcref)
                 (func (export "v") (result i32)
                   (i32.store (i32.const 0) (i32.const {length})) {} (i32.const 4)))"#,
            grow.concat()
        );
        wat::parse_str(text).unwrap()
    }

    fn answer(engine: &Engine, wasm: &[u8]) -> Vec<i32> {
        let guest = link(&compile(engine, wasm).unwrap(), Waits::Thread).unwrap();
        let call = Call::view(Store::in_memory().snapshot().latest(), 0);
        let deadline = Deadline::after(Duration::from_mins(1), false);
        let mut instance =
            Instance::create(&guest, call, Allowance::up_to(1 << 30), deadline).unwrap();
        let view = View {
            name: "v",
            index: 0,
        };
        let reply = instance.view(view, 1024).unwrap();
        let bytes = reply.into_answer().unwrap();
        let words = bytes.as_chunks::<4>().0.iter();
        words.map(|word| i32::from_le_bytes(*word)).collect()
    }

    #[test]
    fn tables_grow_alike_with_a_pool_and_without() {
        let sizes = Sizes::of(&ViewOptions::default());
        for (growths, expect) in [
            (&[("a", 10), ("b", 3), ("b", 1)][..], &[1, 2, -1][..]),
            (&[("a", 999_997), ("a", 1), ("b", 1)], &[1, -1, -1]),
            (&[("a", 999_998), ("b", 3), ("a", 999_994)], &[-1, 2, 1]),
            (&[("a", u32::MAX), ("a", 0)], &[-1, 1]),
        ] {
            let wasm = growing(growths);
            let tables = count(&wasm).unwrap();
            assert_eq!(tables, 2);
            let pooled = engine::viewing(&ModuleCache::Off, &sizes, 0, tables).unwrap();
            for engine in [pooled, engine::viewing_without_pool()] {
                assert_eq!(answer(&engine, &wasm), expect, "{growths:?}");
            }
        }
    }

    #[test]
    fn modules_of_many_parts_load_with_a_pool_and_without() {
        let sizes = Sizes::of(&ViewOptions::default());
        let engines = [
            engine::viewing(&ModuleCache::Off, &sizes, 0, 1).unwrap(),
            engine::viewing_without_pool(),
        ];
        // More than the 1 MiB of an instance that the pool allows unless it is told to.
        let globals = "(global (mut v128) (v128.const i64x2 0 0))".repeat(200_000);
        let functions = "(func)".repeat(2_000);
        let elements: Vec<_> = (0..2_000).map(|function| function.to_string()).collect();
        let elements = elements.join(" ");
        let data = r#"(data (i32.const 0) "d")"#.repeat(2_000);
        let text = format!(
            r#"(module {functions} {globals} {data} (memory (export "memory") 1) (table 2000 funcref)
                 (elem (i32.const 0) {elements})
                 (func (export "v") (result i32) (i32.store (i32.const 0) (i32.const 0)) (i32.const 4)))"#
        );
        let wasm = wat::parse_str(text).unwrap();
        for engine in &engines {
            assert!(answer(engine, &wasm).is_empty());
        }
    }

    #[test]
    fn too_many_tables_or_elements_are_refused() {
        let check = |tables: &str, expect: Result<u32, &str>| {
            let wasm = wat::parse_str(format!("(module {tables})")).unwrap();
            match (count(&wasm), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect),
                (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
                (found, _) => panic!("{found:?}, not {expect:?}"),
            }
        };
        check("", Ok(1));
        check(&"(table 1 funcref)".repeat(100), Ok(100));
        check(
            &"(table 1 funcref)".repeat(101),
            Err("101 tables, the limit is 100"),
        );
        check("(table 1000000 funcref)", Ok(1));
        check("(table 1000001 funcref)", Err("1000001 elements together"));
        check(
            &"(table 20000 funcref)".repeat(51),
            Err("1020000 elements together"),
        );
    }
}

//! What a module says of itself.

use std::fmt::Write;

use metashrew_abi::proto::{IndexerMetadata, MAX_METADATA_BYTES, ViewFunction};
use metashrew_runtime::{LoadError, MemorySize, inspect};
use metashrew_testing::guests;
use prost::Message;

#[test]
fn a_guest_of_the_sdk_imports_reads_in_bulk_only_if_it_does_them() {
    let modules = |name| {
        let report = inspect(&crate::guest(name)).unwrap();
        let mut modules: Vec<_> = report
            .optional_imports()
            .map(|import| import.module.clone())
            .collect();
        modules.dedup();
        modules
    };
    for name in ["ledger", "memo", "payments", "tally", "workload"] {
        assert_eq!(modules(name), [""; 0], "{name}");
    }
    for name in [
        "addresses",
        "blocks",
        "fields_as",
        "fields_c",
        "session",
        "script",
    ] {
        assert_eq!(modules(name), ["metashrew"], "{name}");
    }
}

#[test]
fn a_guest_is_reported_whole() {
    let report = inspect(&guests::has_unknown_import()).unwrap();
    let unknown: Vec<_> = report
        .imports
        .iter()
        .filter(|import| !import.provided)
        .map(|import| {
            (
                import.module.as_str(),
                import.name.as_str(),
                import.ty.as_str(),
            )
        })
        .collect();
    assert_eq!(unknown, [("env", "__mystery", "(i32) -> ()")]);
    assert!(report.imports.len() > unknown.len());
    assert!(report.indexes);
    assert!(report.views.iter().any(|view| view == "echo"));
    assert!(!report.views.iter().any(|view| view == "not_a_view"));
    assert_eq!(
        report.memory,
        Some(MemorySize {
            minimum: 2,
            maximum: None
        })
    );
    assert_eq!(report.meta, None);
}

#[test]
fn a_guests_description_is_read() {
    let meta = IndexerMetadata {
        compiler_version: "none".into(),
        rustc_version: "1.95".into(),
        view_functions: vec![ViewFunction {
            name: "balance".into(),
            input_type: "A".into(),
            output_type: "B".into(),
            doc: "What it is for.\nIn two lines.".into(),
            ..ViewFunction::default()
        }],
        name: "ledger".into(),
        version: "1.2.3".into(),
        ..IndexerMetadata::default()
    };
    let report = inspect(&described(&meta)).unwrap();
    assert_eq!(report.meta, Some(Ok(meta)));
    assert!(report.views.is_empty());
    assert!(!report.indexes);
}

#[test]
fn a_description_of_any_length_is_not_read() {
    let long = |bytes| IndexerMetadata {
        doc: "x".repeat(bytes),
        ..IndexerMetadata::default()
    };
    // A tag and three bytes of length in front.
    let whole = long(MAX_METADATA_BYTES - 4);
    assert_eq!(whole.encoded_len(), MAX_METADATA_BYTES);
    let report = inspect(&described(&whole)).unwrap();
    assert_eq!(report.meta, Some(Ok(whole)));
    let report = inspect(&described(&long(MAX_METADATA_BYTES - 3))).unwrap();
    let error = report.meta.unwrap().unwrap_err();
    assert!(error.contains("262145"), "{error}");
}

#[test]
fn the_pieces_of_a_description_are_put_together_by_name() {
    let view = |name: &str| IndexerMetadata {
        view_functions: vec![ViewFunction {
            name: name.to_owned(),
            ..ViewFunction::default()
        }],
        ..IndexerMetadata::default()
    };
    let guest = IndexerMetadata {
        name: "tokens".to_owned(),
        ..view("declared")
    };
    let parts = [
        (8, "__metashrew_meta.b", "(param i32)", view("b")),
        (256, "__meta", "", guest.clone()),
        (512, "__metashrew_meta.a", "(param i32)", view("a")),
        // Of another type: a view.
        (768, "__metashrew_meta.view", "", view("no piece")),
    ];
    let report = inspect(&telling(&parts)).unwrap();
    let meta = report.meta.unwrap().unwrap();
    let names: Vec<_> = meta.view_functions.iter().map(|view| &*view.name).collect();
    assert_eq!(names, ["declared", "a", "b"]);
    assert_eq!(meta.name, "tokens");
    assert_eq!(report.views, ["__metashrew_meta.view"]);

    let report = inspect(&telling(&parts[..1])).unwrap();
    assert_eq!(report.meta, Some(Ok(view("b"))), "no `__meta` is needed");

    let half = IndexerMetadata {
        doc: "x".repeat(MAX_METADATA_BYTES / 2),
        ..IndexerMetadata::default()
    };
    let report = inspect(&telling(&[
        (8, "__metashrew_meta.a", "(param i32)", half.clone()),
        (200_000, "__metashrew_meta.b", "(param i32)", half),
    ]));
    assert!(
        matches!(report.unwrap().meta, Some(Err(_))),
        "they count together"
    );
}

/// A module whose `__meta` answers with this.
fn described(meta: &IndexerMetadata) -> Vec<u8> {
    telling(&[(8, "__meta", "", meta.clone())])
}

/// A module with exports that each answer with a message, which lies at an address.
fn telling(parts: &[(u32, &str, &str, IndexerMetadata)]) -> Vec<u8> {
    telling_and(parts, "")
}

/// The same, with something more in it.
pub(crate) fn telling_and(parts: &[(u32, &str, &str, IndexerMetadata)], more: &str) -> Vec<u8> {
    let mut text = r#"(module (memory (export "memory") 8 16)"#.to_owned();
    for (at, name, parameters, meta) in parts {
        let message = meta.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_le_bytes();
        write!(text, r#"(data (i32.const {at}) ""#).unwrap();
        for byte in length.iter().chain(&message) {
            write!(text, "\\{byte:02x}").unwrap();
        }
        let pointer = at + 4;
        writeln!(
            text,
            r#"") (func (export "{name}") {parameters} (result i32) (i32.const {pointer}))"#
        )
        .unwrap();
    }
    wat::parse_str(text + more + ")").unwrap()
}

#[test]
fn a_broken_description_is_reported_not_hidden() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
             (func (export "__meta") (result i32) (unreachable)))"#,
    );
    let report = inspect(&wasm.unwrap()).unwrap();
    assert!(matches!(report.meta, Some(Err(text)) if text.contains("unreachable")));
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(matches!(inspect(b"\0asm"), Err(LoadError::Invalid(_))));
}

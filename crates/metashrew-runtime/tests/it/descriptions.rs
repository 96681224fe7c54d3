//! Which views a guest has, what it says of them, and whether the height matters to them.

use metashrew_abi::proto::{IndexerMetadata, MAX_METADATA_BYTES, Storage, ViewFunction};
use metashrew_runtime::{ViewDescription, inspect};
use metashrew_testing::guests;

use crate::inspect::telling_and;
use crate::{Bench, guest};

/// A module of views, with these exports besides.
fn with_exports(views: &[&str], more: &str) -> Vec<u8> {
    let views = views
        .iter()
        .map(|name| format!(r#"(func (export "{name}") (result i32) (i32.const 4))"#));
    let views: String = views.collect();
    telling_and(&[], &(views + more))
}

#[test]
fn each_view_is_described_once_whether_the_guest_speaks_of_it_or_not() {
    let view = |name: &str, doc: &str| ViewFunction {
        name: name.to_owned(),
        doc: doc.to_owned(),
        input_type: "Owner".to_owned(),
        output_type: "u64".to_owned(),
        input_schema: r#"{"type":"string"}"#.to_owned(),
        ..ViewFunction::default()
    };
    let meta = |views: &[ViewFunction]| IndexerMetadata {
        view_functions: views.to_vec(),
        ..IndexerMetadata::default()
    };
    let parts = [
        (8, "__meta", "", meta(&[view("balance", "What it has.")])),
        (
            512,
            "__metashrew_meta.balance",
            "(param i32)",
            meta(&[view("balance", "Said again."), view("gone", "No export.")]),
        ),
    ];
    let more = r#"(func (export "balance") (result i32) (i32.const 4))
                  (func (export "another") (result i32) (i32.const 4))
                  (func (export "of_no_view") (param i32) (result i32) (i32.const 4))
                  (func (export "__metashrew_answers_from_memory.another"))
                  (func (export "__metashrew_height_independent.balance"))"#;
    let bench = Bench::new(&telling_and(&parts, more));
    let another = ViewDescription {
        name: "another".to_owned(),
        answers_from_memory: true,
        ..ViewDescription::default()
    };
    let balance = ViewDescription {
        name: "balance".to_owned(),
        doc: "What it has.".to_owned(),
        input_type: "Owner".to_owned(),
        output_type: "u64".to_owned(),
        input_schema: Some(r#"{"type":"string"}"#.to_owned()),
        height_independent: true,
        ..ViewDescription::default()
    };
    assert_eq!(bench.runtime.views(), [another, balance]);
}

#[test]
fn what_the_guest_is_for_and_what_lies_where_is_kept() {
    let storage = |prefix: &[u8]| Storage {
        name: "balances".to_owned(),
        prefix: prefix.to_vec(),
        ..Storage::default()
    };
    let meta = IndexerMetadata {
        doc: "Balances.".to_owned(),
        storage: vec![storage(b"b/"), storage(b"c/")],
        ..IndexerMetadata::default()
    };
    let runtime = Bench::new(&telling_and(&[(8, "__meta", "", meta.clone())], "")).runtime;
    assert_eq!(runtime.guest_doc(), "Balances.");
    assert_eq!(runtime.storages(), meta.storage);
    assert_eq!(runtime.storage_prefix("balances"), Some(&b"b/"[..]));
    assert_eq!(runtime.storage_prefix("none"), None);
    let silent = Bench::new(&guests::chained()).runtime;
    assert_eq!((silent.guest_doc(), silent.storages()), ("", &[][..]));
}

#[test]
fn a_guest_whose_description_fails_or_is_too_long_has_views_all_the_same() {
    let trapping = r#"(func (export "__meta") (result i32) (unreachable))
                      (func (export "balance") (result i32) (i32.const 4))"#;
    let long = IndexerMetadata {
        doc: "x".repeat(MAX_METADATA_BYTES),
        ..IndexerMetadata::default()
    };
    let only = r#"(func (export "balance") (result i32) (i32.const 4))"#;
    for wasm in [
        telling_and(&[], trapping),
        telling_and(&[(8, "__meta", "", long)], only),
    ] {
        let bench = Bench::new(&wasm);
        let [view] = bench.runtime.views() else {
            panic!("{:?}", bench.runtime.views());
        };
        assert_eq!((&*view.name, &*view.doc), ("balance", ""));
    }
}

#[test]
fn the_views_of_the_sdk_have_texts_and_schemas() {
    let bench = Bench::new(&guest("typed"));
    let views = bench.runtime.views();
    let names: Vec<_> = views.iter().map(|view| &*view.name).collect();
    assert_eq!(names, ["counts", "echo", "message", "text"]);
    assert_eq!(
        views[0].doc,
        "How many transactions some blocks have, each."
    );
    assert_eq!(views[0].input_type, "Blocks (JSON)");
    for schema in [&views[0].input_schema, &views[0].output_schema] {
        assert!(schema.as_ref().unwrap().contains("\"properties\""));
    }
    assert_eq!(views[3].input_schema, None);
}

#[test]
fn a_guest_says_of_all_views_or_of_one_that_the_height_does_not_matter() {
    let all = r#"(func (export "__metashrew_height_independent"))"#;
    let one = r#"(global (export "__metashrew_height_independent.one") i32 (i32.const 0))"#;
    // A view of that name says nothing.
    let view = r#"(func (export "__metashrew_height_independent") (result i32) (i32.const 4))"#;
    for (more, expect) in [
        ("", [false, false]),
        (all, [true, true]),
        (one, [true, false]),
        (view, [false, false]),
    ] {
        let wasm = with_exports(&["one", "two"], more);
        let bench = Bench::new(&wasm);
        let is_independent = |view| bench.runtime.is_height_independent(view);
        assert_eq!(["one", "two"].map(is_independent), expect, "{more}");
        assert!(!is_independent("none"));
        let report = inspect(&wasm).unwrap();
        let said = |view: &str| report.height_independent.iter().any(|name| name == view);
        assert_eq!(["one", "two"].map(said), expect, "{more}");
    }
    assert!(
        !Bench::new(&guests::chained())
            .runtime
            .is_height_independent("echo")
    );
}

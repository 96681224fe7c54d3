//! `metashrew inspect`.

use metashrew_testing::guests;
use serde_json::Value;

use crate::harness::{Place, fail, succeed};

fn inspect(wasm: &[u8]) -> (String, Value) {
    let place = Place::with(wasm, 0);
    let text = succeed(&mut place.metashrew(&["inspect", "guest.wasm"]));
    let json = succeed(&mut place.metashrew(&["inspect", "guest.wasm", "--json"]));
    (text, serde_json::from_str(&json).unwrap())
}

#[test]
fn a_good_guest() {
    let (text, json) = inspect(&guests::chained());
    for line in [
        "indexes: yes\n",
        "memory: 0.125 MiB at first, 4096 MiB at most\n",
        "\n  env.__get_len (i32) -> (i32)\n",
        "views:\n",
        "\n  echo\n",
        "\n  memory memory\n",
        "\n  not_a_view (i32) -> (i32)\n",
        "__meta: none\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    assert!(!text.contains("not provided"), "{text}");
    assert_eq!(json["indexes"], true);
    assert_eq!(json["memory"]["minimum"], 131_072);
    assert_eq!(json["memory"]["maximum"], Value::Null);
    assert_eq!(json["meta"], Value::Null);
    let views: Vec<_> = json["views"].as_array().unwrap().iter().collect();
    assert!(views.iter().any(|view| *view == "echo"));
    assert!(!views.iter().any(|view| *view == "not_a_view"));
    let imports = json["imports"].as_array().unwrap();
    assert!(imports.iter().all(|import| import["provided"] == true));
    assert!(imports.iter().any(|import| import["name"] == "__flush"));
}

#[test]
fn which_hosts_a_guest_runs_on() {
    let (text, json) = inspect(&guests::chained());
    assert!(
        text.contains("hosts: runs on any Metashrew host\n"),
        "{text}"
    );
    assert!(text.contains("optional exports: none\n"), "{text}");
    assert_eq!(json["optional_imports"], serde_json::json!([]));

    let (text, json) = inspect(&metashrew_testing::ranging::ranging());
    let needs =
        "hosts: needs `metashrew.read_many`, `metashrew.read_range`, `metashrew.load_answer`\n";
    assert!(text.contains(needs), "{text}");
    assert!(!text.contains("not provided"), "{text}");
    assert_eq!(json["optional_imports"][1], "metashrew.read_range");

    // What this host lacks too is needed all the same.
    let (text, _) = inspect(&guests::has_unknown_import());
    assert!(text.contains("hosts: needs `env.__mystery`\n"), "{text}");
    let (text, json) = inspect(&metashrew_testing::remembering::remembering_by_height());
    assert!(
        text.contains("optional exports: __metashrew_height_partitioned\n"),
        "{text}"
    );
    assert_eq!(
        json["optional_exports"][0],
        "__metashrew_height_partitioned"
    );
}

#[test]
fn what_the_guest_says_of_its_views() {
    let wasm = guests::from_wat(
        r#"(module (memory (export "memory") 1)
             (global (export "__metashrew_height_independent.one") i32 (i32.const 0))
             (global (export "__metashrew_answers_from_memory.two") i32 (i32.const 0))
             (func (export "one") (result i32) (i32.const 4))
             (func (export "two") (result i32) (i32.const 4))
             (func (export "three") (result i32) (i32.const 4)))"#,
    );
    let (text, json) = inspect(&wasm);
    for line in [
        "\n  one  answers from state and input, whatever the height\n",
        "\n  two  answers from what earlier calls left in its memory\n",
        "\n  three\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    assert_eq!(json["height_independent"], serde_json::json!(["one"]));
    assert_eq!(json["answers_from_memory"], serde_json::json!(["two"]));
}

#[test]
fn what_is_missing_is_said() {
    let (text, json) = inspect(&guests::has_unknown_import());
    assert!(
        text.contains("env.__mystery (i32) -> ()  not provided: a call of it fails\n"),
        "{text}"
    );
    let imports = json["imports"].as_array().unwrap();
    let mystery = imports.iter().find(|import| import["name"] == "__mystery");
    assert_eq!(mystery.unwrap()["provided"], false);

    let (text, json) = inspect(&guests::no_start());
    assert!(
        text.contains("indexes: no, `_start: () -> ()` is missing\n"),
        "{text}"
    );
    assert_eq!(json["indexes"], false);

    let (text, json) = inspect(&guests::no_memory());
    assert!(text.contains("memory: none is exported"), "{text}");
    assert_eq!(json["memory"], Value::Null);
}

#[test]
fn what_is_no_module() {
    let place = Place::with(b"not wasm", 0);
    let stderr = fail(&mut place.metashrew(&["inspect", "guest.wasm"]), 1);
    assert!(
        stderr.starts_with("error: `guest.wasm` is no guest\n"),
        "{stderr}"
    );
    for (bytes, expect) in [
        (&b""[..], "it is empty"),
        (b"# metashrew", "it begins with \"# me\""),
        (b"\x1f\x8b\x08\0\0\0", "it is compressed with gzip"),
        (
            b"\x7fELF\x02\x01",
            "it is a program or library for this kind of machine (ELF)",
        ),
        (b"\0asm\x0d\0\x01\0", "it is a WebAssembly component"),
        (b"(module)", "it is WebAssembly in text form"),
        (b"\x1b[2Jx", "it begins with the bytes 1b 5b 32 4a"),
    ] {
        place.set_guest(bytes);
        for command in [
            &mut place.metashrew(&["inspect", "guest.wasm"]),
            &mut place.start(&[]),
        ] {
            let stderr = fail(command, 1);
            assert!(
                stderr.contains(&format!("a WebAssembly module that can run here: {expect}")),
                "{stderr}"
            );
        }
    }
    let stderr = fail(&mut place.metashrew(&["inspect", "guest.wasm"]), 1);
    assert!(
        !stderr.contains("hint:"),
        "inspect is not the advice here: {stderr}"
    );
    let stderr = fail(&mut place.metashrew(&["inspect", "."]), 1);
    assert!(
        stderr.starts_with("error: the guest `.` cannot be read\n  caused by: Is a directory"),
        "{stderr}"
    );
    let stderr = fail(&mut place.metashrew(&["inspect", "no.wasm"]), 1);
    assert!(
        stderr.starts_with("error: the guest `no.wasm` cannot be read\n"),
        "{stderr}"
    );
}

#[test]
fn names_of_a_module_are_printed_harmlessly() {
    let wasm = metashrew_testing::guests::from_wat(
        r#"(module
             (import "env" "\1b[2Jx\0ay" (func))
             (memory (export "memory") 1)
             (func (export "_start"))
             (func (export "\e2\80\ae") (result i32) (i32.const 0)))"#,
    );
    let (text, json) = inspect(&wasm);
    assert!(
        text.contains("  env.\\u{1b}[2Jx\\ny () -> ()  not provided"),
        "{text:?}"
    );
    assert!(text.contains("\n  \\u{202e}\n"), "{text:?}");
    assert_eq!(json["imports"][0]["name"], "\x1b[2Jx\ny");
    assert_eq!(json["views"][0], "\u{202e}");
}

#[test]
fn several_tables_are_taken_and_their_elements_bounded() {
    let place = Place::with(&guests::several_tables(), 3);
    place.index();
    let view = ["view", "through", "--db", "db", "--indexer", "guest.wasm"];
    assert_eq!(
        succeed(&mut place.metashrew(&view)),
        "0x0700000009000000ffffffff\n"
    );
    for (module, expect) in [
        (
            r#"(module (memory (export "memory") 1) (table 600000 funcref) (table 600000 funcref)
                 (func (export "_start")))"#,
            "its tables begin with 1200000 elements together, the limit is 1000000",
        ),
        (
            r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#,
            "memory64",
        ),
        (
            r#"(module (memory (export "memory") 1) (memory 1) (func (export "_start")))"#,
            "multiple memories",
        ),
        (
            r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#,
            "threads",
        ),
    ] {
        place.set_guest(&guests::from_wat(module));
        let stderr = fail(&mut place.start(&["--db", "none"]), 1);
        assert!(
            stderr.contains("error: `guest.wasm` is no guest"),
            "{stderr}"
        );
        assert!(stderr.contains(expect), "{stderr}");
        assert!(!place.path("none").exists());
    }
}

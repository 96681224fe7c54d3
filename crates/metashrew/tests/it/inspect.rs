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
    let stderr = fail(&mut place.metashrew(&["inspect", "no.wasm"]), 1);
    assert!(
        stderr.starts_with("error: the guest `no.wasm` cannot be read\n"),
        "{stderr}"
    );
}

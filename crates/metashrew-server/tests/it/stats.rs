//! `metashrew_stats`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metashrew_server::{
    CurrentBlock, CurrentWrite, IndexingReport, IndexingState, IndexingTotals, Reorg, Scouts,
    ServerOptions,
};
use metashrew_store::BlockHash;
use serde_json::{Value, json};

use crate::harness::{Served, Setup};
use crate::probes::Told;

fn stats(served: &Served) -> Value {
    served.result("metashrew_stats", &json!([]))
}

/// The names of all members, with those of the objects within.
fn names(value: &Value, within: &str, found: &mut BTreeSet<String>) {
    let Some(members) = value.as_object() else {
        return;
    };
    for (name, value) in members {
        // The guest's views are not ours to document.
        if within == "views.by_view." {
            found.extend(value.as_object().unwrap().keys().cloned());
            continue;
        }
        let name = format!("{within}{name}");
        names(value, &format!("{name}."), found);
        found.insert(name);
    }
}

#[test]
fn calls_are_counted() {
    let served = Served::new();
    for _ in 0..3 {
        served.result("metashrew_view", &json!(["echo", "01"]));
    }
    served.error("metashrew_view", &json!(["no_such"]));
    served.error("metashrew_view", &json!(["trap"]));
    served.result("metashrew_multicall", &json!([["echo", "", "height", ""]]));
    served.error("metashrew_view", &json!(["echo", "", 9_999]));
    let (_, body) = served.post(r#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#);
    assert!(body.contains("-32601"));
    let stats = stats(&served);
    let views = &stats["views"];
    assert_eq!(views["stateful"], true);
    assert_eq!(views["answered"], 5);
    assert_eq!(views["failed"], 3);
    assert_eq!(views["errors"]["no_such_view"], 1);
    assert_eq!(views["errors"]["guest"], 1);
    assert_eq!(views["errors"]["block"], 1);
    assert_eq!(views["latency"]["count"], 5);
    let buckets = views["latency"]["buckets"].as_array().unwrap();
    let counted: u64 = buckets
        .iter()
        .map(|bucket| bucket["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 5);
    assert_eq!(buckets.last().unwrap()["le_seconds"], Value::Null);
    assert!(views["memory"]["bytes"].as_u64().unwrap() >= 2 * 65_536);
    assert!(views["memory"]["limit_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(views["instances"]["busy"], 0);
    let counts = |view: &str| {
        let by_view = &views["by_view"][view];
        (by_view["answered"].as_u64(), by_view["failed"].as_u64())
    };
    // A call about a block that there is not never got to its view.
    assert_eq!(counts("echo"), (Some(4), Some(0)));
    assert_eq!(counts("height"), (Some(1), Some(0)));
    assert_eq!(counts("trap"), (Some(0), Some(1)));
    assert_eq!(counts("no_such"), (None, None));
    assert_eq!(stats["requests"]["metashrew_view"], 6);
    assert_eq!(stats["requests"]["metashrew_multicall"], 1);
    assert_eq!(stats["requests"]["metashrew_stats"], 1);
    assert_eq!(stats["requests"]["unknown"], 1);
}

#[test]
fn the_index_is_described() {
    let served = Served::new();
    let tip = served.tip();
    let stats = stats(&served);
    assert_eq!(
        stats["tip"],
        json!({
            "height": 104,
            "block_hash": format!("0x{}", tip.hash),
            "history_root": format!("0x{}", tip.history_root),
        })
    );
    assert_eq!(stats["first_height"], 100);
    let guest = hex::encode_prefixed(served.runtime.guest_sha256());
    assert_eq!(stats["guest_sha256"], guest);
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["indexing"]["state"], "unknown");
    assert!(stats["uptime_seconds"].as_f64().unwrap() > 0.0);
    #[cfg(target_os = "linux")]
    assert!(stats["process"]["resident_bytes"].as_u64().unwrap() > 1 << 20);

    let empty = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let stats = self::stats(&empty);
    assert_eq!(stats["tip"], Value::Null);
    assert_eq!(stats["first_height"], Value::Null);
}

fn totals() -> IndexingTotals {
    IndexingTotals {
        blocks: 9,
        guest: Duration::from_secs(4),
        reads: Duration::from_secs(3),
        commit: Duration::from_secs(2),
        reorgs: 2,
        undone_blocks: 5,
        node_failures: vec![("behind", 6)],
        machine_failures: 1,
        block_reads: 50,
        scouts: Scouts {
            count: 3,
            runs: vec![("done", 20), ("cancelled", 4)],
            reads: 40,
            memory: 65_536,
        },
    }
}

#[test]
fn how_indexing_goes_is_passed_on() {
    let told = Arc::new(Told::default());
    *told.0.lock().unwrap() = IndexingReport {
        state: IndexingState::WaitingForNode,
        node_tip: Some(110),
        blocks_per_second: Some(12.5),
        bytes_per_second: Some(1e6),
        eta: Some(Duration::from_millis(1500)),
        error: Some("connection refused".to_owned()),
        hint: Some("start it".to_owned()),
        current_block: Some(CurrentBlock {
            height: 105,
            block_hash: BlockHash::from_bytes([3; 32]),
            elapsed: Duration::from_millis(2_500),
        }),
        current_write: Some(CurrentWrite {
            kind: "commit",
            first: 106,
            last: 107,
            elapsed: Duration::from_millis(1_500),
        }),
        totals: Some(totals()),
        failed_block: Some((105, BlockHash::from_bytes([2; 32]))),
        last_reorg: Some(Reorg {
            height: 101,
            depth: 3,
        }),
        sources: vec![("rpc".to_owned(), 7), ("rest".to_owned(), 8)],
    };
    let served = Setup {
        server: ServerOptions {
            indexing: Some(told),
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    assert_eq!(
        stats(&served)["indexing"],
        json!({
            "state": "waiting_for_node",
            "node_tip": 110,
            "behind": 6,
            "blocks_per_second": 12.5,
            "bytes_per_second": 1e6,
            "eta_seconds": 1.5,
            "error": "connection refused",
            "hint": "start it",
            "current_block": {
                "height": 105, "block_hash": format!("0x{}", "03".repeat(32)), "seconds": 2.5,
            },
            "current_write": { "kind": "commit", "first": 106, "last": 107, "seconds": 1.5 },
            "totals": {
                "blocks": 9, "guest_seconds": 4.0, "reads_seconds": 3.0, "commit_seconds": 2.0,
                "reorgs": 2, "undone_blocks": 5, "node_failures": { "behind": 6 },
                "machine_failures": 1, "block_reads": 50,
                "scouts": {
                    "count": 3, "runs": { "done": 20, "cancelled": 4 }, "reads": 40,
                    "memory_bytes": 65_536,
                },
            },
            "failed_block": { "height": 105, "block_hash": format!("0x{}", "02".repeat(32)) },
            "last_reorg": { "height": 101, "depth": 3 },
            "sources": { "rpc": 7, "rest": 8 },
        })
    );
}

#[test]
fn every_name_is_documented() {
    let document = include_str!("../../../../docs/rpc.md");
    let mut found = BTreeSet::new();
    names(&stats(&Served::new()), "", &mut found);
    assert!(found.len() > 50, "{found:?}");
    for name in found {
        // A name may have a dot in it.
        let mut ends = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        assert!(
            document.contains(&format!("`{name}`"))
                || ends.any(|end| document.contains(&format!("`{end}`"))),
            "`{name}` is not in docs/rpc.md"
        );
    }
}

#[test]
fn every_method_that_is_documented_is_served_and_counted() {
    let served = Served::new();
    let document = include_str!("../../../../docs/rpc.md");
    let headings = document.lines();
    let methods: Vec<_> = headings
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(methods.len() >= 8, "{methods:?}");
    for method in &methods {
        let answer = served.answer(method, &json!([]));
        assert_ne!(answer["error"]["code"], -32601, "{method}");
    }
    let requests = stats(&served)["requests"].clone();
    for method in &methods {
        assert!(
            requests[method].as_u64().is_some_and(|count| count > 0),
            "{method}"
        );
    }
    assert_eq!(requests["unknown"], 0);
    assert_eq!(requests.as_object().unwrap().len(), methods.len() + 1);
}

#[test]
fn a_view_that_answers_from_its_memory_is_named() {
    let served = Setup {
        wasm: metashrew_testing::remembering::remembering(),
        ..Setup::default()
    }
    .serve();
    // Once it is named it is not checked again, and goes on as it is.
    let expected = ["0x01", "0x01", "0x01"];
    for (input, expected) in ["0x01", "0x02", "0x03"].into_iter().zip(expected) {
        let answer = served.result("metashrew_view", &json!(["first_input", input]));
        assert_eq!(answer, expected);
    }
    let checks = loop {
        let checks = stats(&served)["views"]["checks"].clone();
        if checks["differed"] != 0 {
            break checks;
        }
        std::thread::yield_now();
    };
    let tip = served.tip();
    let expected = json!({
        "view": "first_input",
        "height": 104,
        "block_hash": format!("0x{}", tip.hash),
        "pending": false,
        // SHA-256 of the byte 2.
        "input_sha256": "0xdbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986",
        "error": null,
        "hint": served.runtime.view_differences()[0].hint(),
    });
    assert_eq!(checks["differences"], json!([expected]));
    let by_view = stats(&served)["views"]["by_view"]["first_input"]["checks"].clone();
    assert_eq!(by_view["differed"], 1);
    let (_, _, metrics) = served.get("/metrics");
    for sample in [
        "Answers of each view that were to be compared with a fresh instance's",
        r#"metashrew_view_checks_total{view="first_input",result="differed"} 1"#,
        r#"metashrew_view_checks_total{view="first_input",result="same"} 0"#,
        r#"metashrew_view_checks_total{view="echo",result="skipped"} 0"#,
    ] {
        assert!(metrics.contains(sample), "{sample}: {metrics}");
    }
}

//! `/health` and `/ready`, and probes of a server that is full.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::{IndexingReport, IndexingState, IndexingStatus, ServerOptions};
use metashrew_store::BlockHash;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, status, view_request, wait_until};

/// Tells what a test has it tell.
#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<IndexingReport>);

impl IndexingStatus for Told {
    fn report(&self) -> IndexingReport {
        self.0.lock().unwrap().clone()
    }
}

fn ready(served: &Served) -> (u16, Value) {
    let (status, head, body) = served.get("/ready");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_server_that_answers_is_alive() {
    let served = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let (status, head, body) = served.get("/health");
    assert_eq!((status, body.as_str()), (200, r#"{"status":"alive"}"#));
    assert!(head.contains("content-type: application/json"), "{head}");
    let (status, _, body) = served.get("/health?verbose=1");
    assert_eq!((status, body.as_str()), (200, r#"{"status":"alive"}"#));
}

#[test]
fn without_anybody_to_ask_an_index_is_ready_once_it_holds_a_block() {
    let mut served = Setup {
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    let expect = |ready: bool, reason: Value, height: Value| {
        json!({
            "ready": ready, "reason": reason, "state": "unknown", "height": height,
            "node_tip": null, "behind": null, "within": 2, "error": null, "hint": null,
            "failed_block": null,
        })
    };
    let nothing = expect(false, json!("nothing_indexed"), Value::Null);
    assert_eq!(ready(&served), (503, nothing));
    served.grow(1);
    assert_eq!(ready(&served), (200, expect(true, Value::Null, json!(100))));
}

#[test]
fn an_index_is_ready_near_the_tip_of_the_node_unless_it_has_halted() {
    let told = Arc::new(Told::default());
    let served = Setup {
        server: ServerOptions {
            indexing: Some(told.clone()),
            ready_within: 10,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let tell = |state: IndexingState, node_tip: u32| {
        let mut report = told.0.lock().unwrap();
        report.state = state;
        report.node_tip = Some(node_tip);
    };
    tell(IndexingState::Syncing, 115);
    let (status, body) = ready(&served);
    assert_eq!(status, 503);
    assert_eq!(body["reason"], "behind");
    assert_eq!((&body["behind"], &body["within"]), (&json!(11), &json!(10)));
    tell(IndexingState::Syncing, 114);
    assert_eq!(ready(&served).0, 200);

    tell(IndexingState::Halted, 105);
    {
        let mut report = told.0.lock().unwrap();
        report.error = Some("the guest trapped".to_owned());
        report.hint = Some("mend it".to_owned());
        report.failed_block = Some((105, BlockHash::from_bytes([1; 32])));
    }
    let (status, body) = ready(&served);
    assert_eq!(status, 503);
    let expect = json!({
        "ready": false, "reason": "halted", "state": "halted", "height": 104,
        "node_tip": 105, "behind": 1, "within": 10, "error": "the guest trapped",
        "hint": "mend it", "failed_block": { "height": 105, "block_hash": format!("0x{}", "01".repeat(32)) },
    });
    assert_eq!(body, expect);
    // Views at every committed height go on.
    assert_eq!(
        served.result("metashrew_view", &json!(["echo", "01", 104])),
        "0x01"
    );
}

#[test]
fn a_full_server_answers_probes() {
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::MIN,
            queue: 1,
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            max_requests: 2,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let _running = served.start(&view_request(1, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().busy == 1);
    let _waiting = served.start(&view_request(2, &json!(["spin"])));
    wait_until(|| served.runtime.view_stats().waiting == 1);
    let body = view_request(3, &json!(["echo"])).to_string();
    let (head, _) = served.send("POST", &[("content-type", "application/json")], &body);
    assert_eq!(status(&head), 429);
    for _ in 0..20 {
        for path in ["/health", "/ready", "/metrics"] {
            let (status, _, body) = served.get(path);
            assert_eq!(status, 200, "{path}: {body}");
        }
    }
    let stats = served.runtime.view_stats();
    assert_eq!((stats.busy, stats.waiting), (1, 1));
}

#[test]
fn only_these_paths_and_methods_are_probes() {
    let served = Served::new();
    for path in ["/healthy", "/health/", "/metrics/x"] {
        assert_eq!(served.get(path).0, 405, "{path}");
    }
    // JSON-RPC is at every path.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"metashrew_height"}"#;
    let (status, answer) = served.post_at("/metrics", body);
    assert_eq!(status, 200);
    assert!(answer.contains("104"), "{answer}");
}

//! Batches: order, concurrency, and what one bad call does to the others.

use std::num::NonZeroUsize;
use std::time::Duration;

use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};

use crate::harness::{Served, Setup, view_request, wait_until};

#[test]
fn answers_come_in_the_order_of_the_calls() {
    let served = Served::new();
    let calls: Vec<_> = (0..500)
        .map(|id| view_request(id, &json!(["echo", format!("{id:08x}")])))
        .collect();
    let (_, body) = served.post(&Value::from(calls).to_string());
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(answers.len(), 500);
    for (id, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"], format!("0x{id:08x}"));
    }
}

#[test]
fn calls_run_side_by_side_up_to_the_limit() {
    let two = NonZeroUsize::new(2).unwrap();
    let served = Setup {
        views: ViewOptions {
            instances: NonZeroUsize::new(4).unwrap(),
            timeout: Duration::from_mins(1),
            ..ViewOptions::default()
        },
        server: ServerOptions {
            batch_parallel: two,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    let calls: Vec<_> = (0..5)
        .map(|id| view_request(id, &json!(["spin"])))
        .collect();
    let stream = served.start(&calls.into());
    // Endless views: both places are taken, and no third call is let in.
    wait_until(|| served.runtime.view_stats().busy == two.get());
    let stats = served.runtime.view_stats();
    assert_eq!((stats.busy, stats.waiting), (2, 0));
    drop(stream);
    wait_until(|| served.runtime.view_stats().busy == 0);
}

#[test]
fn a_bad_call_harms_no_other() {
    let served = Served::new();
    let batch = json!([
        view_request(1, &json!(["echo", "01"])),
        view_request(2, &json!(["trap"])),
        view_request(3, &json!(["echo", "0x0"])),
        view_request(4, &json!(["echo", "04", 9_999_999])),
        view_request(5, &json!(["echo", "05"])),
    ]);
    let (_, body) = served.post(&batch.to_string());
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| answer["error"]["code"].as_i64())
        .collect();
    assert_eq!(
        codes,
        [None, Some(-32004), Some(-32602), Some(-32001), None]
    );
    assert_eq!(answers[0]["result"], "0x01");
    assert_eq!(answers[4]["result"], "0x05");
}

#[test]
fn a_real_client_batches() {
    let served = Served::new();
    let batch = (100..105).map(|height| view_request(height, &json!(["height", "", height])));
    let answers = served.asked_by_another_client(&batch.collect());
    let answers = answers.as_array().unwrap().iter();
    let heights: Vec<_> = answers.map(|answer| answer["result"].clone()).collect();
    let expect: Vec<_> = (100_u32..105)
        .map(|height| hex::encode_prefixed(height.to_le_bytes()))
        .collect();
    assert_eq!(heights, expect);
}

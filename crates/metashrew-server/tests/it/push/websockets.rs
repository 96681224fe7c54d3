//! Calls and subscriptions over a WebSocket.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use metashrew_runtime::ViewOptions;
use metashrew_server::ServerOptions;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Client, stat};
use crate::harness::{Served, Setup, view_request, wait_until};

#[test]
fn what_is_asked_is_answered_as_over_http() {
    let served = Served::new();
    let long = "5a".repeat(100_000);
    let bodies = [
        view_request(1, &json!(["echo", "2a"])).to_string(),
        view_request(2, &json!(["echo", long])).to_string(),
        view_request(3, &json!(["no_such_view"])).to_string(),
        json!([
            view_request(4, &json!(["echo", "2a"])),
            view_request(5, &json!(["nothing"])),
            { "jsonrpc": "2.0", "id": "six", "method": "metashrew_height" },
            { "jsonrpc": "2.0", "method": "metashrew_height" },
            7,
        ])
        .to_string(),
        r#"{"jsonrpc":"2.0","id":1e3,"method":"metashrew_no_such_method"}"#.to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        String::new(),
    ];
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        for body in bodies {
            let (status, expect) = served.post(&body);
            assert_eq!(status, 200);
            client.send(body.clone()).await;
            assert_eq!(client.text().await, expect, "{body}");
            // Bytes are taken for the text that they are.
            let bytes = Message::binary(body.clone());
            client.web_socket.send(bytes).await.unwrap();
            assert_eq!(client.text().await, expect, "{body}");
        }
        // Notifications get no answer.
        client
            .send(r#"{"jsonrpc":"2.0","method":"metashrew_height"}"#)
            .await;
        assert_eq!(client.result("metashrew_height", json!([])).await, "104");
        assert_eq!(client.waiting(), 0);
    });
}

#[test]
fn every_path_is_a_websocket() {
    let served = Served::new();
    served.block_on(async {
        for path in ["/", "/rpc", "/subscribe/heads", "/metrics"] {
            let (mut client, _) = Client::open(&served, path, &[]).await.unwrap();
            assert_eq!(client.result("metashrew_height", json!([])).await, "104");
        }
    });
}

#[test]
fn a_subscription_tells_what_comes_until_it_is_ended() {
    let mut served = Served::new();
    let mut client = served.tokio.block_on(Client::connect(&served));
    let (by_name, by_place) = served.tokio.block_on(async {
        let by_name = client.subscribe(json!({ "kind": "heads" })).await;
        let by_place = client.subscribe(json!(["heads"])).await;
        for _ in 0..2 {
            let (_, event) = client.event().await;
            assert_eq!(event["type"], "position");
            assert_eq!(event["height"], 104);
        }
        (by_name, by_place)
    });
    assert_ne!(by_name, by_place);
    served.grow(3);
    served.tokio.block_on(async {
        let mut told: Vec<_> = Vec::new();
        for _ in 0..6 {
            let (id, event) = client.event().await;
            assert_eq!(event["type"], "block");
            told.push((id, event["height"].as_u64().unwrap()));
        }
        for id in [&by_name, &by_place] {
            let heights = told.iter().filter(|(of, _)| of == id);
            let heights: Vec<_> = heights.map(|(_, height)| *height).collect();
            assert_eq!(heights, [105, 106, 107]);
        }
        let end = async |client: &mut Client, id: &str| {
            let ended = client.result("metashrew_unsubscribe", json!([id])).await;
            ended.as_bool().unwrap()
        };
        assert!(end(&mut client, &by_name).await);
        assert!(!end(&mut client, &by_name).await);
        for unknown in ["", "0", "77", "-1", "x"] {
            assert!(!end(&mut client, unknown).await, "{unknown}");
        }
    });
    served.grow(1);
    served.tokio.block_on(async {
        let (id, event) = client.event().await;
        assert_eq!((id, event["height"].as_u64()), (by_place, Some(108)));
        client.result("metashrew_height", json!([])).await;
        assert_eq!(client.waiting(), 0);
    });
    drop(client);
    wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
}

#[test]
fn a_client_that_comes_again_goes_on_where_it_was() {
    let mut served = Served::new();
    let (cursor, first) = served.tokio.block_on(async {
        let mut client = Client::connect(&served).await;
        client
            .subscribe(json!({ "kind": "heads", "from": "first" }))
            .await;
        let (_, first) = client.block().await;
        let (_, second) = client.block().await;
        (second["cursor"].clone(), first["height"].as_u64())
    });
    assert_eq!(first, Some(100));
    served.grow(2);
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        client
            .subscribe(json!(["heads", { "cursor": cursor }]))
            .await;
        for height in 102..=106 {
            let (_, event) = client.event().await;
            assert_eq!(event["height"], height, "{event}");
        }
    });
}

#[test]
fn a_batch_may_subscribe_and_its_answer_comes_first() {
    let served = Served::new();
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        let subscribe = |id: u32| {
            json!({
                "jsonrpc": "2.0", "id": id, "method": "metashrew_subscribe",
                "params": { "kind": "heads", "from": "first" },
            })
        };
        client
            .send(json!([subscribe(1), subscribe(2)]).to_string())
            .await;
        let answers: Value = serde_json::from_str(&client.text().await).unwrap();
        let ids: Vec<_> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["result"])
            .collect();
        assert_eq!(ids.len(), 2);
        let mut told = Vec::new();
        for _ in 0..10 {
            told.push(json!(client.block().await.0));
        }
        for id in ids {
            assert_eq!(
                told.iter().filter(|told| *told == id).count(),
                5,
                "{told:?}"
            );
        }
    });
}

#[test]
fn subscriptions_need_a_websocket_and_a_call_over_http_learns_so() {
    let served = Served::new();
    for (method, params) in [
        ("metashrew_subscribe", json!(["heads"])),
        ("metashrew_subscribe", json!({ "no": "sense" })),
        ("metashrew_unsubscribe", json!(["1"])),
    ] {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32019);
        assert_eq!(error["data"], json!({ "kind": "not_pushable" }));
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("WebSocket") && message.contains("/subscribe/heads"),
            "{message}"
        );
    }
}

#[test]
fn a_subscription_that_cannot_be_is_an_error() {
    let served = Setup {
        server: ServerOptions {
            max_subscriptions_per_connection: 2,
            ..ServerOptions::default()
        },
        ..Setup::default()
    }
    .serve();
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        for params in [
            json!([]),
            json!(["tails"]),
            json!(["heads", { "cursor": "x" }]),
        ] {
            let answer = client.answer("metashrew_subscribe", params).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        }
        let first = client.subscribe(json!(["heads"])).await;
        client.subscribe(json!(["heads"])).await;
        let answer = client.answer("metashrew_subscribe", json!(["heads"])).await;
        assert_eq!(answer["error"]["code"], -32006);
        let data = json!({ "kind": "too_many_subscriptions", "limit": 2 });
        assert_eq!(answer["error"]["data"], data);
        client.result("metashrew_unsubscribe", json!([first])).await;
        client.subscribe(json!(["heads"])).await;
        // Another connection has places of its own.
        Client::connect(&served)
            .await
            .subscribe(json!(["heads"]))
            .await;
    });
}

fn patient(instances: usize) -> Served {
    Setup {
        views: ViewOptions {
            instances: NonZeroUsize::new(instances).unwrap(),
            timeout: Duration::from_hours(1),
            ..ViewOptions::default()
        },
        ..Setup::default()
    }
    .serve()
}

#[test]
fn a_long_call_keeps_no_other_waiting() {
    let served = patient(2);
    served.block_on(async {
        let mut client = Client::connect(&served).await;
        client
            .send(view_request(1000, &json!(["spin"])).to_string())
            .await;
        for _ in 0..50 {
            assert_eq!(client.result("metashrew_height", json!([])).await, "104");
        }
        assert_eq!(
            client.result("metashrew_view", json!(["echo", "01"])).await,
            "0x01"
        );
    });
}

#[test]
fn a_client_that_leaves_ends_its_calls() {
    let served = patient(1);
    for closes in [true, false] {
        let client = served.block_on(async {
            let mut client = Client::connect(&served).await;
            client
                .send(view_request(1, &json!(["spin"])).to_string())
                .await;
            client
        });
        wait_until(|| served.runtime.view_stats().busy == 1);
        served.block_on(async {
            let mut client = client;
            if closes {
                client.web_socket.close(None).await.unwrap();
                while client.web_socket.next().await.is_some() {}
            }
        });
        wait_until(|| served.runtime.view_stats().busy == 0);
        wait_until(|| stat(&served, &["push", "open", "websocket"]) == 0);
    }
}

#[test]
fn a_server_that_stops_says_so() {
    let served = Served::new();
    let mut client = served.tokio.block_on(Client::connect(&served));
    served.tokio.block_on(async {
        client.subscribe(json!(["heads"])).await;
        assert_eq!(client.event().await.1["type"], "position");
    });
    let Served { handle, tokio, .. } = served;
    tokio.block_on(async {
        let reads = async {
            let (_, end) = client.event().await;
            assert_eq!(
                (&end["type"], &end["reason"]),
                (&json!("end"), &json!("shutdown"))
            );
            assert!(end["cursor"].as_str().unwrap().starts_with("104:0x"));
            let closed = client.closed().await.unwrap();
            assert_eq!(closed.code, CloseCode::Away);
            assert_eq!(closed.reason.as_str(), "the server stops");
        };
        tokio::join!(reads, handle.stop());
    });
}

#[test]
fn reorganisations_are_told() {
    let served = Served::new();
    let mut client = served.tokio.block_on(Client::connect(&served));
    served.tokio.block_on(async {
        client.subscribe(json!(["heads"])).await;
        client.event().await;
    });
    served.runtime.store().rollback(Some(102)).unwrap();
    served.tokio.block_on(async {
        let (_, event) = client.event().await;
        assert_eq!(
            (&event["type"], &event["height"]),
            (&json!("undo"), &json!(102))
        );
        let undone = event["undone"].as_array().unwrap();
        let heights: Vec<_> = undone
            .iter()
            .map(|block| block["height"].as_u64())
            .collect();
        assert_eq!(heights, [Some(104), Some(103)]);
    });
}

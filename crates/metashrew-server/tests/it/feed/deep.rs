//! What is long for its number of blocks or for its values is told in parts, each of which
//! takes memory within a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metashrew_server::{InProcess, InProcessSubscription, ServerOptions};
use metashrew_store::{BackendError, Store};
use metashrew_testing::guests;
use metashrew_testing::hooked::{Hook, Hooked};
use serde_json::{Value, json};

use super::model::{Model, State};
use super::{next, quiet, runtime, subscribe};

/// Blocks that are listed in one event.
const LISTED: usize = 256;

/// Commits so many blocks, each of which writes a key of its own and some that others write.
fn grow(model: &mut Model, blocks: usize) {
    for _ in 0..blocks {
        let number = model.chain.len();
        let (own, shared) = (format!("k{number:05}"), format!("k/{}", number % 100));
        let value = number.to_string();
        let value = value.as_bytes();
        model.commit(&[
            (b"a", value),
            (own.as_bytes(), value),
            (shared.as_bytes(), value),
        ]);
    }
}

/// An event, whole or of its parts, joined as clients join them; and how many these were.
async fn joined(subscription: &mut InProcessSubscription) -> (Value, usize) {
    let mut whole = json!({});
    for number in 0.. {
        let mut part = next(subscription).await;
        let length = part.to_string().len();
        assert!(length < 70_000, "{length}");
        let members = part.as_object_mut().unwrap();
        let Some(told) = members.remove("part") else {
            assert_eq!(number, 0);
            return (part, 1);
        };
        assert_eq!(told, number);
        let is_last = members.remove("last").is_some();
        assert_eq!(members.contains_key("cursor"), is_last);
        for (name, value) in std::mem::take(members) {
            match (&mut whole[&name], value) {
                (Value::Array(have), Value::Array(more)) => have.extend(more),
                (member, value) => *member = value,
            }
        }
        if is_last {
            return (whole, number + 1);
        }
    }
    unreachable!("the last part says so")
}

/// The list of blocks that went, which the model gives from the bottom up.
fn list(undone: &[String]) -> Value {
    let blocks = undone.iter().rev().map(|cursor| {
        let (height, hash) = cursor.split_once(':').unwrap();
        json!({ "height": height.parse::<u32>().unwrap(), "hash": hash })
    });
    blocks.collect()
}

/// Every key that begins with `k` of a state that went, with its value in the one below.
fn writes(gone: &State, below: &State) -> Value {
    let keys = gone.iter().filter(|(key, value)| {
        key.starts_with(b"k") && below.get(*key).is_none_or(|before| before != *value)
    });
    let writes = keys.map(|(key, _)| {
        let value = below.get(key).map(Vec::as_slice).unwrap_or_default();
        json!({ "key": hex::encode_prefixed(key), "value": hex::encode_prefixed(value) })
    });
    writes.collect()
}

struct Subscribers {
    heads: InProcessSubscription,
    writes: InProcessSubscription,
    view: InProcessSubscription,
}

impl Subscribers {
    /// From `cursor`, or from the tip.
    async fn of(server: &InProcess, cursor: Option<&str>) -> Self {
        let with_cursor = |mut params: Value| {
            if let Some(cursor) = cursor {
                params["cursor"] = json!(cursor);
            }
            params
        };
        let of_writes = with_cursor(json!({ "kind": "writes", "prefix": hex::encode("k") }));
        let of_view =
            json!({ "kind": "view", "function": "get", "input": hex::encode("a"), "as": "text" });
        let mut subscribers = Self {
            heads: subscribe(server, &with_cursor(json!({ "kind": "heads" }))).await,
            writes: subscribe(server, &of_writes).await,
            view: subscribe(server, &with_cursor(of_view)).await,
        };
        if cursor.is_none() {
            assert_eq!(next(&mut subscribers.heads).await["type"], "position");
            assert_eq!(next(&mut subscribers.writes).await["type"], "position");
            assert_eq!(next(&mut subscribers.view).await["type"], "answer");
        }
        subscribers
    }

    /// All are told that these blocks went, from which `gone` was left.
    async fn check(&mut self, model: &Model, undone: &[String], gone: &State, parts: usize) {
        let (event, count) = joined(&mut self.heads).await;
        assert_eq!(count, parts);
        assert_eq!(event["type"], "undo");
        assert_eq!(event["cursor"], model.tip());
        assert_eq!(event["undone"], list(undone));

        let (event, count) = joined(&mut self.writes).await;
        assert!(count >= parts, "{count}");
        assert_eq!(event["type"], "undo");
        assert_eq!(event["cursor"], model.tip());
        assert_eq!(event["undone"], list(undone));
        assert_eq!(event["writes"], writes(gone, &model.state(&model.tip())));

        let (event, count) = joined(&mut self.view).await;
        // The answer is a part of its own.
        assert_eq!(count, parts + usize::from(parts > 1));
        assert_eq!(event["type"], "answer");
        assert_eq!(event["cursor"], model.tip());
        let below = model.state(&model.tip())[&b"a"[..]].clone();
        assert_eq!(event["result"], String::from_utf8(below).unwrap());
        // One that came with a cursor of a block that went is told nothing of these.
        let listed = event.get("undone");
        assert!(listed.is_none_or(|listed| *listed == list(undone)));
    }
}

async fn deep_reorgs(options: ServerOptions) {
    let mut model = Model::new(Store::in_memory());
    let guest = guests::height_independent();
    let server = InProcess::new(runtime(&guest, model.store.clone()), &options);
    grow(&mut model, 20);
    for (depth, parts) in [(LISTED, 1), (LISTED + 1, 2), (2 * LISTED, 2), (900, 4)] {
        grow(&mut model, depth);
        let mut told = Subscribers::of(&server, None).await;
        let (tip, gone) = (model.tip(), model.state(&model.tip()));
        let undone = model.rollback(depth);
        told.check(&model, &undone, &gone, parts).await;
        // One that was cut off in the midst of it, or after it was told.
        let mut cut = Subscribers::of(&server, Some(&tip)).await;
        next(&mut cut.heads).await;
        next(&mut cut.writes).await;
        let mut again = Subscribers::of(&server, Some(&tip)).await;
        drop(cut);
        let (event, count) = joined(&mut again.heads).await;
        assert_eq!((&event["undone"], count), (&list(&undone), parts));
        let (event, _) = joined(&mut again.writes).await;
        assert_eq!(event["writes"], writes(&gone, &model.state(&model.tip())));
        assert_eq!(joined(&mut again.view).await.0["cursor"], model.tip());
        // All go on.
        grow(&mut model, 1);
        for subscription in [&mut told.heads, &mut told.writes, &mut again.heads] {
            assert_eq!(next(subscription).await["cursor"], model.tip());
        }
        assert_eq!(next(&mut told.view).await["cursor"], model.tip());
    }
}

#[tokio::test]
async fn the_blocks_of_a_deep_reorg_are_told_in_parts() {
    Box::pin(deep_reorgs(quiet())).await;
}

#[tokio::test]
async fn a_deep_reorg_is_told_where_memory_is_short() {
    let options = ServerOptions {
        request_memory: 64 << 10,
        ..quiet()
    };
    Box::pin(deep_reorgs(options)).await;
}

/// Counts reads of keys that begin with `k`.
#[derive(Debug, Default)]
struct Reads(AtomicUsize);

impl Hook for Reads {
    fn before_get(&self, key: &[u8]) -> Result<(), BackendError> {
        self.0
            .fetch_add(usize::from(key.starts_with(b"k")), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn long_values_are_not_read_before_there_is_room_for_them() {
    let engine = Arc::new(Hooked::new(Arc::<Reads>::default()));
    let store = Store::with_backend(engine.clone()).unwrap();
    let mut model = Model::new(store);
    let server = InProcess::new(runtime(&guests::chained(), model.store.clone()), &quiet());
    model.commit(&[(b"a", b"1")]);
    let mut told = subscribe(&server, &json!({ "kind": "writes" })).await;
    next(&mut told).await;
    // Each fills a part.
    let value = vec![7; 1 << 20];
    let keys: Vec<_> = (0..16).map(|number| format!("k{number:02}")).collect();
    let written = keys.iter().map(|key| (key.as_bytes(), &value[..]));
    model.commit(&written.collect::<Vec<_>>());
    let mut told_writes = 0;
    loop {
        let before = engine.hook().0.load(Ordering::Relaxed);
        let part = next(&mut told).await;
        let reads = engine.hook().0.load(Ordering::Relaxed) - before;
        let writes = part["writes"].as_array().unwrap().len();
        assert!(reads <= writes + 1, "{reads} values are read for {writes}");
        told_writes += writes;
        if part.get("cursor").is_some() {
            break;
        }
    }
    assert_eq!(told_writes, 16);
}

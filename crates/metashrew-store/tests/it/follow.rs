//! A second store over an engine that another one writes.

use std::sync::Arc;

use metashrew_store::{BlockRecord, MemoryBackend, Store};

use crate::chain::{self, writes};

const CACHE_BYTES: u64 = 4 << 20;

fn two_stores() -> (Store, Store) {
    let engine = Arc::new(MemoryBackend::default());
    let open = || Store::with_backend_and_cache(engine.clone(), CACHE_BYTES).unwrap();
    (open(), open())
}

/// Commits the next block of fork `fork` on top of `tip`.
fn commit(
    store: &Store,
    tip: Option<&BlockRecord>,
    fork: u32,
    entries: &[(&str, &str)],
) -> BlockRecord {
    let block = chain::next(tip, 100, fork);
    store.commit(&block, &writes(entries)).unwrap()
}

/// What the store has at `key`, read twice: from the engine, and from the cache.
fn value(store: &Store, key: &str) -> Option<String> {
    let state = store.snapshot().latest();
    let read = || {
        let version = state.get(key.as_bytes()).unwrap()?;
        Some(String::from_utf8_lossy(&version.value).into_owned())
    };
    let value = read();
    assert_eq!(read(), value);
    value
}

#[test]
fn a_follower_sees_commits_and_rollbacks_once_it_looks() {
    let (writer, follower) = two_stores();
    assert!(!follower.follow().unwrap());
    let first = commit(&writer, None, 0, &[("a", "1"), ("b", "1")]);
    assert_eq!(follower.snapshot().tip(), None);
    assert!(follower.follow().unwrap());
    assert_eq!(follower.snapshot().tip(), Some(&first));
    assert_eq!(value(&follower, "a").as_deref(), Some("1"));
    assert_eq!(value(&follower, "c"), None);
    let generation = follower.snapshot().generation();

    // What the cache knows of keys that were not written is still right, and still used.
    let held = follower.snapshot();
    let second = commit(&writer, Some(&first), 0, &[("a", "2"), ("c", "2")]);
    assert!(follower.follow().unwrap());
    assert!(!follower.follow().unwrap());
    assert_eq!(follower.snapshot().tip(), Some(&second));
    assert_eq!(follower.snapshot().generation(), generation);
    let before = follower.cache_stats();
    assert_eq!(value(&follower, "a").as_deref(), Some("2"));
    assert_eq!(value(&follower, "c").as_deref(), Some("2"));
    assert_eq!(follower.cache_stats().misses, before.misses);
    assert_eq!(value(&follower, "b").as_deref(), Some("1"));
    let old = held.latest().get(b"a").unwrap().unwrap();
    assert_eq!(old.value, "1");

    // Another block in the second one's place: another generation, and nothing is left of
    // what the cache knew of the block that is gone.
    writer.rollback(Some(first.height)).unwrap();
    let other = commit(&writer, Some(&first), 1, &[("b", "other")]);
    assert_eq!(other.height, second.height);
    assert_eq!(value(&follower, "a").as_deref(), Some("2"));
    assert!(follower.follow().unwrap());
    assert_eq!(follower.snapshot().tip(), Some(&other));
    assert_eq!(follower.snapshot().generation(), generation + 1);
    assert_eq!(value(&follower, "a").as_deref(), Some("1"));
    assert_eq!(value(&follower, "b").as_deref(), Some("other"));
    assert_eq!(value(&follower, "c"), None);

    writer.rollback(None).unwrap();
    assert!(follower.follow().unwrap());
    assert_eq!(follower.snapshot().tip(), None);
    assert_eq!(follower.snapshot().generation(), generation + 2);
    assert_eq!(value(&follower, "a"), None);
}

#[test]
fn a_follower_that_was_away_for_long_begins_anew() {
    let (writer, follower) = two_stores();
    let first = chain::commit_standard(&writer, 3, 1);
    follower.follow().unwrap();
    assert_eq!(
        value(&follower, "/old/1").is_some(),
        value(&writer, "/old/1").is_some()
    );
    let mut tip = first;
    for number in 0..40 {
        let block = chain::next(Some(&tip), 0, 0);
        let value = number.to_string();
        tip = writer
            .commit(&block, &writes(&[("/old/1", value.as_str())]))
            .unwrap();
    }
    assert!(follower.follow().unwrap());
    assert_eq!(follower.snapshot().tip(), Some(&tip));
    assert_eq!(value(&follower, "/old/1").as_deref(), Some("39"));
    assert_eq!(follower.snapshot().generation(), 0);
}

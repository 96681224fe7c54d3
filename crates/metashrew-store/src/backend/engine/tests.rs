//! The engine without its threads: what they do is done here, one step at a time.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use lsm_tree::config::PartitioningPolicy;
use lsm_tree::{AbstractTree, Config, InternalValue, Slice, ValueType};
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::files;
use super::super::tree_key::tagged;
use super::*;
use crate::backend::{Space, View};

type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Small enough that a few batches overflow each of them.
const LIMITS: Limits = Limits {
    blocks: 1 << 20,
    resident: 4_000,
    flush_at: 1_500,
    max_dirty: 1 << 20,
    files: 16,
};

fn directory() -> TempDir {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    directory.unwrap()
}

fn engine(limits: Limits) -> (Engine, TempDir) {
    engine_in(directory(), limits)
}

fn engine_in(directory: TempDir, limits: Limits) -> (Engine, TempDir) {
    let log = directory.path().join(files::LOG);
    fs::create_dir(&log).unwrap();
    let trees = Trees::open(directory.path(), &limits).unwrap();
    let log = Log::create(&log, 0, None).unwrap();
    let content = Content {
        number: 0,
        flushed: 0,
        layers: Vec::new(),
        tables: trees.tables(),
    };
    (Engine::new(trees, log, limits, content), directory)
}

fn view(engine: &Engine) -> Arc<ContentView> {
    engine.view(&Arc::new(Hold {
        _directory: None,
        lock: None,
    }))
}

fn batch(space: Space, changes: &Changes) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        let key = Bytes::from(key.clone());
        match value.clone() {
            Some(value) => batch.put(space, key, value.into()),
            None => batch.delete(space, key),
        }
    }
    batch
}

fn numbered(numbers: std::ops::Range<u32>, value: u8) -> Changes {
    numbers
        .map(|number| (number.to_be_bytes().to_vec(), Some(vec![value; 100])))
        .collect()
}

fn content(view: &ContentView, space: Space) -> BTreeMap<Vec<u8>, Vec<u8>> {
    view.scan(space, Bound::Unbounded, Bound::Unbounded)
        .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn compact_all(engine: &Engine) {
    for tree in engine.trees.all() {
        while engine.compact(tree).unwrap() {}
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(Changes),
    /// Flushes, merges or evicts, whatever is due.
    Tend,
    FlushAll,
    Compact,
    /// Keeps a view until the end.
    Hold,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop::collection::vec(0_u8..4, 0..4);
    let value = prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..40));
    let step = prop_oneof![
        6 => prop::collection::btree_map(key, value, 0..12).prop_map(Step::Write),
        3 => Just(Step::Tend),
        1 => Just(Step::FlushAll),
        2 => Just(Step::Compact),
        1 => Just(Step::Hold),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn views_stay_as_they_were_whatever_is_done_below(steps in steps()) {
        let (engine, _directory) = engine(LIMITS);
        let mut model = BTreeMap::new();
        let mut held = Vec::new();
        let spaces = [Space::KeyToNewest, Space::KeyHeightToOlder, Space::HeightToBlock];
        let mut keys = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Write(changes) => {
                    let mut all = Batch::default();
                    for space in spaces {
                        for operation in batch(space, &changes).into_operations() {
                            match operation.value {
                                Some(value) => all.put(space, operation.key, value),
                                None => all.delete(space, operation.key),
                            }
                        }
                    }
                    engine.write(&all).unwrap();
                    for (key, value) in changes {
                        keys.insert(key.clone());
                        match value {
                            Some(value) => model.insert(key, value),
                            None => model.remove(&key),
                        };
                    }
                }
                Step::Tend => while engine.tend_layers(false).unwrap() {},
                Step::FlushAll => while engine.tend_layers(true).unwrap() {},
                Step::Compact => compact_all(&engine),
                Step::Hold => held.push((view(&engine), model.clone())),
            }
        }
        held.push((view(&engine), model));
        for (view, model) in held {
            for space in spaces {
                prop_assert_eq!(&content(&view, space), &model);
                for key in &keys {
                    let found = view.get(space, key).wait().unwrap();
                    prop_assert_eq!(found.as_deref(), model.get(key).map(Vec::as_slice));
                }
            }
        }
    }
}

#[test]
fn a_flush_empties_the_log_and_eviction_keeps_to_the_budget() {
    let (engine, _directory) = engine(LIMITS);
    for round in 0..20 {
        engine
            .write(&batch(
                Space::KeyToNewest,
                &numbered(round * 9..round * 9 + 9, 1),
            ))
            .unwrap();
        while engine.tend_layers(false).unwrap() {}
        assert!(engine.health().resident_bytes <= LIMITS.resident + LIMITS.flush_at);
    }
    assert!(engine.health().dirty_bytes < LIMITS.flush_at);
    engine
        .write(&batch(Space::Meta, &numbered(0..1, 1)))
        .unwrap();
    let log = engine.health().log_bytes;
    while engine.tend_layers(true).unwrap() {}
    let health = engine.health();
    assert_eq!(health.dirty_bytes, 0);
    assert!(
        health.log_bytes < log && health.log_bytes < 100,
        "{health:?}"
    );
    assert!(health.flushes > 1 && health.written_bytes > 0, "{health:?}");
    assert_eq!(content(&view(&engine), Space::KeyToNewest).len(), 180);
}

/// Writes a table of newest versions as it was written when filters and indexes were not
/// divided into parts.
fn write_undivided(directory: &Path, changes: &Changes) {
    let counter = lsm_tree::SequenceNumberCounter::default;
    let tree = Config::new(
        files::tree(directory, Space::KeyToNewest),
        counter(),
        counter(),
    )
    .filter_block_partitioning_policy(PartitioningPolicy::disabled())
    .index_block_partitioning_policy(PartitioningPolicy::disabled())
    .open()
    .unwrap();
    let entries = changes.iter().map(|(key, value)| {
        let (key, value) = (tagged(key), value.clone().unwrap());
        Ok(InternalValue::from_components(
            Slice::from(key),
            Slice::from(value),
            1,
            ValueType::Value,
        ))
    });
    let (tables, _) = tree.flush_to_tables(entries).unwrap().unwrap();
    tree.register_tables(&tables, None, None, &[], u64::MAX)
        .unwrap();
}

#[test]
fn what_tables_take_is_counted_and_less_once_they_are_written_anew() {
    let directory = directory();
    let keys = 0..20_000;
    write_undivided(directory.path(), &numbered(keys.clone(), 0));
    let (engine, _directory) = engine_in(directory, LIMITS);
    let undivided = engine.health().table_memory_bytes;
    // Of a filter 10 bits a key.
    assert!(undivided > u64::from(keys.end) * 10 / 8, "{undivided}");
    let expect = |value| {
        let view = view(&engine);
        for key in keys.clone().map(u32::to_be_bytes) {
            let found = view.get(Space::KeyToNewest, &key).wait().unwrap();
            assert_eq!(found.as_deref(), Some([value; 100].as_slice()));
        }
    };
    expect(0);
    for value in 1..5 {
        engine
            .write(&batch(Space::KeyToNewest, &numbered(keys.clone(), value)))
            .unwrap();
        while engine.tend_layers(true).unwrap() {}
        // What the tables take, recent writes have not.
        let health = engine.health();
        assert!(health.resident_bytes <= LIMITS.for_recent_writes(health.table_memory_bytes));
    }
    compact_all(&engine);
    let divided = engine.health().table_memory_bytes;
    assert!(divided < undivided / 3, "{divided} of {undivided}");
    expect(4);
}

/// A few flushes, so that a merge is due; and what they wrote.
fn with_runs() -> (Engine, TempDir) {
    let (engine, directory) = engine(LIMITS);
    for value in 0..6 {
        engine
            .write(&batch(Space::KeyToNewest, &numbered(0..200, value)))
            .unwrap();
        while engine.tend_layers(true).unwrap() {}
    }
    assert!(engine.health().new_runs >= 4);
    (engine, directory)
}

fn tables(directory: &Path) -> Vec<String> {
    let tables = files::tree(directory, Space::KeyToNewest).join(files::TABLES);
    let names = fs::read_dir(tables).unwrap();
    let mut names: Vec<_> = names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn tables_that_a_view_reads_outlive_their_merge_and_no_longer() {
    let (engine, directory) = with_runs();
    let held = view(&engine);
    let before = tables(directory.path());
    engine.write(&Batch::default()).unwrap();
    compact_all(&engine);
    let tree = engine.trees.all().first().unwrap();
    fs::write(
        directory.path().join("trees/key_to_newest/tables/999999"),
        "half",
    )
    .unwrap();
    tree.remove_unfinished().unwrap();
    let after = tables(directory.path());
    assert!(before.iter().all(|name| after.contains(name)));
    assert!(!after.contains(&"999999".to_owned()));
    assert_eq!(content(&held, Space::KeyToNewest).len(), 200);
    drop(held);
    let left = tables(directory.path());
    assert!(!before.iter().any(|name| left.contains(name)), "{left:?}");
    assert_eq!(content(&view(&engine), Space::KeyToNewest).len(), 200);
}

#[test]
fn what_the_last_batch_needs_not_is_kept_by_no_view_of_it() {
    let (engine, directory) = with_runs();
    let held = view(&engine);
    let before = tables(directory.path());
    compact_all(&engine);
    let after = tables(directory.path());
    assert!(!before.iter().any(|name| after.contains(name)), "{after:?}");
    assert_eq!(content(&held, Space::KeyToNewest).len(), 200);
    let health = engine.health();
    assert_eq!(health.oldest_view, Duration::ZERO);
    assert_eq!(health.pinned_bytes, 0);
}

#[test]
fn what_an_earlier_view_keeps_is_counted_until_it_goes() {
    let (engine, directory) = engine(LIMITS);
    for value in 0..3 {
        engine
            .write(&batch(Space::KeyToNewest, &numbered(0..200, value)))
            .unwrap();
        while engine.tend_layers(true).unwrap() {}
    }
    engine
        .write(&batch(Space::KeyToNewest, &numbered(0..10, 3)))
        .unwrap();
    let (held, again) = (view(&engine), view(&engine));
    let scan = held.scan(Space::KeyToNewest, Bound::Unbounded, Bound::Unbounded);
    let old = tables(directory.path());
    engine
        .write(&batch(Space::KeyToNewest, &numbered(0..200, 4)))
        .unwrap();
    while engine.tend_layers(true).unwrap() {}
    compact_all(&engine);
    let both = engine.health();
    assert!(both.oldest_view > Duration::ZERO, "{both:?}");
    drop(held);
    assert_eq!(engine.health().pinned_bytes, both.pinned_bytes);
    drop(again);
    // The walk has its tables and its layers; layers are counted of views only.
    let walk = engine.health();
    assert_eq!(walk.oldest_view, Duration::ZERO);
    assert!(walk.pinned_bytes > 0, "{walk:?}");
    assert!(walk.pinned_bytes < both.pinned_bytes, "{walk:?}, {both:?}");
    assert_eq!(scan.count(), 200);
    assert_eq!(engine.health().pinned_bytes, 0);
    let new = tables(directory.path());
    assert!(!new.iter().any(|name| old.contains(name)), "{new:?}");
}

#[test]
fn a_merge_that_is_stopped_loses_nothing() {
    let (engine, directory) = with_runs();
    let expect = content(&view(&engine), Space::KeyToNewest);
    engine.stop();
    let tree = engine.trees.all().first().unwrap();
    assert!(engine.compact(tree).unwrap_err().is_transient());
    assert_eq!(content(&view(&engine), Space::KeyToNewest), expect);
    drop(engine);
    let trees = Trees::open(directory.path(), &LIMITS).unwrap();
    assert_eq!(
        trees.all().first().unwrap().recorded().unwrap(),
        Some(Ok(6))
    );
}

#[test]
fn damage_found_by_a_merge_is_told_at_the_next_write() {
    let (engine, directory) = with_runs();
    let name = tables(directory.path()).remove(0);
    let path = directory
        .path()
        .join("trees/key_to_newest/tables")
        .join(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let error = engine
        .compact(engine.trees.all().first().unwrap())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damage, "{error:?}");
    assert_eq!(engine.failed(&error, false), None);
    let error = engine.write(&Batch::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damage, "{error:?}");
}

/// An engine that has no room for another batch.
fn full() -> (Engine, tempfile::TempDir) {
    let (engine, directory) = engine(Limits {
        max_dirty: 1,
        ..LIMITS
    });
    engine
        .write(&batch(Space::Meta, &numbered(0..1, 1)))
        .unwrap();
    (engine, directory)
}

#[test]
fn a_write_does_not_wait_for_a_thread_that_died() {
    let (engine, _directory) = full();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.write(&Batch::default()));
        engine.threads.give_up("for no reason");
        let error = waiting.join().unwrap().unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    });
}

#[test]
fn a_full_engine_tells_why_nothing_was_written_out_and_goes_on_after() {
    let (engine, _directory) = full();
    let full = || BackendError::new("writing", std::io::Error::from_raw_os_error(28));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.write(&Batch::default()));
        while !waiting.is_finished() {
            engine.failed(&full(), true);
        }
        assert!(waiting.join().unwrap().unwrap_err().is_transient());
        let waiting = scope.spawn(|| engine.write(&Batch::default()));
        while engine.tend_layers(true).unwrap() {}
        engine.threads.flush_succeeded();
        waiting.join().unwrap().unwrap();
    });
    assert!(engine.health().stalls > 0);
    assert!(engine.health().failures > 0);
}

//! How the machine is shared out: what the flags say reaches every database, at each
//! start, and is told.

use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::harness::{Place, Running, fail, metashrew, succeed};

/// What `metashrew_stats` and `metashrew status` tell of a server with these flags.
fn storage(place: &Place, flags: &[&str]) -> (Value, String) {
    let running = Running::spawn(&mut place.start(flags));
    let stats = running.result("metashrew_stats", &json!([]));
    let url = format!("http://{}", running.address);
    let text = succeed(metashrew().args(["status", "--url", &url]));
    running.end();
    (stats["storage"].clone(), text)
}

#[test]
fn settings_reach_a_database_that_is_there() {
    let place = Place::new(3);
    let (storage_of_new, text) = storage(&place, &["--cache", "48MiB"]);
    let bytes = |storage: &Value, name: &str| storage[name].as_u64().unwrap();
    let cache =
        |storage: &Value| bytes(storage, "engine_cache_bytes") + bytes(storage, "read_cache_bytes");
    assert_eq!(cache(&storage_of_new), 48 << 20);
    assert_eq!(storage_of_new["durability"], "synced");
    assert!(text.contains("\nstorage: "), "{text}");
    let flags = [
        "--cache",
        "96MiB",
        "--durability",
        "buffered",
        "--workers",
        "3",
        "--max-open-files",
        "40",
    ];
    let (storage, text) = storage(&place, &flags);
    assert_eq!(cache(&storage), 96 << 20);
    assert_eq!(storage["durability"], "buffered");
    assert_eq!(
        (&storage["workers"], &storage["max_open_files"]),
        (&json!(3), &json!(40))
    );
    let line = "storage: 67 MB of cache in the engine, 34 MB for values, buffered, 40 open files, 3 workers\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn more_memory_than_there_is_is_refused_before_anything_is_made() {
    let place = Place::with(&guests::chained(), 1);
    // Nobody has 2^60 bytes.
    let flags = ["--cache", "1073741824GiB"];
    let stderr = fail(&mut place.start(&flags), 2);
    assert!(
        stderr.contains("--cache (1099511627776 MiB) and the blocks under way"),
        "{stderr}"
    );
    assert!(!place.path("db").exists());
    place.index();
    let stderr = fail(place.metashrew(&["verify", "--db", "db"]).args(flags), 1);
    assert!(stderr.contains("more than the memory"), "{stderr}");
    succeed(
        place
            .metashrew(&["verify", "--db", "db"])
            .args(["--cache", "16MiB"]),
    );
    let view = ["keys", "--db", "db", "--limit", "1", "--cache", "16MiB"];
    succeed(&mut place.metashrew(&view));
}

//! All that can be checked is checked before a database is made.

use metashrew_testing::guests;

use crate::harness::{Place, fail, succeed};

#[test]
fn no_database_is_made_where_start_cannot_succeed() {
    let place = Place::new(2);
    std::fs::write(place.path("no_start.wasm"), guests::no_start()).unwrap();
    std::fs::write(place.path("no_memory.wasm"), guests::no_memory()).unwrap();
    std::fs::write(place.path("large.wasm"), guests::large(64)).unwrap();
    std::fs::write(place.path("text.wasm"), "(module)").unwrap();
    std::fs::create_dir(place.path("empty")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (flags, code, expect) in [
        (&["--listen", &taken][..], 1, "Address already in use"),
        (
            &["--listen", "192.0.2.1:80"],
            1,
            "cannot listen on 192.0.2.1:80",
        ),
        (
            &["--indexer", "none.wasm"],
            1,
            "the guest `none.wasm` cannot be read",
        ),
        (&["--indexer", "empty"], 1, "Is a directory"),
        (
            &["--indexer", "text.wasm"],
            1,
            "it is WebAssembly in text form",
        ),
        (
            &["--indexer", "no_start.wasm"],
            1,
            "does not export `_start` as a function `() -> ()`",
        ),
        (
            &["--indexer", "no_memory.wasm"],
            1,
            "does not export `memory`",
        ),
        (
            &["--indexer", "large.wasm", "--view-memory-budget", "1MiB"],
            2,
            "--view-memory-budget is 1048576 bytes, and the guest begins with 4194304 bytes",
        ),
        (
            &[
                "--indexer",
                "large.wasm",
                "--view-max-instance-memory",
                "2MiB",
            ],
            2,
            "--view-max-instance-memory is 2097152 bytes",
        ),
        (&["--blocks", "none.dat"], 1, "`none.dat` could not be read"),
        (&["--blocks", "empty"], 1, "the blocks cannot be had"),
        (
            &["--network", "main", "--magic", "fabfb5da"],
            2,
            "cannot both be given",
        ),
    ] {
        let stderr = fail(&mut place.start(flags), code);
        assert!(stderr.contains(expect), "{flags:?}: {stderr}");
        assert!(!place.path("db").exists(), "{flags:?} made a database");
    }
}

#[test]
fn no_database_is_made_where_a_number_is_out_of_range() {
    let place = Place::new(2);
    let below = "block 0, to exit at, will not be indexed: the first block is 1";
    for (flag, code, expect) in [
        ("--exit-at", 1, below),
        ("--max-connections", 2, "'--max-connections <COUNT>'"),
        ("--view-instances", 2, "'--view-instances <COUNT>'"),
    ] {
        let stderr = fail(&mut place.start(&[flag, "0"]), code);
        assert!(stderr.contains(expect), "{flag}: {stderr}");
        assert!(!place.path("db").exists(), "{flag} made a database");
    }
}

#[test]
fn unknown_imports_are_a_warning_that_names_them() {
    let place = Place::with(&guests::has_unknown_import(), 2);
    let output = place.start(&["--exit-at", "2"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let warning = stderr.lines().find(|line| line.contains(" WARN ")).unwrap();
    assert!(
        warning.contains("the guest imports what this host does not provide: env.__mystery;"),
        "{stderr}"
    );
    // A guest of known imports gets no warning.
    place.set_guest(&guests::chained());
    let mut start = place.start(&["--exit-at", "2", "--db", "db2"]);
    let output = start.output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("WARN"));
    succeed(&mut place.metashrew(&["verify", "--db", "db2"]));
}

//! Commands over a database that nobody holds open.

use crate::harness::{Place, fail, succeed};

#[test]
fn verify_recomputes_the_roots() {
    let place = Place::new(6);
    place.index();
    let tip = place.stored_tip().unwrap();
    let text = succeed(&mut place.metashrew(&["verify", "--db", "db"]));
    // "acc" in every block, and two keys of its own for each.
    assert_eq!(
        text,
        format!(
            "ok: 6 blocks, 13 keys, 18 versions\ntip: 6 {}\nhistory root: 0x{}\n",
            tip.hash, tip.history_root
        )
    );
    // Without a terminal, lines say how far it is.
    let output = place
        .metashrew(&["verify", "--db", "db", "--memory", "16MiB"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    let stderr = String::from_utf8(output.stderr).unwrap();
    for line in [
        "step 1 of 3: reading lists of keys done=0 total=18",
        "step 2 of 3: reading versions done=0 total=18",
        "step 3 of 3: computing roots done=0 total=18",
    ] {
        assert!(stderr.contains(line), "{stderr}");
    }
    let mut elsewhere = place.metashrew(&["verify", "--db", "db"]);
    let stderr = fail(elsewhere.args(["--temp-dir", "missing"]), 1);
    assert!(stderr.contains("a temporary file in `missing`"), "{stderr}");
    let stderr = fail(&mut place.metashrew(&["verify", "--db", "elsewhere"]), 1);
    assert!(
        stderr.contains("there is no database at `elsewhere`"),
        "{stderr}"
    );
}

#[test]
fn commits_that_a_disk_lost_are_told_and_can_be_made_up_for() {
    let place = Place::new(6);
    place.index();
    let tip = place.stored_tip();
    // The engine as it was two commits ago.
    let older = place.path("older");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([&place.path("db/engine"), &older])
        .status();
    assert!(copied.unwrap().success());
    succeed(&mut place.metashrew(&["rollback", "--db", "db", "--to", "5"]));
    place.index();
    std::fs::remove_dir_all(place.path("db/engine")).unwrap();
    std::fs::rename(older, place.path("db/engine")).unwrap();
    let verify = |flags: &[&str]| {
        let mut command = place.metashrew(&["verify", "--db", "db"]);
        command.args(flags);
        command
    };
    let stderr = fail(&mut verify(&[]), 1);
    assert!(
        stderr.contains("durable are gone") && stderr.contains("--accept-lost-commits"),
        "{stderr}"
    );
    succeed(&mut verify(&["--accept-lost-commits"]));
    place.index();
    assert_eq!(place.stored_tip(), tip);
}

#[test]
fn rollback_goes_back_and_indexing_goes_on() {
    let place = Place::new(6);
    place.index();
    let tip = place.stored_tip();
    let text = succeed(&mut place.metashrew(&["rollback", "--db", "db", "--to", "2"]));
    let left = place.stored_tip().unwrap();
    assert_eq!(left.height, 2);
    assert_eq!(
        text,
        format!(
            "dropped 4 blocks\ntip: 2 {}\nhistory root: 0x{}\n",
            left.hash, left.history_root
        )
    );
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));
    let short = Place::new(2);
    short.index();
    assert_eq!(short.stored_tip(), Some(left));
    place.index();
    assert_eq!(place.stored_tip(), tip);
}

#[test]
fn rollback_refuses_heights_that_are_not_there() {
    let place = Place::new(3);
    place.index();
    for (to, expect) in [
        ("0", "block 0 is not held: the first one is 1"),
        ("4", "block 4 is not indexed yet: the last one is 3"),
    ] {
        let stderr = fail(
            &mut place.metashrew(&["rollback", "--db", "db", "--to", to]),
            1,
        );
        assert!(stderr.contains(expect), "{stderr}");
    }
    assert_eq!(place.stored_tip().unwrap().height, 3);
}

/// Sets what may be done with everything below a directory.
#[cfg(unix)]
fn set_modes(directory: &std::path::Path, of_directories: u32, of_files: u32) {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(directory, 0o755);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            set_modes(&path, of_directories, of_files);
        } else {
            set(&path, of_files);
        }
    }
    set(directory, of_directories);
}

/// Every file below a directory, and what it holds.
#[cfg(unix)]
fn contents(
    directory: &std::path::Path,
) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
#[cfg(unix)]
fn a_database_that_may_not_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let place = Place::new(6);
    place.index();
    let db = place.path("db");
    let before = contents(&db);
    let binary = place.path("metashrew");
    std::fs::copy(env!("CARGO_BIN_EXE_metashrew"), &binary).unwrap();
    set_modes(&db, 0o555, 0o444);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.directory.path(), open).unwrap();
    // Root may write everywhere: then somebody else reads.
    let is_root = std::fs::File::create(db.join("probe")).is_ok();
    if is_root {
        std::fs::remove_file(db.join("probe")).unwrap();
    }
    for (args, expect) in [
        (&["verify", "--db", "db"][..], "ok: 6 blocks"),
        (&["keys", "--db", "db"], "0x616363"),
        (
            &[
                "view",
                "echo",
                "0x07",
                "--db",
                "db",
                "--indexer",
                "guest.wasm",
            ],
            "0x07",
        ),
    ] {
        let mut command = std::process::Command::new(&binary);
        command.args(args).current_dir(place.directory.path());
        if is_root {
            command.uid(65_534).gid(65_534).env("HOME", "/nonexistent");
        }
        let text = succeed(&mut command);
        assert!(text.contains(expect), "{args:?}: {text}");
    }
    set_modes(&db, 0o755, 0o644);
    assert!(
        contents(&db) == before,
        "a byte of the database has changed"
    );
    place.index();
}

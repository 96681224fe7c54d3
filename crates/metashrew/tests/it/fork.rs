//! `metashrew fork`: what it makes is what a guest would have made that changes at a height;
//! the original stays as it is, and a fork that is cut short leaves nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use metashrew_store::{OpenError, Store, StoreOptions};
use metashrew_testing::guests;
use metashrew_testing::records::records;
use serde_json::json;

use crate::forked::{Forked, Load};
use crate::harness::{Place, Running, fail, succeed};
use crate::small_disk::on_a_small_disk;

/// Tells the child where the small file system is.
const DISK: &str = "METASHREW_TEST_FORK_DISK";
const LAST: u32 = 12;

/// A place with the database `db` of the well-behaved guest, and `new.wasm`, a guest that
/// writes otherwise at every height.
fn place() -> Place {
    let place = Place::new(LAST as usize);
    place.index();
    fs::write(place.path("new.wasm"), guests::differs_from(0)).unwrap();
    place
}

fn fork(place: &Place, flags: &[&str]) -> Command {
    let mut command = place.metashrew(&["fork", "--db", "db"]);
    command.args(flags);
    command
}

fn start(place: &Place, guest: &str, database: &str) -> Command {
    let mut command = place.metashrew(&["start", "--blocks", "blocks.dat"]);
    command
        .args(["--listen", "127.0.0.1:0", "--exit-at"])
        .arg(LAST.to_string())
        .args(["--indexer", guest, "--db", database]);
    command
}

/// All the state at a height, as the command prints it.
fn keys(place: &Place, database: &str, height: u32) -> String {
    let height = height.to_string();
    succeed(&mut place.metashrew(&["keys", "--db", database, "--height", &height]))
}

/// Every file and directory below a path, with what the files hold.
fn contents(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open_read_only(path, StoreOptions::default())
}

#[test]
fn a_fork_is_what_a_guest_makes_that_changes_at_the_height() {
    let place = place();
    let before = contents(&place.path("db"));
    for at in [1, 7, LAST] {
        let name = format!("b{at}");
        let at_text = at.to_string();
        let flags = ["--at", &at_text, "--to", &name, "--indexer", "new.wasm"];
        let said = succeed(&mut fork(&place, &flags));
        // One block is less to write anew than eleven to drop.
        let way = if at == 1 { "rewritten: " } else { "linked: " };
        assert!(said.contains(way), "{said}");
        assert!(
            said.contains(&format!("dropped: {} blocks\n", LAST - at)),
            "{said}"
        );
        let changes = format!("changes{at}.wasm");
        fs::write(place.path(&changes), guests::differs_from(at + 1)).unwrap();
        let whole = format!("whole{at}");
        succeed(&mut start(&place, &changes, &whole));
        succeed(&mut start(&place, "new.wasm", &name));
        for height in 1..=LAST {
            assert_eq!(keys(&place, &name, height), keys(&place, &whole, height));
        }
        let of = |name: &str| records(&open(&place.path(name)).unwrap());
        assert_eq!(of(&name), of(&whole));
        succeed(&mut place.metashrew(&["verify", "--db", &name]));
    }
    assert!(
        contents(&place.path("db")) == before,
        "the original has changed"
    );
}

#[test]
fn only_the_new_guest_goes_on_with_a_fork() {
    let place = place();
    fs::write(place.path("other.wasm"), guests::slow(10)).unwrap();
    succeed(&mut fork(
        &place,
        &["--at", "7", "--to", "b", "--indexer", "new.wasm"],
    ));
    let said = succeed(&mut place.metashrew(&["inspect", "--db", "b"]));
    assert!(said.contains("a fork: only the last guest"), "{said}");
    for other in ["guest.wasm", "other.wasm"] {
        let stderr = fail(&mut start(&place, other, "b"), 1);
        assert!(stderr.contains("a fork to be continued by"), "{stderr}");
        assert!(
            stderr.contains("hint: give the guest that the fork was made for"),
            "{stderr}"
        );
    }
    succeed(&mut start(&place, "new.wasm", "b"));
    let stderr = fail(&mut start(&place, "guest.wasm", "b"), 1);
    assert!(stderr.contains("blocks 1 to 7 by"), "{stderr}");
    // Without a guest it is the old one's, at the tip.
    succeed(&mut fork(&place, &["--to", "c"]));
    succeed(&mut start(&place, "guest.wasm", "c"));
}

#[test]
fn mistakes_are_told_and_leave_nothing() {
    let place = place();
    let check = |flags: &[&str], expect: &[&str]| {
        let before = contents(place.directory.path());
        let stderr = fail(&mut fork(&place, flags), 1);
        for part in expect {
            assert!(stderr.contains(part), "{part:?} in\n{stderr}");
        }
        assert!(
            contents(place.directory.path()) == before,
            "{flags:?} left something"
        );
    };
    check(
        &["--to", "b", "--at", "13"],
        &[
            "`db` cannot be forked to `b`",
            "block 13 is not indexed yet: the last one is 12",
        ],
    );
    check(
        &["--to", "b", "--at", "0"],
        &["block 0 is not held: the first one is 1"],
    );
    check(
        &["--to", "db"],
        &["`db` exists already", "hint: give --to a name"],
    );
    check(
        &["--to", "db/b"],
        &[
            "inside the database itself",
            "hint: give --to a directory beside",
        ],
    );
    check(
        &["--to", "b", "--indexer", "blocks.dat"],
        &["`blocks.dat` is no guest"],
    );
    check(
        &["--to", "b", "--db", "nowhere"],
        &["there is no database at `nowhere`"],
    );
}

#[test]
fn a_database_that_is_served_is_forked() {
    let place = place();
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    succeed(&mut fork(
        &place,
        &["--at", "7", "--to", "b", "--indexer", "new.wasm"],
    ));
    assert_eq!(running.served_height(), Some(LAST));
    let height = running.result("metashrew_view", &json!(["height", "0x", 3]));
    assert!(height.is_string(), "{height}");
    drop(running);
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));
    succeed(&mut start(&place, "new.wasm", "b"));
}

/// Blocks write so much that a fork takes a while, most of it to drop them.
const LOAD: Load = Load {
    keys: 1_000,
    value_len: 800,
    turns: 1,
};
const BLOCKS: usize = 40;

fn fork_of(forked: &Forked, from: &Path, to: &Path) -> Command {
    let mut command = forked
        .place
        .metashrew(&["fork", "--cache", "16MiB", "--at", "5"]);
    command.arg("--db").arg(from).arg("--to").arg(to);
    command
}

#[test]
fn a_fork_that_is_killed_leaves_nothing() {
    const KILLS: u64 = 24;
    let forked = Forked::new(LOAD, BLOCKS, &[]);
    let [from, to, beside] = ["db", "b", "b.new"].map(|name| forked.place.path(name));
    forked.index(&from, 0);
    let before = contents(&from);
    let mut begun = 0;
    for kill in 0..KILLS {
        let mut child = fork_of(&forked, &from, &to)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + 12 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        if to.exists() {
            let tip = forked.check(&to, &format!("kill {kill}")).unwrap();
            assert_eq!(tip.height, 5);
            fs::remove_dir_all(&to).unwrap();
            continue;
        }
        begun += u32::from(beside.exists());
        match open(&beside) {
            Err(OpenError::NotOurs { .. } | OpenError::NotFound { .. }) => {}
            // All that is missing is its name.
            opened => assert_eq!(opened.unwrap().snapshot().tip().unwrap().height, 5),
        }
    }
    assert!(begun > 0, "no kill struck while a fork was made");
    succeed(&mut fork_of(&forked, &from, &to));
    assert!(!beside.exists());
    assert_eq!(forked.check(&to, "not killed").unwrap().height, 5);
    assert!(contents(&from) == before, "the original has changed");
}

/// Runs in a name space of mounts of its own.
#[test]
fn child_that_forks_on_a_full_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        return;
    };
    let [from, to, ballast] = ["db", "b", "ballast"].map(|name| disk.join(name));
    let forked = Forked::new(LOAD, BLOCKS, &[]);
    forked.index(&from, 0);
    let before = contents(&from);
    let mut full = 0;
    for room in [0, 4, 40, 400, 4_000, 16_000] {
        let mut file = File::create(&ballast).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(room << 10)).unwrap();
        let output = fork_of(&forked, &from, &to).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            fs::remove_dir_all(&to).unwrap();
        } else {
            full += 1;
            assert!(stderr.contains("cannot be forked to"), "{stderr}");
            assert!(stderr.contains("No space left on device"), "{stderr}");
        }
        fs::remove_file(&ballast).unwrap();
        let left = fs::read_dir(&disk).unwrap().count();
        assert_eq!(left, 1, "with room for {room} KiB: {stderr}");
    }
    assert!(full > 2, "the disk was full {full} times");
    assert!(contents(&from) == before, "the original has changed");
    succeed(&mut fork_of(&forked, &from, &to));
    assert_eq!(forked.check(&to, "with room again").unwrap().height, 5);
}

#[test]
fn a_fork_on_a_full_disk_leaves_nothing() {
    on_a_small_disk(200, DISK, "fork::child_that_forks_on_a_full_disk");
}

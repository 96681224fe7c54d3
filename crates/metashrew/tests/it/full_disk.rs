//! Killed while the disk is full, the database holds every block that was there before, and
//! indexing goes on once there is room. Needs the right to mount, and says so where there is
//! none.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metashrew_testing::rng::Rng;

use crate::forked::{Forked, Load};
use crate::harness::succeed;
use crate::small_disk::on_a_small_disk;

/// Tells the child where the small file system is.
const DISK: &str = "METASHREW_TEST_DISK";
const KILLS: u64 = 8;

const LOAD: Load = Load {
    keys: 1_000,
    value_len: 900,
    turns: 1,
};
const BLOCKS: usize = 30;
/// There is room for less than so much more: a flush is 2.7 MB.
const ROOM: u64 = 8 << 20;

/// Fills a file system but for so many bytes.
fn fill(ballast: &Path, but_for: u64) {
    let mut file = File::create(ballast).unwrap();
    while file.write_all(&[1; 4_096]).is_ok() {}
    let len = file.metadata().unwrap().len();
    file.set_len(len.saturating_sub(but_for)).unwrap();
}

/// Runs in a name space of mounts of its own.
#[test]
fn child_that_kills_on_a_full_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        return;
    };
    let (database, ballast) = (disk.join("db"), disk.join("ballast"));
    let forked = Forked::new(LOAD, BLOCKS, &[]);
    succeed(&mut forked.start(&database, &["--exit-at", "3"]));
    let mut rng = Rng::new(13);
    let (mut height, mut full) = (3, 0);
    for kill in 0..KILLS {
        fill(&ballast, rng.below(ROOM));
        let said = forked.place.path("said");
        let mut command = forked.start(&database, &[]);
        let mut child = command
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300 + rng.below(900)));
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(&ballast).unwrap();
        let said = fs::read_to_string(said).unwrap();
        full += u64::from(said.contains("No space left"));
        let tip = forked.check(&database, &format!("kill {kill}, {said}"));
        let left = tip.map_or(0, |tip| tip.height);
        assert!(left >= height, "{left} of {height}: {said}");
        height = left;
    }
    eprintln!("{full} of {KILLS} kills while the disk was full, at block {height}");
    assert!(full > 0, "the disk was never full");
    forked.index(&database, 0);
    let tip = forked.check(&database, "with room again").unwrap();
    assert!(forked.is_end(0, &tip));
}

#[test]
fn kills_on_a_full_disk_lose_nothing() {
    on_a_small_disk(160, DISK, "full_disk::child_that_kills_on_a_full_disk");
}

//! Killed at random moments, the database holds every block that was served, and nothing
//! that an undisturbed run does not.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use metashrew_testing::rng::Rng;

use crate::forked::Forked;
use crate::harness::Running;

/// How many kills, unless the environment says.
const KILLS: usize = 40;
const SETTING: &str = "METASHREW_TEST_KILLS";

/// Keys that every block writes anew.
const KEYS: u32 = 200;
/// So many that it takes several kills to get to the end.
const BLOCKS: usize = 100;
/// How deep the branches are.
const DEPTHS: [u32; 3] = [3, 20, 60];
/// A process is killed within so many milliseconds.
const WITHIN: u64 = 400;

/// A process that is to get on is killed after up to so many further blocks.
const FURTHER: u64 = 40;

/// Starts and kills once, on the way to the block at height `end`; `last` was the last one
/// before. Returns the height that was served last.
fn start_and_kill(
    forked: &Forked,
    database: &Path,
    rng: &mut Rng,
    last: u32,
    end: u32,
) -> Option<u32> {
    let mut command = forked.start(database, &[]);
    let moment = Duration::from_millis(rng.below(WITHIN));
    if rng.chance(400) {
        // Before it serves, perhaps.
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let moment = Instant::now() + moment;
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    }
    let running = Running::spawn(&mut command);
    let mut served = None;
    if rng.chance(500) {
        let moment = Instant::now() + moment;
        while Instant::now() < moment {
            served = running.served_height().or(served);
        }
    } else {
        // However slow the machine is.
        let height = end.min(last + u32::try_from(rng.below(FURTHER)).unwrap());
        while served < Some(height) {
            served = running.served_height().or(served);
        }
    }
    if rng.chance(300) {
        // While it stops, which writes out what is in the log.
        running.signal("TERM");
        let moment = Instant::now() + Duration::from_millis(rng.below(60));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
    }
    running.kill();
    served
}

#[test]
fn kills_lose_nothing_that_was_served() {
    let kills = std::env::var(SETTING).map_or(KILLS, |kills| kills.parse().unwrap());
    let forked = Forked::new(KEYS, BLOCKS, &DEPTHS);
    let database = forked.place.path("db");
    let mut rng = Rng::new(11);
    let (mut interrupted, mut chain, mut lives) = (0, 0, 0);
    let mut last = None;
    forked.write(0..=0);
    for kill in 0..kills {
        let end = forked.height(chain);
        let served = start_and_kill(&forked, &database, &mut rng, last.unwrap_or(0), end);
        let context = format!("kill {kill}, chain {chain}");
        let tip = forked.check(&database, &context);
        let height = tip.map(|tip| tip.height);
        // What is below the fork stays, whatever is rolled back.
        let kept = match chain {
            0 => last,
            _ => last.min(Some(forked.fork_height(chain))),
        };
        assert!(height >= kept, "{context}: {height:?} after {last:?}");
        // A height beyond the chain before was served of this one.
        let of_this_chain =
            served.filter(|served| chain == 0 || *served > forked.height(chain - 1));
        assert!(
            height >= of_this_chain,
            "{context}: {height:?} of {served:?}"
        );
        last = height;
        if !tip.is_some_and(|tip| forked.is_end(chain, &tip)) {
            interrupted += 1;
        } else if chain + 1 < forked.len() {
            chain += 1;
            forked.write(0..=chain);
        } else {
            std::fs::remove_dir_all(&database).unwrap();
            (chain, last) = (0, None);
            lives += 1;
            forked.write(0..=0);
        }
    }
    // How many depends on how fast the machine is.
    assert!(interrupted > 0, "no kill hit indexing");
    let end = forked.len() - 1;
    forked.write(0..=end);
    forked.index(&database, end);
    let tip = forked.check(&database, "at the end").unwrap();
    assert!(forked.is_end(end, &tip));
    eprintln!(
        "{kills} kills, {interrupted} before the end of a chain, {lives} databases to the end"
    );
}

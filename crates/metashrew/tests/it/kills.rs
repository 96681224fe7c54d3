//! Killed at any moment, the database holds every block that was served, and nothing
//! that an undisturbed run does not.
//!
//! Blocks write so much, and the caches are so small, that the engine writes out and merges
//! tables all the time. Many kills wait for a moment of these before they strike, and what
//! was under way is read off the files that are left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use metashrew_store::BlockRecord;
use metashrew_testing::rng::Rng;
use serde_json::json;

use crate::engine_files::{UnderWay, has_log, under_way};
use crate::forked::{Forked, Load};
use crate::harness::Running;

/// How many kills, unless the environment says.
const KILLS: u64 = 40;
const SETTING: &str = "METASHREW_TEST_KILLS";
/// Which moments are drawn, unless the environment says.
const SEED: u64 = 11;
const SEED_SETTING: &str = "METASHREW_TEST_KILLS_SEED";

/// With the versions that they supersede that is 1.8 MB a block: with the least cache, a flush every
/// other block, and a compaction every eight.
const LOAD: Load = Load {
    keys: 1_000,
    value_len: 800,
    turns: 5_000_000,
};
/// So many that it takes several kills to get to the end.
const BLOCKS: usize = 120;
/// How deep the branches are.
const DEPTHS: [u32; 3] = [3, 20, 50];
/// A process is killed within so many milliseconds.
const WITHIN: u64 = 400;
/// A process that is to get on is killed after up to so many further blocks.
const FURTHER: u64 = 30;

/// What at least one kill has to hit: so many more are tried for each. A switch is over too
/// soon for that: `power_cuts.rs` tries each of its steps.
const CERTAIN: [UnderWay; 3] = [
    UnderWay::Flush,
    UnderWay::FlushedTable,
    UnderWay::MergedTable,
];
const MORE: u64 = 20;

/// When to kill.
#[derive(Debug)]
enum Moment {
    /// So long after the start: before it serves, perhaps.
    Start(Duration),
    /// So long after it began to serve.
    Time(Duration),
    /// Once a height is served.
    Height(u32),
    /// Once this is under way, beyond a height.
    UnderWay(UnderWay, u32),
    /// So long after it said that it rolls back, if it does.
    Rollback(Duration),
    /// So long after it was told to stop, beyond a height.
    Stop(Duration, u32),
}

impl Moment {
    /// The database stands at `last`, perhaps to be rolled back, and the chain ends at `end`.
    fn draw(rng: &mut Rng, last: u32, rolls_back: bool, end: u32) -> Self {
        let millis = |rng: &mut Rng, within| Duration::from_millis(rng.below(within));
        let further = |rng: &mut Rng| end.min(last + u32::try_from(rng.below(FURTHER)).unwrap());
        let seen = [
            UnderWay::Flush,
            UnderWay::FlushedTable,
            UnderWay::MergedTable,
            UnderWay::Switch,
        ];
        if rolls_back && rng.chance(300) {
            return Self::Rollback(millis(rng, 30));
        }
        match rng.below(10) {
            0 => Self::Start(millis(rng, WITHIN)),
            1 | 2 => Self::Start(millis(rng, WITHIN / 8)),
            3 => Self::Time(millis(rng, WITHIN)),
            4 | 5 => Self::Height(further(rng)),
            6 => Self::Stop(millis(rng, 60), further(rng)),
            _ => {
                let seen = seen[rng.index(seen.len())];
                Self::UnderWay(seen, further(rng))
            }
        }
    }
}

fn spin(duration: Duration) {
    let moment = Instant::now() + duration;
    while Instant::now() < moment {
        std::thread::yield_now();
    }
}

/// What a process did before it was killed.
#[derive(Default)]
struct Life {
    /// The height that was served last.
    served: Option<u32>,
    flushes: u64,
    compactions: u64,
}

impl Life {
    /// Whether it serves a height by now.
    fn reached(&mut self, running: &Running, height: u32) -> bool {
        self.served = running.served_height().or(self.served);
        self.served >= Some(height)
    }

    fn count(&mut self, running: &Running) {
        let Some(stats) = running.try_call("metashrew_stats", &json!([])) else {
            return;
        };
        let engine = &stats["result"]["engine"];
        let count = |name: &str| engine[name].as_u64().unwrap_or(0);
        self.flushes = self.flushes.max(count("flushes"));
        self.compactions = self.compactions.max(count("compactions"));
    }
}

/// Starts and kills once, on the way to the block at height `end`.
fn start_and_kill(forked: &Forked, database: &Path, moment: &Moment, end: u32) -> Life {
    let mut command = forked.start(database, &[]);
    if let Moment::Start(after) = moment {
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        spin(*after);
        child.kill().unwrap();
        child.wait().unwrap();
        return Life::default();
    }
    let mut running = Running::spawn(&mut command);
    let mut life = Life::default();
    match moment {
        Moment::Start(_) => {}
        Moment::Time(after) => spin(*after),
        Moment::Height(height) => while !life.reached(&running, *height) {},
        Moment::UnderWay(what, height) => {
            while !life.reached(&running, *height) {}
            life.count(&running);
            while !under_way(database).contains(what) && !life.reached(&running, end) {}
            // At once: it may be over in a millisecond.
            running.kill();
            return life;
        }
        Moment::Rollback(after) => {
            while !running.has_said("are undone") && !life.reached(&running, end) {}
            spin(*after);
        }
        Moment::Stop(after, height) => {
            while !life.reached(&running, *height) {}
            life.count(&running);
            running.signal("TERM");
            spin(*after);
        }
    }
    life.reached(&running, end);
    life.count(&running);
    running.kill();
    life
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Hits {
    /// Before the end of a chain.
    indexing: usize,
    /// Batches were to be read from the log, and it had not begun to serve.
    replay: usize,
    /// The blocks that were to be undone were, or not, and no other was there yet.
    rollback: usize,
    under_way: BTreeMap<UnderWay, usize>,
    flushes: u64,
    compactions: u64,
}

fn number(setting: &str, default: u64) -> u64 {
    std::env::var(setting).map_or(default, |number| number.parse().unwrap())
}

/// A database on its way over all chains, again and again.
struct Journey {
    forked: Forked,
    database: PathBuf,
    rng: Rng,
    /// The one to be indexed now.
    chain: usize,
    /// The last block after the last kill.
    tip: Option<BlockRecord>,
    /// How often the last chain's end was reached.
    finished: usize,
    hits: Hits,
}

impl Journey {
    fn new(rng: Rng) -> Self {
        let forked = Forked::new(LOAD, BLOCKS, &DEPTHS);
        forked.write(0..=0);
        Self {
            database: forked.place.path("db"),
            forked,
            rng,
            chain: 0,
            tip: None,
            finished: 0,
            hits: Hits::default(),
        }
    }

    /// The blocks of the chain before are there, up to its end.
    fn is_to_be_rolled_back(&self) -> bool {
        let is_end = |tip: &BlockRecord| self.forked.is_end(self.chain - 1, tip);
        self.chain > 0 && self.tip.as_ref().is_some_and(is_end)
    }

    /// Starts, kills, while something is under way if that is asked for, and checks what is
    /// left.
    fn kill(&mut self, number: u64, wanted: Option<UnderWay>) {
        let (forked, chain) = (&self.forked, self.chain);
        let end = forked.height(chain);
        let before = self.tip.map(|tip| tip.height);
        let rolls_back = self.is_to_be_rolled_back();
        let drawn = Moment::draw(&mut self.rng, before.unwrap_or(0), rolls_back, end);
        let moment = wanted.map_or(drawn, |what| Moment::UnderWay(what, 0));
        let had_log = has_log(&self.database);
        let life = start_and_kill(forked, &self.database, &moment, end);
        let context = format!("kill {number}, chain {chain}, {moment:?}");
        let left = under_way(&self.database);
        self.tip = forked.check(&self.database, &context);
        let height = self.tip.map(|tip| tip.height);
        // What is below the fork stays, whatever is rolled back.
        let fork = (chain > 0).then(|| forked.fork_height(chain));
        let kept = fork.map_or(before, |fork| before.min(Some(fork)));
        assert!(height >= kept, "{context}: {height:?} after {before:?}");
        // A height beyond the chain before was served of this one.
        let is_of_this_chain = |served: &u32| chain == 0 || *served > forked.height(chain - 1);
        let served = life.served.filter(is_of_this_chain);
        assert!(height >= served, "{context}: {height:?} of {served:?}");
        let is_rollback = matches!(moment, Moment::Rollback(_))
            && (self.is_to_be_rolled_back() || height == fork);
        let is_end = self.tip.is_some_and(|tip| self.forked.is_end(chain, &tip));
        let hits = &mut self.hits;
        hits.indexing += usize::from(!is_end);
        hits.replay += usize::from(had_log && matches!(moment, Moment::Start(_)));
        hits.rollback += usize::from(is_rollback);
        for it in left {
            *hits.under_way.entry(it).or_default() += 1;
        }
        hits.flushes += life.flushes;
        hits.compactions += life.compactions;
        if is_end {
            self.take_next_chain();
        }
    }

    fn take_next_chain(&mut self) {
        self.chain += 1;
        if self.chain == self.forked.len() {
            std::fs::remove_dir_all(&self.database).unwrap();
            (self.chain, self.tip) = (0, None);
            self.finished += 1;
        }
        self.forked.write(0..=self.chain);
    }
}

#[test]
fn kills_lose_nothing_that_was_served() {
    let kills = number(SETTING, KILLS);
    let mut journey = Journey::new(Rng::new(number(SEED_SETTING, SEED)));
    for kill in 0..kills {
        journey.kill(kill, None);
    }
    for what in CERTAIN {
        for more in 0..MORE {
            if !journey.hits.under_way.contains_key(&what) {
                journey.kill(kills + more, Some(what));
            }
        }
    }
    let Journey {
        forked,
        database,
        finished,
        hits,
        ..
    } = journey;
    eprintln!("{kills} kills, {finished} databases to the end: {hits:?}");
    let end = forked.len() - 1;
    forked.write(0..=end);
    forked.index(&database, end);
    let tip = forked.check(&database, "at the end").unwrap();
    assert!(forked.is_end(end, &tip));
    check_hits(&hits);
}

/// That the kills hit what they are for. How many do depends on how fast the machine is.
fn check_hits(hits: &Hits) {
    assert!(hits.flushes > 4, "{hits:?}");
    assert!(hits.compactions > 4, "{hits:?}");
    assert!(hits.indexing > 0, "{hits:?}");
    for what in CERTAIN {
        assert!(hits.under_way.contains_key(&what), "no {what:?}: {hits:?}");
    }
}

//! After a power cut at any moment the database holds every block that was served, and
//! nothing that an undisturbed run does not.
//!
//! The engine writes out and merges tables all the time, as in `kills.rs`, and of each thing
//! that it does so many cuts are made.
//!
//! A real process runs on a file system that records all that is done to it. From the
//! record the disk is made as a power cut would leave it: what was not synced may be
//! missing, page by page and name by name. Needs the right to mount, and says so where
//! there is none.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;

use metashrew_testing::recording::{Mounted, Recording, Step, StepKind};
use metashrew_testing::rng::Rng;

use crate::forked::{Forked, Load};
use crate::harness::{Running, succeed};

/// How many power cuts, unless the environment says.
const CUTS: usize = 10;
const SETTING: &str = "METASHREW_TEST_POWER_CUTS";

/// A flush every five blocks.
const LOAD: Load = Load {
    keys: 400,
    value_len: 700,
    turns: 20_000_000,
};
const BLOCKS: usize = 150;
const DEPTHS: [u32; 2] = [5, 40];

/// A moment, and the least height that a database must have from then on, until a
/// rollback begins.
struct Told {
    moment: usize,
    height: u32,
}

/// Runs a process until it serves the end of a chain; notes what it serves meanwhile.
fn run(forked: &Forked, chain: usize, database: &Path, mounted: &Mounted, told: &mut Vec<Told>) {
    let before = chain.checked_sub(1).map_or(0, |chain| forked.height(chain));
    if chain > 0 {
        told.push(Told {
            moment: mounted.moment(),
            height: forked.fork_height(chain),
        });
    }
    let running = Running::spawn(&mut forked.start(database, &[]));
    let mut last = before;
    while last < forked.height(chain) {
        let served = running.served_height().unwrap_or(0);
        if served > last {
            last = served;
            told.push(Told {
                moment: mounted.moment(),
                height: served,
            });
        }
    }
    running.kill();
}

/// All that a process did: clean stops, kills and branches. None, if this user may not
/// mount a file system.
fn record(forked: &Forked) -> Option<(Recording, Vec<Told>)> {
    let mount = forked.place.path("mount");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Mounted::at(&mount).ok()?;
    let database = mount.join("db");
    let mut told = Vec::new();
    forked.write(0..=0);
    for share in 1..=5 {
        let height = (forked.height(0) * share / 6).to_string();
        succeed(&mut forked.start(&database, &["--exit-at", &height]));
        told.push(Told {
            moment: mounted.moment(),
            height: height.parse().unwrap(),
        });
    }
    for chain in 0..forked.len() {
        forked.write(0..=chain);
        run(forked, chain, &database, &mounted, &mut told);
    }
    // A clean stop after a kill.
    forked.index(&database, forked.len() - 1);
    Some((mounted.into_recording(), told))
}

/// What was done just before a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    /// A batch was logged.
    Batch,
    /// A table was written while recent writes were written out: the log had more than one
    /// segment.
    Flush,
    /// A table was written otherwise.
    Compaction,
    /// A tree went over to another version.
    Switch,
    /// Anything else.
    Else,
}

/// The moments of everything that was done, and how many segments the log got.
fn moments(steps: &[Step]) -> (BTreeMap<During, Vec<usize>>, usize) {
    let mut moments = BTreeMap::<_, Vec<_>>::new();
    let (mut segments, mut begun) = (0_usize, 0);
    for (moment, step) in (1..).zip(steps) {
        let is_segment = step.path.extension().is_some_and(|it| it == "log");
        match step.kind {
            StepKind::Named if is_segment => {
                segments += 1;
                begun += 1;
            }
            StepKind::Removed if is_segment => segments -= 1,
            _ => {}
        }
        let names: Vec<_> = step.path.iter().filter_map(|name| name.to_str()).collect();
        let during = match names[..] {
            ["db", "engine", "log", _] => During::Batch,
            ["db", "engine", "trees", _, "tables", _] if segments > 1 => During::Flush,
            ["db", "engine", "trees", _, "tables", _] => During::Compaction,
            ["db", "engine", "trees", _, _] => During::Switch,
            _ => During::Else,
        };
        moments.entry(during).or_default().push(moment);
    }
    (moments, begun)
}

#[test]
fn power_cuts_lose_nothing_that_was_served() {
    let cuts = std::env::var(SETTING).map_or(CUTS, |cuts| cuts.parse().unwrap());
    let forked = Forked::new(LOAD, BLOCKS, &DEPTHS);
    let Some((recording, told)) = record(&forked) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let end = forked.len() - 1;
    forked.write(0..=end);
    let mut rng = Rng::new(12);
    let mut with_blocks = 0;
    let (moments, segments) = moments(&recording.steps());
    let counts: Vec<_> = moments.iter().map(|(it, all)| (it, all.len())).collect();
    eprintln!("{segments} segments of the log; changes: {counts:?}");
    assert!(segments > 12, "few flushes: {segments}, {counts:?}");
    assert_eq!(moments.len(), 5, "{counts:?}");
    for cut in 0..cuts {
        let (during, of) = moments.iter().nth(cut % moments.len()).unwrap();
        let moment = of[rng.index(of.len())];
        let image = forked.place.path("image");
        recording.cut(moment, &mut rng, &image).unwrap();
        let context = format!(
            "cut {cut} after {moment} of {} changes, {during:?}",
            recording.moment()
        );
        let database = image.join("db");
        let tip = forked.check(&database, &context).map(|tip| tip.height);
        let least = told.iter().rfind(|told| told.moment <= moment);
        let least = least.map(|told| told.height);
        assert!(tip >= least, "{context}: {tip:?} of {least:?}");
        with_blocks += usize::from(tip.is_some());
        forked.index(&database, end);
        let tip = forked.check(&database, &context).unwrap();
        assert!(forked.is_end(end, &tip), "{context}");
        std::fs::remove_dir_all(image).unwrap();
    }
    assert!(
        with_blocks >= cuts / 2,
        "{with_blocks} of {cuts} had blocks"
    );
    eprintln!(
        "{cuts} power cuts, {with_blocks} with blocks, of {} changes",
        recording.moment()
    );
}

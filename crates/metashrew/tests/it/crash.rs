//! Killed at random moments, the database holds every block that was served, and
//! nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metashrew_store::{BlockRecord, Height};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;

use crate::harness::{FIRST, Place, Running, succeed};

const KILLS: usize = 50;

/// So many that it takes several kills to get to the end.
const BLOCKS: usize = 1_500;

/// Keys that every block writes anew.
const KEYS: u32 = 20;

fn records(place: &Place) -> BTreeMap<Height, BlockRecord> {
    let snapshot = place.store().snapshot();
    let tip = snapshot.tip().map_or(0, |tip| tip.height);
    (FIRST..=tip)
        .map(|height| (height, snapshot.block(height).unwrap().unwrap()))
        .collect()
}

#[test]
fn fifty_kills_lose_nothing() {
    let wasm = guests::rewriting(KEYS);
    let undisturbed = Place::with(&wasm, BLOCKS);
    undisturbed.index();
    let expect = records(&undisturbed);

    let place = Place::with(&wasm, BLOCKS);
    let mut rng = Rng::new(11);
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let running = Running::spawn(&mut place.start(&[]));
        let moment = Instant::now() + Duration::from_millis(rng.below(120));
        let mut served = None;
        while Instant::now() < moment {
            served = running.served_height().or(served);
        }
        running.kill();
        let Some(tip) = place.stored_tip() else {
            assert_eq!(served, None, "kill {kill} lost all blocks");
            continue;
        };
        assert_eq!(expect.get(&tip.height), Some(&tip), "kill {kill}");
        assert!(
            served.is_none_or(|served| served <= tip.height),
            "kill {kill}: {served:?} was served, {} is left",
            tip.height
        );
        if tip.height == place.tip().height {
            std::fs::remove_dir_all(place.path("db")).unwrap();
        } else {
            interrupted += 1;
        }
    }
    assert!(interrupted >= KILLS / 2, "{interrupted} kills hit indexing");
    place.index();
    assert_eq!(records(&place), expect);
    succeed(&mut place.metashrew(&["verify", "--db", "db"]));
}

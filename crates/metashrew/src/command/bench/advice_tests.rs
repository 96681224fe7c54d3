//! Each rule from made-up figures: what it says where it applies, and that it is silent where
//! not.

use super::*;
use crate::command::bench::figures::{
    Blocks, Commits, Cpu, Executing, Guest, Machine, Rates, Reads, Scouts, Source,
};

/// A hundred seconds of which nothing stands out: the parts that `executing` leaves are the rest.
fn figures(executing: &Executing) -> Figures {
    let left = 100.0 - executing.seconds();
    Figures {
        guest: Guest::default(),
        machine: Machine {
            cores: 4,
            memory_bytes: Some(16 << 30),
            cache_bytes: 4 << 30,
            durability: "synced".to_owned(),
            database_in_memory: false,
        },
        blocks: Blocks {
            first: 1,
            last: 100,
            count: 100,
            bytes: 100_000_000,
            slowest: 77,
            ..Blocks::default()
        },
        rates: Rates {
            seconds: 100.0,
            ..Rates::default()
        },
        executing_thread: Executing {
            rest_seconds: left,
            ..executing.clone()
        },
        reads: Reads {
            count: 1_000,
            cache_hits: 99,
            cache_misses: 1,
            cache_limit_bytes: 1_000,
            ..Reads::default()
        },
        commits: Commits {
            count: 10,
            keys: 2_000,
            seconds: 10.0,
            syncs: Some(10),
            sync_seconds: Some(0.01),
            logged_bytes: Some(1_000),
        },
        engine: Some(Engine {
            flushes: 1,
            ..Engine::default()
        }),
        source: Source {
            fetch_seconds: 3.0,
            check_seconds: 1.0,
            ..Source::default()
        },
        scouts: Scouts::default(),
        cpu: Some(Cpu {
            seconds: 100.0,
            ..Cpu::default()
        }),
        memory: None,
        time_to_tip: None,
        advice: Vec::new(),
    }
}

/// The areas of the advice, and all its text.
fn told(figures: &Figures) -> (Vec<Area>, String) {
    let all = of(figures);
    let texts: Vec<_> = all.iter().map(|advice| advice.text.as_str()).collect();
    (
        all.iter().map(|advice| advice.area).collect(),
        texts.join("\n"),
    )
}

fn check(figures: &Figures, areas: &[Area], words: &[&str]) {
    let (found, text) = told(figures);
    assert_eq!(found, areas, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn with_reads(seconds: f64) -> Figures {
    figures(&Executing {
        reads_seconds: seconds,
        ..Executing::default()
    })
}

#[test]
fn where_nothing_stands_out_that_is_said() {
    let executing = Executing {
        guest_floor_seconds: Some(49.0),
        guest_beyond_seconds: 19.0,
        reads_seconds: 14.0,
        waiting_seconds: 9.0,
        stalled_seconds: 4.0,
        rest_seconds: 0.0,
    };
    check(&figures(&executing), &[Area::Nothing], &["faster core"]);
}

#[test]
fn a_guest_that_takes_the_time_is_to_be_profiled() {
    let of_floor = |floor, beyond| {
        figures(&Executing {
            guest_floor_seconds: floor,
            guest_beyond_seconds: beyond,
            ..Executing::default()
        })
    };
    let words = [
        "70% of the executing thread",
        "`metashrew profile`",
        "block 77",
    ];
    check(&of_floor(Some(70.0), 0.0), &[Area::Guest], &words);
    // Without a floor all that the guest took counts.
    check(&of_floor(None, 70.0), &[Area::Guest], &words);
}

#[test]
fn a_full_cache_that_misses_is_to_be_larger() {
    let mut figures = with_reads(30.0);
    (figures.reads.cache_hits, figures.reads.cache_misses) = (60, 40);
    figures.reads.cache_used_bytes = 950;
    check(
        &figures,
        &[Area::Cache],
        &["30%", "misses 40%", "`--cache 8192MiB`", "4.0 GiB"],
    );
    figures.machine.cache_bytes = 6 << 30;
    check(&figures, &[Area::Cache], &["`--cache 8192MiB`"]);
    figures.machine.cache_bytes = 8 << 30;
    check(&figures, &[Area::Cache], &["a machine with more"]);
    figures.machine.memory_bytes = None;
    check(&figures, &[Area::Cache], &["`--cache 16384MiB`"]);
}

#[test]
fn first_reads_are_for_scouts_or_the_disk() {
    let mut figures = with_reads(30.0);
    (figures.reads.cache_hits, figures.reads.cache_misses) = (60, 40);
    check(&figures, &[Area::Scouts], &["`--scouts auto`", "40%"]);
    figures.scouts.most = 2;
    check(&figures, &[Area::Guest], &["scouts read ahead already"]);
    let engine = figures.engine.as_mut().unwrap();
    (engine.block_cache_hits, engine.block_cache_misses) = (1, 2);
    check(&figures, &[Area::Disk], &["faster reads"]);
}

#[test]
fn many_reads_that_are_cached_are_the_guests_own() {
    check(
        &with_reads(30.0),
        &[Area::Guest],
        &["a block makes 10", "many keys at once"],
    );
    check(&with_reads(14.0), &[Area::Nothing], &[]);
}

#[test]
fn reads_that_find_nothing_are_to_be_left_out() {
    let mut figures = with_reads(30.0);
    figures.reads.absent = 800;
    check(
        &figures,
        &[Area::Guest, Area::Guest],
        &["80% of the reads find nothing"],
    );
    figures.reads.absent = 400;
    check(&figures, &[Area::Guest], &[]);
}

#[test]
fn commits_that_hold_up_the_guest_have_a_cause() {
    let mut figures = figures(&Executing {
        stalled_seconds: 20.0,
        ..Executing::default()
    });
    check(&figures, &[Area::Guest], &["20% of the time", "20 keys"]);
    figures.engine.as_mut().unwrap().stalls = 3;
    check(&figures, &[Area::Disk], &["3 commits", "`--workers`"]);
    figures.commits.sync_seconds = Some(6.0);
    check(
        &figures,
        &[Area::Disk],
        &[
            "60% of a commit is its fsync, 600.0 ms",
            "`--durability buffered`",
        ],
    );
    // An engine that tells nothing.
    figures.commits.sync_seconds = None;
    figures.engine = None;
    check(&figures, &[Area::Guest], &["fewer of them"]);
}

#[test]
fn a_slow_fsync_is_told_though_nothing_waits_for_it() {
    let mut figures = figures(&Executing::default());
    figures.commits.sync_seconds = Some(0.3);
    check(&figures, &[Area::Disk], &["an fsync takes 30.0 ms"]);
    figures.commits.sync_seconds = Some(0.1);
    check(&figures, &[Area::Nothing], &[]);
}

#[test]
fn a_source_that_is_slow_is_told_by_its_kind() {
    let mut figures = figures(&Executing {
        waiting_seconds: 40.0,
        ..Executing::default()
    });
    check(
        &figures,
        &[Area::Source],
        &["40% of the time", "reading the files"],
    );
    figures.source.is_node = true;
    check(&figures, &[Area::Source], &["`--rest`", "`--blocks-dir`"]);
    figures.source.check_seconds = 4.0;
    check(&figures, &[Area::Machine], &["checked, not fetched"]);
}

#[test]
fn a_guest_beyond_its_floor_lacks_a_core_or_memory() {
    let mut figures = figures(&Executing {
        guest_floor_seconds: Some(20.0),
        guest_beyond_seconds: 30.0,
        ..Executing::default()
    });
    check(
        &figures,
        &[Area::Machine],
        &["2.5 times its floor", "cores were free"],
    );
    figures.cpu.as_mut().unwrap().seconds = 390.0;
    check(&figures, &[Area::Machine], &["more cores, or fewer"]);
    figures.cpu = None;
    check(&figures, &[Area::Machine], &["lacks a core at times"]);
}

#[test]
fn the_weightiest_comes_first() {
    let figures = figures(&Executing {
        guest_floor_seconds: Some(55.0),
        waiting_seconds: 10.0,
        stalled_seconds: 15.0,
        reads_seconds: 17.0,
        ..Executing::default()
    });
    let all = of(&figures);
    let shares: Vec<_> = all.iter().map(|advice| percent(advice.share)).collect();
    assert_eq!(shares, ["55%", "17%", "15%", "10%"]);
}

#[test]
fn notes_say_what_was_not_measured() {
    let mut figures = figures(&Executing::default());
    assert_eq!(notes(&figures), [""; 0]);
    figures.rates.seconds = 1.0;
    figures.machine.database_in_memory = true;
    figures.blocks.ended_early = Some("full");
    figures.engine.as_mut().unwrap().flushes = 0;
    let notes = notes(&figures).join("\n");
    for word in [
        "--max-bytes",
        "over so soon",
        "--temp-dir",
        "over more blocks",
    ] {
        assert!(notes.contains(word), "{notes}");
    }
}

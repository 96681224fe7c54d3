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
    for entry in std::fs::read_dir(place.path("db/engine")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let journal = std::fs::read(&path).unwrap();
            let end = journal.iter().rposition(|byte| *byte != 0).unwrap();
            std::fs::write(&path, &journal[..end - 10]).unwrap();
        }
    }
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

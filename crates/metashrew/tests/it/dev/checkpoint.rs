//! The state at a checkpoint: kept from one guest to the next, and made anew where it is of no use.

use std::fs;
use std::path::Path;

use super::process::Dev;
use super::project::{BLOCKS, edit, guest, indexed, project};

#[test]
fn a_checkpoint_keeps_the_state_of_an_earlier_guest() {
    let first = guest(1, "", Some("sums"));
    let place = project(&first);
    let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the state at the checkpoint, block 6, is made"),
        "{lines}"
    );
    assert_eq!(dev.served(), indexed(&place, &[(&first, BLOCKS)]));

    let second = guest(100, "", Some("sums"));
    edit(&place, &second);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("from block 7 on") && !lines.contains("is made"),
        "{lines}"
    );
    assert_eq!(
        dev.served(),
        indexed(&place, &[(&first, 6), (&second, BLOCKS)])
    );

    // It outlives the process, and has to be asked to go.
    assert_eq!(dev.interrupt(), Some(0));
    let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
    dev.wait_for_guest();
    assert_eq!(
        dev.served(),
        indexed(&place, &[(&first, 6), (&second, BLOCKS)])
    );
    dev.type_line("s");
    let lines = dev.wait_for_guest();
    assert!(lines.contains("so it was asked"), "{lines}");
    assert_eq!(dev.served(), indexed(&place, &[(&second, BLOCKS)]));

    // Another form of the state: the checkpoint is made anew.
    let third = guest(7, "", Some("counts"));
    edit(&place, &third);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the form of the state has changed"),
        "{lines}"
    );
    assert_eq!(dev.served(), indexed(&place, &[(&third, BLOCKS)]));

    // One that is damaged is made anew, and so is one that ends elsewhere.
    assert_eq!(dev.interrupt(), Some(0));
    for damage in [scramble as fn(&Path), |database| {
        fs::remove_dir_all(database).unwrap();
        fs::create_dir(database).unwrap();
    }] {
        damage(&place.path(".metashrew/checkpoint/db"));
        let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
        let lines = dev.wait_for_guest();
        let expect = "the one that is kept in `./.metashrew/checkpoint` is of no use: ";
        assert!(lines.contains(expect), "{lines}");
        assert!(!lines.contains("restore"), "advice for databases: {lines}");
        assert_eq!(dev.served(), indexed(&place, &[(&third, BLOCKS)]));
        assert_eq!(dev.interrupt(), Some(0));
    }

    // A checkpoint above the chain is none.
    let mut dev = Dev::start(&place, &["--checkpoint", "900"]);
    let lines = dev.wait_for_guest();
    assert!(lines.contains("there is no block 900 yet"), "{lines}");
}

/// Turns the bytes of all files but the one that says what the database is.
fn scramble(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scramble(&path);
        } else if !path.ends_with("FORMAT") {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, bytes.iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap();
        }
    }
}

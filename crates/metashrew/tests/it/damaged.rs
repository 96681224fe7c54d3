//! Block files as crashes leave them, after public reports: the same 20 blocks of
//! regtest each time, so the same state.

use std::path::Path;

use metashrew_store::{BlockHash, Store, StoreOptions};
use tempfile::TempDir;

use crate::harness::{fail, guest, metashrew, project, succeed};

/// The history root after block 20, with the guest `blocks`.
const ROOT: &str = "f19d5cb439061c6f6076c4fd72fd6ecfc571ebff02468a04210d6d5d84548cec";

fn start(directory: &Path, blocks: &Path) -> std::process::Command {
    let mut command = metashrew();
    command
        .args(["start", "--network", "regtest", "--exit-at", "20"])
        .args(["--listen", "127.0.0.1:0", "--db", "db", "--indexer"])
        .arg(guest("blocks"))
        .arg("--blocks")
        .arg(blocks)
        .current_dir(directory);
    command
}

#[test]
fn what_a_crash_leaves_in_a_block_file_changes_nothing() {
    for (name, said) in [
        // The blocks as they are.
        ("plain.dat", None),
        // 37 bytes of junk between two blocks, and behind the last.
        ("gap37.dat", Some("bytes=37 places=1")),
        ("tail37.dat", Some("bytes=37 places=1")),
        // Block 10 damaged within its frame, and again whole at the end.
        ("damaged-then-whole.dat", Some("is damaged")),
    ] {
        let directory = TempDir::new().unwrap();
        let blocks = project("crates/metashrew/tests/it/cases").join(name);
        let output = start(directory.path(), &blocks).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {stderr}");
        let warnings = stderr.matches(" WARN ").count();
        assert_eq!(warnings, usize::from(said.is_some()), "{name}: {stderr}");
        assert!(
            stderr.contains(said.unwrap_or_default()),
            "{name}: {stderr}"
        );
        let db = directory.path().join("db");
        let store = Store::open_existing(&db, StoreOptions::default()).unwrap();
        let tip = *store.snapshot().tip().unwrap();
        assert_eq!(
            (tip.height, tip.history_root.to_string()),
            (20, ROOT.to_owned())
        );
        assert_ne!(tip.hash, BlockHash::from_bytes([0; 32]));
    }
}

#[test]
fn a_masked_file_without_its_key_is_told() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("blk00000.dat");
    let plain = project("crates/metashrew/tests/it/cases/plain.dat");
    let mut bytes = std::fs::read(plain).unwrap();
    for (byte, key) in bytes.iter_mut().zip(b"\x01secret\x02".iter().cycle()) {
        *byte ^= key;
    }
    std::fs::write(&path, bytes).unwrap();
    for blocks in [directory.path(), &path] {
        let stderr = fail(&mut start(directory.path(), blocks), 1);
        assert!(stderr.contains("may be masked"), "{stderr}");
        assert!(stderr.contains("copy `xor.dat`"), "{stderr}");
    }
    std::fs::write(directory.path().join("xor.dat"), b"\x01secret\x02").unwrap();
    succeed(&mut start(directory.path(), &path));
}

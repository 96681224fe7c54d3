//! Block files have Core's bytes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use metashrew_testing::frames::{BlockDirectory, GrowingDirectory, REGTEST_MAGIC, frames};

#[test]
fn a_frame_is_magic_length_block() {
    let bytes = frames(REGTEST_MAGIC, [b"abc".as_slice(), b""]);
    assert_eq!(
        bytes,
        b"\xfa\xbf\xb5\xda\x03\0\0\0abc\xfa\xbf\xb5\xda\0\0\0\0"
    );
}

#[test]
fn directories_are_split_masked_and_padded() {
    let directory = std::env::temp_dir().join(format!("metashrew-frames-{}", std::process::id()));
    let key = [1, 2, 3, 4, 5, 6, 7, 8];
    let files = BlockDirectory::new(REGTEST_MAGIC)
        .xor(key)
        .blocks_each(2)
        .padding(5);
    let paths = files.write(&directory, &["one", "two", "three"]).unwrap();
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["blk00000.dat", "blk00001.dat"]);
    assert_eq!(std::fs::read(directory.join("xor.dat")).unwrap(), key);
    let masked = std::fs::read(&paths[1]).unwrap();
    let (frame, padding) = masked.split_at(masked.len() - 5);
    assert_eq!(padding, [0; 5]);
    let plain: Vec<u8> = frame
        .iter()
        .zip(key.iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect();
    assert_eq!(plain, frames(REGTEST_MAGIC, ["three"]));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn files_grow_as_under_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let key = [1, 2, 3, 4, 5, 6, 7, 8];
    let mut files = GrowingDirectory::begin(directory.path(), REGTEST_MAGIC, key, 64).unwrap();
    let first = files.path();
    let plain = |path: &std::path::Path, length: usize| {
        let bytes = std::fs::read(path).unwrap();
        let (written, reserved) = bytes.split_at(length);
        assert!(reserved.iter().all(|byte| *byte == 0));
        let unmask = |(byte, key): (&u8, &u8)| byte ^ key;
        let unmasked: Vec<u8> = written.iter().zip(key.iter().cycle()).map(unmask).collect();
        (unmasked, bytes.len())
    };
    files.append(b"one").unwrap();
    files.append_start(b"three", 10).unwrap();
    let all = frames(REGTEST_MAGIC, ["one", "three"]);
    assert_eq!(plain(&first, 21), (all[..21].to_vec(), 64));
    files.finish().unwrap();
    assert_eq!(plain(&first, 24), (all.clone(), 64));
    files.next_file().unwrap();
    assert_eq!(plain(&first, 24), (all, 24));
    files.append(b"four").unwrap();
    let second = plain(&files.path(), 12);
    assert_eq!(second, (frames(REGTEST_MAGIC, ["four"]), 64));
}

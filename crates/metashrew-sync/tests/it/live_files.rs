//! The block files of a node while it writes them, as a generator writes them; the
//! node itself cannot be reached, so that what is not in the files is not had.

use std::fs;
use std::path::Path;

use metashrew_sync::{CoreNode, CoreSettings, FilesError, Network, Node, NodeError, SettingsError};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::frames::{BlockDirectory, GrowingDirectory, MAINNET_MAGIC, REGTEST_MAGIC};

use crate::damaged_files::live;
use crate::support::hash_of;

const KEYS: [[u8; 8]; 2] = [[0; 8], [0x5a, 1, 2, 3, 4, 5, 6, 0xff]];

fn chain(count: usize) -> Chain {
    let mut chain = Chain::new(8).shape(Shape::Transactions(3));
    chain.mine(count);
    chain
}

/// The files, and a node that cannot be reached.
fn open(directory: &Path) -> CoreNode {
    live(directory, None).unwrap()
}

fn assert_has(node: &CoreNode, blocks: &[Mined]) {
    for mined in blocks {
        let block = node.block(&hash_of(mined)).unwrap();
        assert_eq!(block, *mined.bytes, "block {}", mined.height);
    }
}

fn assert_lacks(node: &CoreNode, mined: &Mined) {
    let error = node.block(&hash_of(mined)).unwrap_err();
    assert!(matches!(error, NodeError::Unavailable(_)), "{error}");
}

#[test]
fn blocks_are_there_once_they_are_whole() {
    let chain = chain(40);
    for key in KEYS {
        let directory = tempfile::tempdir().unwrap();
        let mut files =
            GrowingDirectory::begin(directory.path(), REGTEST_MAGIC, key, 1 << 16).unwrap();
        files.append(&chain.blocks()[0].bytes).unwrap();
        let node = open(directory.path());
        assert_has(&node, &chain.blocks()[..1]);
        for (number, mined) in chain.blocks().iter().enumerate().skip(1) {
            assert_lacks(&node, mined);
            let length = mined.bytes.len() + 8;
            let written = [2, 4, 7, 8, 50, 88, length / 2, length - 6][number % 8];
            files.append_start(&mined.bytes, written).unwrap();
            assert_lacks(&node, mined);
            // Nor for who comes while it is written.
            let late = open(directory.path());
            assert_lacks(&late, mined);
            files.finish().unwrap();
            assert_has(&node, &chain.blocks()[..=number]);
            assert_has(&late, &chain.blocks()[..=number]);
            if number % 9 == 0 {
                files.next_file().unwrap();
            }
        }
        assert_has(&open(directory.path()), chain.blocks());
        assert_eq!(node.source_counts().rpc, 0);
    }
}

#[test]
fn dead_branches_and_blocks_out_of_order_are_there() {
    let main = chain(30);
    let mut dead = main.fork(20, 9);
    dead.mine(5);
    let mut blocks: Vec<_> = main.blocks().iter().chain(&dead.blocks()[20..]).collect();
    blocks.reverse();
    for key in KEYS {
        let directory = tempfile::tempdir().unwrap();
        let bytes: Vec<_> = blocks.iter().map(|mined| &mined.bytes[..]).collect();
        BlockDirectory::new(REGTEST_MAGIC)
            .blocks_each(7)
            .xor(key)
            .padding(50_000)
            .write(directory.path(), &bytes)
            .unwrap();
        let node = open(directory.path());
        assert_has(&node, main.blocks());
        assert_has(&node, dead.blocks());
    }
}

#[test]
fn what_is_damaged_is_not_handed_out() {
    let chain = chain(9);
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<_> = chain
        .blocks()
        .iter()
        .map(|mined| &mined.bytes[..])
        .collect();
    let paths = BlockDirectory::new(REGTEST_MAGIC)
        .blocks_each(3)
        .write(directory.path(), &bytes)
        .unwrap();
    // A byte of the last transaction of the second block.
    let mut first = fs::read(&paths[0]).unwrap();
    let end = 2 * 8 + bytes[0].len() + bytes[1].len();
    first[end - 1] ^= 1;
    fs::write(&paths[0], first).unwrap();
    // No frame where the second of the second file should begin.
    let mut second = fs::read(&paths[1]).unwrap();
    second[8 + bytes[3].len()] ^= 1;
    fs::write(&paths[1], second).unwrap();
    let node = open(directory.path());
    for (number, mined) in chain.blocks().iter().enumerate() {
        match number {
            1 | 4 => assert_lacks(&node, mined),
            _ => assert_has(&node, std::slice::from_ref(mined)),
        }
    }
    // A file that was taken away, as by pruning.
    fs::remove_file(&paths[2]).unwrap();
    assert_lacks(&node, &chain.blocks()[7]);
    assert_has(&node, &chain.blocks()[..1]);
}

#[test]
fn folders_that_cannot_be_right_are_refused() {
    let open = |directory: &Path, network| {
        let settings = CoreSettings {
            blocks_dir: Some(directory.to_owned()),
            network,
            ..CoreSettings::new("http://127.0.0.1:1")
        };
        match CoreNode::new(&settings).err().unwrap() {
            SettingsError::Files(error) => error,
            error => panic!("{error}"),
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(matches!(open(path, None), FilesError::NoFiles { .. }));
    let missing = path.join("missing");
    assert!(matches!(open(&missing, None), FilesError::Io { .. }));
    fs::write(path.join("notes.dat"), "no blocks").unwrap();
    assert!(matches!(open(path, None), FilesError::NoFiles { .. }));
    let chain = chain(1);
    GrowingDirectory::begin(path, MAINNET_MAGIC, KEYS[1], 1)
        .unwrap()
        .append(&chain.blocks()[0].bytes)
        .unwrap();
    let error = open(path, Some(Network::Regtest));
    assert!(matches!(error, FilesError::OtherNetwork { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("regtest") && text.contains("f9, be, b4, d9"),
        "{text}"
    );
    fs::write(path.join("xor.dat"), "short").unwrap();
    assert!(matches!(open(path, None), FilesError::BadKey { .. }));
}

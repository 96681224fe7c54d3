//! The index of a node's block files that is kept between starts: what it saves, and what
//! makes it be passed over. The node itself cannot be reached, so that what is not found in
//! the files is not had.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use metashrew_sync::{CoreNode, CoreSettings, Node, NodeError};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::frames::{BlockDirectory, GrowingDirectory, REGTEST_MAGIC};

use crate::support::hash_of;

const KEYS: [[u8; 8]; 2] = [[0; 8], [0x5a, 1, 2, 3, 4, 5, 6, 0xff]];
const BLOCKS: usize = 40;
const BLOCKS_A_FILE: usize = 6;

/// Block files, and where their index is kept.
struct Files {
    directory: tempfile::TempDir,
    chain: Chain,
    key: [u8; 8],
}

impl Files {
    fn new(key: [u8; 8]) -> Self {
        let mut chain = Chain::new(8).shape(Shape::Transactions(3));
        chain.mine(BLOCKS);
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
            chain,
            key,
        };
        files.write(files.chain.blocks(), key);
        files
    }

    fn blocks_dir(&self) -> PathBuf {
        self.directory.path().join("blocks")
    }

    fn index(&self) -> PathBuf {
        self.directory.path().join("index")
    }

    fn write(&self, blocks: &[Mined], key: [u8; 8]) -> Vec<PathBuf> {
        let bytes: Vec<_> = blocks.iter().map(|mined| &mined.bytes[..]).collect();
        fs::create_dir_all(self.blocks_dir()).unwrap();
        BlockDirectory::new(REGTEST_MAGIC)
            .blocks_each(BLOCKS_A_FILE)
            .xor(key)
            .write(&self.blocks_dir(), &bytes)
            .unwrap()
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.blocks_dir()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().contains("blk"));
        paths.sort();
        paths
    }

    /// A node that cannot be reached, and these files.
    fn open(&self) -> CoreNode {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let node = CoreNode::new(&CoreSettings {
            blocks_dir: Some(self.blocks_dir()),
            blocks_index: Some(self.index()),
            ..CoreSettings::new(format!("http://{port}"))
        })
        .unwrap();
        node.wait_for_files();
        node
    }

    /// Opens the files once, so that there is an index.
    fn keep(&self) {
        let node = self.open();
        assert!(!self.index().exists());
        node.keep_blocks_index();
        assert!(self.index().is_file());
    }

    /// Where the frames of a file begin.
    fn frames(&self, file: usize) -> Vec<usize> {
        let blocks = self.chain.blocks().chunks(BLOCKS_A_FILE).nth(file).unwrap();
        let mut at = 0;
        let starts = blocks.iter().map(|mined| {
            let start = at;
            at += 8 + mined.bytes.len();
            start
        });
        starts.collect()
    }

    /// Leaves the blocks of a file where they are, but nothing by which a scan could find
    /// more than the first.
    fn hide_frames(&self, file: usize) {
        keeping_its_time(&self.paths()[file], |path| {
            let mut bytes = fs::read(path).unwrap();
            for start in &self.frames(file)[1..] {
                bytes[*start] ^= 1;
            }
            fs::write(path, bytes).unwrap();
        });
    }

    fn assert_has(&self, node: &CoreNode, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            let mined = &self.chain.blocks()[number];
            let block = node.block(&hash_of(mined)).unwrap();
            assert_eq!(block, *mined.bytes, "block {}", mined.height);
        }
    }

    fn assert_lacks(&self, node: &CoreNode, number: usize) {
        let error = node
            .block(&hash_of(&self.chain.blocks()[number]))
            .unwrap_err();
        assert!(matches!(error, NodeError::Unavailable(_)), "{error}");
    }
}

/// Changes a file so that nothing but its content tells.
fn keeping_its_time(path: &Path, change: impl FnOnce(&Path)) {
    let before = fs::metadata(path).unwrap();
    change(path);
    assert_eq!(fs::metadata(path).unwrap().len(), before.len());
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

#[test]
fn what_the_index_knows_is_not_looked_for_again() {
    for key in KEYS {
        let files = Files::new(key);
        files.keep();
        for file in 0..BLOCKS / BLOCKS_A_FILE {
            files.hide_frames(file);
        }
        let node = files.open();
        files.assert_has(&node, 0..BLOCKS);
        assert_eq!(node.source_counts().files, BLOCKS as u64);
        // Without it they cannot be found.
        drop(node);
        fs::remove_file(files.index()).unwrap();
        let node = files.open();
        files.assert_has(&node, [0, BLOCKS - 1]);
        files.assert_lacks(&node, 1);
    }
}

#[test]
fn an_index_that_is_damaged_or_of_another_format_is_made_anew() {
    let files = Files::new(KEYS[1]);
    files.keep();
    let whole = fs::read(files.index()).unwrap();
    let mut other_format = whole.clone();
    other_format[22] += 1;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for bytes in [
        &other_format[..],
        &flipped,
        &whole[..whole.len() - 1],
        &whole[..40],
        b"",
        b"something else",
    ] {
        fs::write(files.index(), bytes).unwrap();
        let node = files.open();
        files.assert_has(&node, 0..BLOCKS);
        node.keep_blocks_index();
        assert_eq!(fs::read(files.index()).unwrap(), whole);
    }
}

#[test]
fn files_that_were_changed_are_read_anew() {
    for key in KEYS {
        let files = Files::new(key);
        files.keep();
        // Written again, in another order: other lengths, and other times.
        let mut blocks = files.chain.blocks().to_vec();
        blocks.reverse();
        files.write(&blocks, key);
        files.assert_has(&files.open(), 0..BLOCKS);
    }
}

#[test]
fn files_that_only_look_unchanged_are_found_out() {
    let files = Files::new(KEYS[1]);
    files.keep();
    // Every file of the same length and time, with its blocks in another order.
    for (number, path) in files.paths().iter().enumerate() {
        let others = tempfile::tempdir().unwrap();
        let mut blocks: Vec<_> = files
            .chain
            .blocks()
            .chunks(BLOCKS_A_FILE)
            .nth(number)
            .unwrap()
            .iter()
            .map(|mined| &mined.bytes[..])
            .collect();
        blocks.rotate_left(1);
        let written = BlockDirectory::new(REGTEST_MAGIC)
            .xor(files.key)
            .write(others.path(), &blocks)
            .unwrap();
        keeping_its_time(path, |path| {
            fs::copy(&written[0], path).unwrap();
        });
    }
    let node = files.open();
    files.assert_has(&node, 0..BLOCKS);
    files.assert_has(&node, 0..BLOCKS);
    assert_eq!(node.source_counts().files, 2 * BLOCKS as u64);
}

#[test]
fn files_masked_in_another_way_are_read_anew() {
    let files = Files::new(KEYS[0]);
    files.keep();
    for path in files.paths() {
        keeping_its_time(&path, |path| {
            let masked = |(at, byte): (usize, &u8)| byte ^ KEYS[1][at % 8];
            let bytes = fs::read(path).unwrap();
            fs::write(
                path,
                bytes.iter().enumerate().map(masked).collect::<Vec<_>>(),
            )
            .unwrap();
        });
    }
    fs::write(files.blocks_dir().join("xor.dat"), KEYS[1]).unwrap();
    files.assert_has(&files.open(), 0..BLOCKS);
}

#[test]
fn a_file_that_was_pruned_is_not_looked_for() {
    let files = Files::new(KEYS[0]);
    files.keep();
    let paths = files.paths();
    fs::remove_file(&paths[0]).unwrap();
    fs::remove_file(&paths[2]).unwrap();
    let node = files.open();
    let pruned = |number: &usize| [0, 2].contains(&(number / BLOCKS_A_FILE));
    files.assert_has(&node, (0..BLOCKS).filter(|number| !pruned(number)));
    for number in (0..BLOCKS).filter(pruned) {
        files.assert_lacks(&node, number);
    }
}

#[test]
fn what_is_written_after_the_index_is_found() {
    for key in KEYS {
        let files = Files::new(key);
        fs::remove_dir_all(files.blocks_dir()).unwrap();
        let mut growing =
            GrowingDirectory::begin(&files.blocks_dir(), REGTEST_MAGIC, key, 1 << 16).unwrap();
        let mut blocks = files.chain.blocks().iter().enumerate().peekable();
        while let Some((number, mined)) = blocks.next() {
            growing.append(&mined.bytes).unwrap();
            // The index may be written in the middle of a block, and behind it.
            if let Some((_, next)) = blocks.peek()
                && number % 3 == 1
            {
                growing
                    .append_start(&next.bytes, next.bytes.len() / 2)
                    .unwrap();
            }
            let node = files.open();
            node.keep_blocks_index();
            files.assert_has(&node, 0..=number);
            if number % 3 == 1 && blocks.next().is_some() {
                growing.finish().unwrap();
            }
            if number % 7 == 6 {
                growing.next_file().unwrap();
            }
        }
        drop(files.open());
        files.assert_has(&files.open(), 0..BLOCKS);
    }
}

#[test]
fn where_it_cannot_be_written_all_goes_on_without() {
    let files = Files::new(KEYS[0]);
    fs::create_dir(files.index()).unwrap();
    fs::write(files.index().join("file"), "").unwrap();
    let node = files.open();
    node.keep_blocks_index();
    files.assert_has(&node, 0..BLOCKS);
    drop(node);
    assert!(files.index().is_dir());
}

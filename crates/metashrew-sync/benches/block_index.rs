//! How long a start looks for blocks in a node's files, without the index that is kept
//! between starts and with it. `cargo bench --bench block_index -- BLOCKS BYTES DIR` takes
//! other numbers of blocks and lengths, and leaves the files in a folder for another run.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use metashrew_sync::{CoreNode, CoreSettings, Network};
use metashrew_testing::frames::REGTEST_MAGIC;

const BLOCKS: usize = 200_000;
/// More than a scan reads at a time.
const BLOCK_LEN: usize = 9_000;
/// As long as Core makes them.
const FILE_LEN: usize = 128 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let mut number = |default| {
        let word = arguments.next();
        word.map_or(default, |word| word.parse().expect("a number"))
    };
    let (blocks, length) = (number(BLOCKS), number(BLOCK_LEN));
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let kept = arguments.next().map(PathBuf::from);
    let directory = kept.as_deref().unwrap_or(temporary.path());
    let files = directory.join("blocks");
    if !files.exists() {
        write(&files, blocks, length);
    }
    let index = directory.join("index");
    for _ in 0..2 {
        let was_kept = index.exists();
        let start = Instant::now();
        let node = CoreNode::new(&CoreSettings {
            blocks_dir: Some(files.clone()),
            blocks_index: Some(index.clone()),
            network: Some(Network::Regtest),
            ..CoreSettings::new("http://127.0.0.1:1")
        })
        .expect("block files");
        node.wait_for_files();
        let found = start.elapsed();
        let start = Instant::now();
        node.keep_blocks_index();
        let written = start.elapsed();
        let length = fs::metadata(&index).map_or(0, |index| index.len());
        let kept = if was_kept { "with" } else { "without" };
        println!("{kept} the kept index {found:.2?}; written in {written:.2?}, {length} bytes");
    }
}

/// Frames with headers that differ, and nothing that has to be right behind them: a scan
/// believes a frame that another one follows.
fn write(directory: &Path, blocks: usize, length: usize) {
    fs::create_dir_all(directory).expect("a folder");
    let blocks_a_file = (FILE_LEN / (length + 8)).max(1);
    let mut rest = vec![0x5a; length];
    let mut file = None;
    for number in 0..blocks {
        if number % blocks_a_file == 0 {
            let name = format!("blk{:05}.dat", number / blocks_a_file);
            let created = File::create(directory.join(name)).expect("a file");
            file = Some(BufWriter::new(created));
        }
        let counted = (number as u64).to_le_bytes();
        for (byte, count) in rest.iter_mut().skip(4).zip(counted) {
            *byte = count;
        }
        let file = file.as_mut().expect("a file was begun");
        let length = u32::try_from(length).expect("a block is shorter");
        for part in [&REGTEST_MAGIC[..], &length.to_le_bytes(), &rest] {
            file.write_all(part).expect("room");
        }
    }
}

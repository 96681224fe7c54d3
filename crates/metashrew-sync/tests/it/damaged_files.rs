//! Block files as crashes leave them: what is no block is passed over, and of several
//! copies of a block the good one is taken, in files by themselves and under a node.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metashrew_store::Store;
use metashrew_sync::{
    BlockFiles, CoreNode, CoreSettings, FilesError, IndexError, Indexer, Network, Node, NodeError,
    SettingsError, Stop,
};
use metashrew_testing::chain::{Chain, Mined, Shape};
use metashrew_testing::frames::{GrowingDirectory, MAINNET_MAGIC, REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;
use tempfile::TempDir;

use crate::support::{assert_holds, hash_of, options, runtime};

const KEY: [u8; 8] = [0x5a, 1, 2, 3, 4, 5, 6, 0xff];

/// Blocks in each chain.
const COUNT: usize = 14;

fn chain() -> Chain {
    let mut chain = Chain::new(11).shape(Shape::Transactions(3));
    chain.mine(COUNT);
    chain
}

/// The frame of each block.
fn framed(chain: &Chain) -> Vec<Vec<u8>> {
    let frame = |mined: &Mined| frames(REGTEST_MAGIC, [&mined.bytes[..]]);
    chain.blocks().iter().map(frame).collect()
}

/// A folder with a file that Core named, masked or not.
fn folder(bytes: &[u8], masked: bool) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blk00000.dat");
    let mut bytes = bytes.to_vec();
    if masked {
        fs::write(directory.path().join("xor.dat"), KEY).unwrap();
        mask(&mut bytes);
    }
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn mask(bytes: &mut [u8]) {
    for (byte, key) in bytes.iter_mut().zip(KEY.iter().cycle()) {
        *byte ^= key;
    }
}

/// The files of a node that cannot be reached.
pub(crate) fn live(directory: &Path, network: Option<Network>) -> Result<CoreNode, SettingsError> {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let node = CoreNode::new(&CoreSettings {
        blocks_dir: Some(directory.to_owned()),
        network,
        ..CoreSettings::new(format!("http://{port}"))
    })?;
    node.wait_for_files();
    Ok(node)
}

/// Asserts that a file holds exactly that chain, however it is read.
fn assert_reads(what: &str, bytes: &[u8], chain: &Chain) {
    let tip = chain.tip().unwrap();
    for masked in [false, true] {
        let (directory, path) = folder(bytes, masked);
        for path in [directory.path(), &path] {
            let files = BlockFiles::open(path, None)
                .unwrap_or_else(|error| panic!("{what}, masked {masked}: {error}"));
            let found = (files.first_height(), files.tip().unwrap().unwrap().hash);
            assert_eq!(found, (1, hash_of(tip)), "{what}, masked {masked}");
            assert_blocks(what, &files, chain);
        }
        let node = live(directory.path(), None).unwrap();
        assert_blocks(what, &node, chain);
        assert_eq!(node.source_counts().files, COUNT as u64, "{what}");
    }
}

fn assert_blocks(what: &str, node: &dyn Node, chain: &Chain) {
    for mined in chain.blocks() {
        let block = node
            .block(&hash_of(mined))
            .unwrap_or_else(|error| panic!("{what}: block {}: {error}", mined.height));
        assert_eq!(block, *mined.bytes, "{what}: block {}", mined.height);
    }
}

/// Frames with something in front of one of them, or, at the end, behind all.
fn with_junk(frames: &[Vec<u8>], before: usize, junk: &[u8]) -> Vec<u8> {
    let mut parts = frames.to_vec();
    parts.insert(before, junk.to_vec());
    parts.concat()
}

fn frame_start(length: u32) -> Vec<u8> {
    [&REGTEST_MAGIC[..], &length.to_le_bytes()].concat()
}

#[test]
fn junk_before_between_and_behind_frames_is_passed_over() {
    let chain = chain();
    let frames = framed(&chain);
    let mut rng = Rng::new(5);
    let mut random = |length: usize| {
        (0..length)
            .map(|_| u8::try_from(rng.below(256)).unwrap())
            .collect::<Vec<u8>>()
    };
    let mut junk = vec![
        b"x".to_vec(),
        vec![0; 2],
        vec![0; 30_000],
        REGTEST_MAGIC.to_vec(),
        REGTEST_MAGIC[..3].to_vec(),
        REGTEST_MAGIC.repeat(40),
        frame_start(79),
        frame_start(u32::MAX),
        frame_start(200),
        [frame_start(500), random(40)].concat(),
        [frame_start(500), random(700)].concat(),
        [frame_start(30_000_000), random(700)].concat(),
        // A header that is none, and one that was cut in the middle of a block.
        [frame_start(81), vec![0xff; 81]].concat(),
        frames[3][..60].to_vec(),
        frames[3][40..].to_vec(),
        [vec![0; 5], random(3), vec![0; 5], random(3)].concat(),
    ];
    // The magic may lie across whatever is read at a time.
    for length in [
        37, 4_089, 4_093, 4_095, 4_096, 8_190, 12_285, 28_669, 2_100_001,
    ] {
        junk.push(random(length));
    }
    for (number, junk) in junk.iter().enumerate() {
        for before in [0, 7, COUNT] {
            let what = format!("junk {number} before frame {before}");
            assert_reads(&what, &with_junk(&frames, before, junk), &chain);
        }
    }
    let everywhere: Vec<_> = frames
        .iter()
        .flat_map(|frame| [b"junk".to_vec(), frame.clone()])
        .collect();
    assert_reads("junk everywhere", &everywhere.concat(), &chain);
}

#[test]
fn wrong_lengths_lose_no_block() {
    let chain = chain();
    let frames = framed(&chain);
    let next = frames[7].len();
    let length = frames[6].len() - 8;
    let rest: usize = frames[7..].iter().map(Vec::len).sum();
    let wrong = [
        length + 1,
        length + 50,
        length + next - 1,
        length + next,
        length + next + 1,
        length + next + frames[8].len(),
        length + rest - 1,
        length + rest,
        length + rest + 1,
        length + rest + 1_000_000,
        length - 1,
        length - 50,
        length / 2,
        81,
    ];
    for wrong in wrong {
        let mut frames = frames.clone();
        let claimed = u32::try_from(wrong).unwrap().to_le_bytes();
        frames[6][4..8].copy_from_slice(&claimed);
        let bytes = frames.concat();
        let what = format!("{wrong} bytes claimed for {length}");
        assert_reads_without_live(&what, &bytes, &chain);
        let zeros = [bytes, vec![0; 40_000]].concat();
        assert_reads_without_live(&format!("{what}, zeros behind"), &zeros, &chain);
    }
    // More within a frame than its block.
    let mut longer = frames.clone();
    longer[6].extend(b"something that follows the block");
    let claimed = u32::try_from(longer[6].len() - 8).unwrap().to_le_bytes();
    longer[6][4..8].copy_from_slice(&claimed);
    assert_reads("junk within a frame", &longer.concat(), &chain);
}

/// Under a node, a frame that swallows another exactly is not looked into: the node has
/// the other.
fn assert_reads_without_live(what: &str, bytes: &[u8], chain: &Chain) {
    for masked in [false, true] {
        let (_directory, path) = folder(bytes, masked);
        let files = BlockFiles::open(&path, None)
            .unwrap_or_else(|error| panic!("{what}, masked {masked}: {error}"));
        assert_eq!(
            files.tip().unwrap().unwrap().hash,
            hash_of(chain.tip().unwrap()),
            "{what}"
        );
        assert_blocks(what, &files, chain);
    }
}

#[test]
fn a_block_that_was_torn_and_written_again_is_read() {
    let chain = chain();
    let frames = framed(&chain);
    let whole = frames[6].len();
    for kept in [2, 4, 7, 8, 30, 87, 88, 100, whole / 2, whole - 1] {
        let mut torn = frames.clone();
        torn[6].truncate(kept);
        torn.push(frames[6].clone());
        let what = format!("{kept} bytes of {whole} kept");
        assert_reads(&what, &torn.concat(), &chain);
        // Among zeros, as where room was reserved.
        torn[6].resize(kept + 50_000, 0);
        assert_reads(&format!("{what}, zeros behind"), &torn.concat(), &chain);
        let padded = [torn.concat(), vec![0; 70_000]].concat();
        assert_reads(&format!("{what}, zeros at the end"), &padded, &chain);
    }
    // Two in a row, the second across the end of the first.
    let mut torn = frames.clone();
    torn[6].truncate(whole / 2);
    torn[7].truncate(frames[7].len() / 2);
    torn.extend([frames[6].clone(), frames[7].clone()]);
    assert_reads("two torn", &torn.concat(), &chain);
}

#[test]
fn a_hole_of_zeros_is_passed_over() {
    let chain = chain();
    let frames = framed(&chain);
    let bytes = frames.concat();
    let starts: Vec<usize> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end - frame.len())
        })
        .collect();
    let holes: [Range<usize>; 4] = [
        starts[5] + 100..starts[6] + 200,
        starts[5]..starts[7],
        starts[5] + 8..starts[6] - 10,
        starts[5] + 95..starts[8] + 2,
    ];
    for hole in holes {
        let mut bytes = bytes.clone();
        bytes[hole.clone()].fill(0);
        bytes.extend(frames[5..9].concat());
        // The zeros of a hole are not masked, whatever is around them.
        let (directory, path) = folder(&bytes, true);
        let mut masked = fs::read(&path).unwrap();
        masked[hole.clone()].fill(0);
        fs::write(&path, masked).unwrap();
        let what = format!("hole {hole:?}");
        assert_blocks(&what, &BlockFiles::open(&path, None).unwrap(), &chain);
        assert_blocks(&what, &live(directory.path(), None).unwrap(), &chain);
        assert_reads_without_live(&what, &bytes, &chain);
    }
}

#[test]
fn of_several_copies_the_good_one_is_taken() {
    let chain = chain();
    let frames = framed(&chain);
    let end = frames[6].len();
    // Somewhere in the frame: the header, the coinbase with its height, the last bytes.
    for at in [
        8,
        12,
        44,
        75,
        80,
        84,
        88,
        90,
        100,
        135,
        140,
        end / 2,
        end - 1,
    ] {
        let mut damaged = frames.clone();
        damaged[6][at] ^= 0x55;
        let bad = damaged[6].clone();
        damaged.push(frames[6].clone());
        let what = format!("byte {at} of {end}");
        assert_reads(&what, &damaged.concat(), &chain);
        // The other way round, and several bad ones before the good one.
        let first = [frames.clone(), vec![bad.clone()]].concat();
        assert_reads(&format!("{what}, good one first"), &first.concat(), &chain);
        let many = [vec![bad.clone(); 3], frames.clone(), vec![bad; 3]].concat();
        assert_reads_without_live(&format!("{what}, many"), &many.concat(), &chain);
    }
}

#[test]
fn if_every_copy_is_bad_all_places_are_named() {
    let chain = chain();
    let mut frames = framed(&chain);
    let end = frames[6].len();
    frames[6][end - 1] ^= 1;
    frames.insert(9, frames[6].clone());
    let (_directory, path) = folder(&frames.concat(), false);
    let offset = |index: usize| frames[..index].iter().map(Vec::len).sum::<usize>() + 8;
    let files = BlockFiles::open(&path, None).unwrap();
    let store = Store::in_memory();
    let indexer = Indexer::new(
        runtime(&guests::chained(), &store),
        Arc::new(files),
        options(),
    );
    let error = indexer.run(&Stop::new()).unwrap_err();
    let IndexError::Node(NodeError::Damaged { place, .. }) = &error else {
        panic!("{error}");
    };
    let path = path.display();
    let (first, second) = (offset(6), offset(9));
    assert_eq!(
        *place,
        format!("`{path}` at byte {first} and in `{path}` at byte {second}")
    );
    assert_holds(&store, &chain.blocks()[..6]);
}

#[test]
fn a_damaged_header_harms_no_other_block() {
    let chain = chain();
    let frames = framed(&chain);
    // Its parent, its merkle root, its time, its target (which decides its work), its
    // nonce: another block than any that is known.
    for at in [8, 20, 50, 76, 80, 81, 82, 83, 84] {
        for bit in 0..8 {
            let mut damaged = frames[9].clone();
            damaged[at] ^= 1 << bit;
            let bytes = [frames.concat(), damaged].concat();
            let (_directory, path) = folder(&bytes, false);
            let files = BlockFiles::open(&path, None).unwrap();
            let tip = files.tip().unwrap().unwrap();
            assert_eq!(
                tip.hash,
                hash_of(chain.tip().unwrap()),
                "bit {bit} of byte {at}"
            );
            assert_blocks("damaged header", &files, &chain);
        }
    }
}

#[test]
fn masked_files_without_their_key_are_told() {
    let chain = chain();
    let bytes = framed(&chain).concat();
    let (directory, path) = folder(&bytes, true);
    let key = directory.path().join("xor.dat");
    fs::remove_file(&key).unwrap();
    for path in [directory.path(), &path] {
        let error = BlockFiles::open(path, None).unwrap_err();
        assert!(matches!(error, FilesError::Masked { .. }), "{error}");
        assert!(error.to_string().contains("copy `xor.dat`"), "{error}");
    }
    for network in [None, Some(Network::Regtest)] {
        let Err(SettingsError::Files(error)) = live(directory.path(), network) else {
            panic!("taken");
        };
        assert!(matches!(error, FilesError::Masked { .. }), "{error}");
    }
    // Another key.
    fs::write(&key, b"otherkey").unwrap();
    let error = BlockFiles::open(&path, None).unwrap_err();
    assert!(matches!(error, FilesError::OtherKey { .. }), "{error}");
    fs::remove_file(&key).unwrap();

    // One of two.
    let frames = framed(&chain);
    fs::write(&path, frames[..7].concat()).unwrap();
    let second = directory.path().join("blk00001.dat");
    let mut masked = frames[7..].concat();
    mask(&mut masked);
    fs::write(&second, masked).unwrap();
    let error = BlockFiles::open(directory.path(), None).unwrap_err();
    let FilesError::Masked { path: named } = &error else {
        panic!("{error}");
    };
    assert_eq!(*named, second);
    // With the key, each is read as it is.
    fs::write(&key, KEY).unwrap();
    let files = BlockFiles::open(directory.path(), None).unwrap();
    assert_blocks("one of two masked", &files, &chain);
}

#[test]
fn files_of_different_networks_are_told() {
    let chain = chain();
    let (directory, _path) = folder(&framed(&chain).concat(), false);
    let second = directory.path().join("blk00001.dat");
    let blocks = chain.blocks().iter().map(|mined| &mined.bytes[..]);
    fs::write(&second, frames(MAINNET_MAGIC, blocks)).unwrap();
    let error = BlockFiles::open(directory.path(), None).unwrap_err();
    let FilesError::Mixed { path, found, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((path, *found), (&second, MAINNET_MAGIC));
}

/// However often a header stands in junk, memory and time are bounded by the file.
#[test]
fn headers_without_blocks_are_passed_over() {
    let chain = chain();
    let frames = framed(&chain);
    let mut header = frames[3][..88].to_vec();
    header[4..8].copy_from_slice(&30_000_000_u32.to_le_bytes());
    let bytes = [frames.concat(), header.repeat(20_000), frames.concat()].concat();
    assert_reads_without_live("headers", &bytes, &chain);
}

#[test]
fn blocks_written_after_a_torn_one_are_found_as_they_come() {
    let chain = chain();
    let directory = tempfile::tempdir().unwrap();
    let mut files = GrowingDirectory::begin(directory.path(), REGTEST_MAGIC, KEY, 1 << 16).unwrap();
    for mined in &chain.blocks()[..3] {
        files.append(&mined.bytes).unwrap();
    }
    // The node went down in the middle of a block, and writes on behind what it left.
    let torn = &chain.blocks()[3].bytes;
    files.append_start(torn, torn.len() / 2).unwrap();
    files.forget_rest();
    let node = live(directory.path(), None).unwrap();
    for mined in &chain.blocks()[3..] {
        files.append(&mined.bytes).unwrap();
        assert_eq!(node.block(&hash_of(mined)).unwrap(), *mined.bytes);
        if mined.height == 8 {
            files.next_file().unwrap();
        }
    }
    assert_blocks("torn", &node, &chain);
    assert_eq!(node.source_counts().rpc, 0);
}

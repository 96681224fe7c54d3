//! Block files in every form they come in.

mod damaged;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitcoin::consensus::encode::serialize;
use bitcoin::constants::genesis_block;
use bitcoin::{Network, block::Version};
use bzip2::{Compression, write::BzEncoder};
use metashrew_store::{BlockHash, Height, Store};
use metashrew_sync::{BlockFiles, FilesError, IndexEnd, IndexError, Indexer, Node, Stop};
use metashrew_testing::chain::{Chain, Mined, Shape, with_work};
use metashrew_testing::frames::{BlockDirectory, REGTEST_MAGIC, frames};
use metashrew_testing::guests;
use metashrew_testing::rng::Rng;
use tempfile::TempDir;

use crate::support::{assert_holds, hash_of, options, runtime};

fn chain(start: Height, count: usize) -> Chain {
    let mut chain = Chain::new(2).start(start).shape(Shape::Transactions(4));
    chain.mine(count);
    chain
}

fn raw(blocks: &[Mined]) -> Vec<Vec<u8>> {
    blocks.iter().map(|mined| mined.bytes.to_vec()).collect()
}

/// A directory with one file.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// Asserts that the files hold exactly that chain, and hand out its blocks.
fn assert_has(files: &BlockFiles, blocks: &[Mined]) {
    let (first, last) = (blocks.first().unwrap(), blocks.last().unwrap());
    assert_eq!(files.first().unwrap(), Some(first.height));
    let tip = files.tip().unwrap().unwrap();
    assert_eq!((tip.height, tip.hash), (last.height, hash_of(last)));
    for mined in blocks {
        let hash = files.hash_at(mined.height).unwrap().unwrap();
        assert_eq!(hash, hash_of(mined));
        assert_eq!(files.block(&hash).unwrap(), *mined.bytes);
    }
    assert_eq!(files.hash_at(last.height + 1).unwrap(), None);
    assert_eq!(
        first
            .height
            .checked_sub(1)
            .and_then(|below| files.hash_at(below).unwrap()),
        None
    );
}

#[test]
fn framed_files_of_every_network_are_read() {
    let chain = chain(100, 30);
    for magic in [REGTEST_MAGIC, *b"\xc0\xc0\xc0\xc0", *b"abcd"] {
        let (_directory, path) = file("blocks", &frames(magic, raw(chain.blocks())));
        assert_has(&BlockFiles::open(&path, None).unwrap(), chain.blocks());
    }
    for network in [
        Network::Bitcoin,
        Network::Testnet,
        Network::Testnet4,
        Network::Signet,
        Network::Regtest,
    ] {
        let (magic, genesis) = (network.magic().to_bytes(), genesis_block(network));
        let (_directory, path) = file("blocks", &frames(magic, [serialize(&genesis)]));
        let files = BlockFiles::open(&path, None).unwrap();
        assert_eq!((files.first_height(), files.last_height()), (0, 0));
        // The work of regtest is none on the others.
        let (_directory, path) = file("blocks", &frames(magic, raw(chain.blocks())));
        let files = BlockFiles::open(&path, None);
        let is_refused = matches!(files, Err(FilesError::NoWork { .. }));
        assert_eq!(is_refused, network != Network::Regtest, "{network}");
    }
}

#[test]
fn a_network_named_by_its_magic_keeps_no_known_rules() {
    let chain = chain(100, 30);
    let (_directory, path) = file("blocks", &frames(REGTEST_MAGIC, raw(chain.blocks())));
    let open = || BlockFiles::open(&path, None).unwrap();
    assert_eq!(
        open().network().unwrap(),
        Some(metashrew_sync::Network::Regtest)
    );
    let named = metashrew_sync::Network::Custom {
        magic: REGTEST_MAGIC,
    };
    let files = open().with_network(named).unwrap();
    assert_eq!(files.network().unwrap(), Some(named));
    let other = open().with_network(metashrew_sync::Network::Signet);
    assert!(matches!(other, Err(FilesError::OtherNetwork { .. })));
}

#[test]
fn directories_as_core_writes_them_are_read() {
    let chain = chain(1, 95);
    let mut blocks = raw(chain.blocks());
    // Core writes blocks in the order in which they arrive.
    let mut rng = Rng::new(3);
    for index in (1..blocks.len()).rev() {
        blocks.swap(index, rng.index(index + 1));
    }
    let writer = BlockDirectory::new(REGTEST_MAGIC)
        .blocks_each(20)
        .padding(70_000);
    for writer in [writer.clone(), writer.xor([0x5a, 1, 2, 3, 4, 5, 6, 0xff])] {
        let directory = tempfile::tempdir().unwrap();
        writer.write(directory.path(), &blocks).unwrap();
        // What else lies there: undo data, and files of somebody else.
        fs::write(
            directory.path().join("rev00000.dat"),
            frames(REGTEST_MAGIC, ["undo"]),
        )
        .unwrap();
        fs::write(directory.path().join("notes.dat"), "no blocks").unwrap();
        fs::create_dir(directory.path().join("index")).unwrap();
        assert_has(
            &BlockFiles::open(directory.path(), None).unwrap(),
            chain.blocks(),
        );
    }
}

#[test]
fn one_file_of_a_masked_directory_is_read() {
    let chain = chain(1, 10);
    let directory = tempfile::tempdir().unwrap();
    let writer = BlockDirectory::new(REGTEST_MAGIC)
        .blocks_each(6)
        .xor(*b"12345678");
    let paths = writer
        .write(directory.path(), &raw(chain.blocks()))
        .unwrap();
    assert_has(
        &BlockFiles::open(&paths[0], None).unwrap(),
        &chain.blocks()[..6],
    );
    fs::write(directory.path().join("xor.dat"), "short").unwrap();
    let error = BlockFiles::open(directory.path(), None).unwrap_err();
    assert!(
        matches!(error, FilesError::BadKey { length: 5, .. }),
        "{error}"
    );
}

#[test]
fn zeros_between_frames_are_skipped() {
    let chain = chain(1, 6);
    for zeros in [1, 3, 4, 9, 20_000] {
        let mut bytes = frames(REGTEST_MAGIC, raw(&chain.blocks()[..3]));
        bytes.resize(bytes.len() + zeros, 0);
        bytes.extend(frames(REGTEST_MAGIC, raw(&chain.blocks()[3..])));
        bytes.resize(bytes.len() + zeros, 0);
        let (_directory, path) = file("a.dat", &bytes);
        assert_has(&BlockFiles::open(&path, None).unwrap(), chain.blocks());
    }
}

#[test]
fn packed_files_are_unpacked() {
    let chain = chain(50, 12);
    let pack = |bytes: &[u8]| {
        let mut packer = BzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let framed = pack(&frames(REGTEST_MAGIC, raw(chain.blocks())));
    let (directory, path) = file("blk00000.dat.bz2", &framed);
    assert_has(&BlockFiles::open(&path, None).unwrap(), chain.blocks());
    assert_has(
        &BlockFiles::open(directory.path(), None).unwrap(),
        chain.blocks(),
    );

    let (_directory, path) = file("block.bin.bz2", &pack(&chain.blocks()[5].bytes));
    assert_has(
        &BlockFiles::open(&path, None).unwrap(),
        &chain.blocks()[5..6],
    );

    let (_directory, path) = file("cut.dat.bz2", &framed[..framed.len() / 2]);
    let error = BlockFiles::open(&path, None).unwrap_err();
    assert!(
        matches!(&error, FilesError::Io { path: named, .. } if *named == path),
        "{error}"
    );
}

#[test]
fn a_raw_block_takes_the_height_given_or_its_own() {
    let chain = chain(500, 3);
    let (_directory, path) = file("block.bin", &chain.blocks()[1].bytes);
    assert_eq!(BlockFiles::open(&path, None).unwrap().first_height(), 501);
    let files = BlockFiles::open(&path, Some(9)).unwrap();
    assert_eq!((files.first_height(), files.last_height()), (9, 9));
    assert_eq!(files.hash_at(9).unwrap(), Some(hash_of(&chain.blocks()[1])));
}

#[test]
fn heights_come_from_the_chain_or_are_asked_for() {
    // A known genesis block, and a block on top of one, tell their heights.
    let genesis = genesis_block(Network::Regtest);
    let mut blocks = vec![serialize(&genesis)];
    blocks.extend(raw(old_style(&chain(1, 5)).as_slice()));
    let (_directory, path) = file("genesis.dat", &frames(REGTEST_MAGIC, &blocks));
    let files = BlockFiles::open(&path, Some(3)).unwrap();
    assert_eq!((files.first_height(), files.last_height()), (0, 5));
    let (_directory, path) = file("first.dat", &frames(REGTEST_MAGIC, &blocks[1..]));
    assert_eq!(BlockFiles::open(&path, None).unwrap().first_height(), 1);

    // Blocks of version 1 in the middle do not.
    let middle = old_style(&chain(700, 5));
    let (_directory, path) = file("middle.dat", &frames(REGTEST_MAGIC, raw(&middle)));
    let error = BlockFiles::open(&path, None).unwrap_err();
    assert!(
        matches!(&error, FilesError::NoHeight { first, .. } if *first == hash_of(&middle[0])),
        "{error}"
    );
    assert!(error.to_string().contains("--start-height"), "{error}");
    assert_has(&BlockFiles::open(&path, Some(700)).unwrap(), &middle);
}

/// The chain's blocks with version 1, which name no heights.
fn old_style(chain: &Chain) -> Vec<Mined> {
    let mut parent = chain.blocks()[0].parent;
    let remake = |mined: &Mined| {
        let mut block = mined.block();
        block.header.version = Version::ONE;
        block.header.prev_blockhash = parent;
        let block = with_work(block);
        let hash = block.block_hash();
        let remade = Mined {
            hash,
            parent,
            bytes: Arc::new(serialize(&block)),
            ..*mined
        };
        parent = hash;
        remade
    };
    chain.blocks().iter().map(remake).collect()
}

#[test]
fn the_chain_with_most_work_counts_and_the_first_seen_of_equals() {
    let main = chain(1, 20);
    let mut longer = main.fork(12, 3);
    longer.mine(9);
    let mut equal = main.fork(15, 4);
    equal.mine(5);
    let stale = |chain: &Chain, from: usize| raw(&chain.blocks()[from..]);

    let all = [stale(&main, 0), stale(&longer, 12), stale(&equal, 15)].concat();
    let (_directory, path) = file("a.dat", &frames(REGTEST_MAGIC, &all));
    assert_has(&BlockFiles::open(&path, None).unwrap(), longer.blocks());

    for (first, second, from) in [(&main, &equal, 15), (&equal, &main, 15)] {
        let all = [stale(first, 0), stale(second, from)].concat();
        let (_directory, path) = file("a.dat", &frames(REGTEST_MAGIC, &all));
        assert_has(&BlockFiles::open(&path, None).unwrap(), first.blocks());
    }

    // A block without its parent is a chain of its own; twice the same is once.
    let all = [stale(&longer, 20), stale(&main, 0), stale(&main, 0)].concat();
    let (_directory, path) = file("a.dat", &frames(REGTEST_MAGIC, &all));
    assert_has(&BlockFiles::open(&path, None).unwrap(), main.blocks());
}

fn index(store: &Store, files: BlockFiles) -> Result<IndexEnd, IndexError> {
    Indexer::new(
        runtime(&guests::chained(), store),
        Arc::new(files),
        options(),
    )
    .run(&Stop::new())
}

#[test]
fn files_that_grow_continue_where_the_last_run_ended() {
    let chain = chain(300, 40);
    let store = Store::in_memory();
    for count in [15, 40] {
        let (_directory, path) = file(
            "a.dat",
            &frames(REGTEST_MAGIC, raw(&chain.blocks()[..count])),
        );
        assert_eq!(
            index(&store, BlockFiles::open(&path, None).unwrap()).unwrap(),
            IndexEnd::Tip
        );
        assert_holds(&store, &chain.blocks()[..count]);
    }
}

#[test]
fn real_blocks_are_read_and_indexed() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let early = BlockFiles::open(&examples.join("mainnet-blocks-1-255.dat.bz2"), None).unwrap();
    assert_eq!((early.first_height(), early.last_height()), (1, 255));
    let hash = early.hash_at(170).unwrap().unwrap();
    assert_eq!(
        hash.to_string(),
        "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee"
    );
    let store = Store::in_memory();
    assert_eq!(index(&store, early).unwrap(), IndexEnd::Tip);
    assert_eq!(store.snapshot().tip().unwrap().height, 255);

    for (name, height, hash) in [
        (
            "block-772904.bin",
            772_904,
            "00000000000000000004b80cb08993286fc7968e623f7aeebee84c493080e744",
        ),
        (
            "block-840243.bin",
            840_243,
            "00000000000000000001811b96f77add3e03f23ace931de6886702f7993067ab",
        ),
    ] {
        let files = BlockFiles::open(&examples.join(name), None).unwrap();
        let store = Store::in_memory();
        index(&store, files).unwrap();
        let tip = *store.snapshot().tip().unwrap();
        assert_eq!(
            (tip.height, tip.hash),
            (height, hash.parse::<BlockHash>().unwrap())
        );
    }
}

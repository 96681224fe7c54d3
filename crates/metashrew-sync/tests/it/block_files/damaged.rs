//! Files with blocks that are cut or damaged, or with none: what is passed over, and what is refused.

use std::fs::File;

use bitcoin::CompactTarget;
use bitcoin::consensus::encode::serialize;
use metashrew_store::{BlockHash, Store};
use metashrew_sync::{BlockFault, BlockFiles, FilesError, IndexError, Node, NodeError};
use metashrew_testing::damage;
use metashrew_testing::frames::{REGTEST_MAGIC, frames};

use super::{assert_has, chain, file, index, raw};
use crate::support::{assert_holds, hash_of};

#[test]
fn a_raw_block_without_its_witnesses_says_so() {
    let chain = chain(1, 3);
    let stripped = damage::stripped(&chain.blocks()[2].bytes).unwrap();
    let (_directory, path) = file("block.bin", &stripped);
    let error = BlockFiles::open(&path, None).unwrap_err();
    let FilesError::BadWitnesses { source, .. } = error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains("rpcserialversion=0"));
}

#[test]
fn a_frame_that_claims_work_and_has_none_does_not_win() {
    let chain = chain(1, 20);
    let tip = chain.tip().unwrap();
    let idle = |bits| {
        let mut block = tip.block();
        block.header.prev_blockhash = chain.blocks()[17].hash;
        block.header.bits = CompactTarget::from_consensus(bits);
        while block.header.target().is_met_by(block.block_hash()) {
            block.header.nonce += 1;
        }
        serialize(&block)
    };
    for bits in [0x1d00_ffff, 0x0b00_ffff, 0x207f_ffff, 0xff7f_ffff, 0] {
        let mut all = raw(chain.blocks());
        let false_tip = idle(bits);
        all.insert(3, false_tip.clone());
        all.push(false_tip.clone());
        let (_directory, path) = file("a.dat", &frames(REGTEST_MAGIC, &all));
        assert_has(&BlockFiles::open(&path, None).unwrap(), chain.blocks());
        // One by itself is refused, too.
        let (_directory, path) = file("block.bin", &false_tip);
        let error = BlockFiles::open(&path, None).unwrap_err();
        assert!(matches!(error, FilesError::NoWork { .. }), "{error}");
    }
}

#[test]
fn a_frame_cut_at_the_end_is_ignored() {
    let chain = chain(100, 5);
    let bytes = frames(REGTEST_MAGIC, raw(chain.blocks()));
    let last = chain.blocks()[4].bytes.len() + 8;
    for kept in [1, 5, 8, 9, 100, last - 1] {
        let (_directory, path) = file("a.dat", &bytes[..bytes.len() - last + kept]);
        assert_has(
            &BlockFiles::open(&path, None).unwrap(),
            &chain.blocks()[..4],
        );
    }
}

#[test]
fn what_is_no_block_file_is_refused() {
    let chain = chain(100, 1);
    let block = &chain.blocks()[0].bytes;
    for bytes in [
        &b"no blocks here, only text that goes on for a while"[..],
        &block[..block.len() - 1],
    ] {
        let (_directory, path) = file("a.bin", bytes);
        let error = BlockFiles::open(&path, None).unwrap_err();
        assert!(
            matches!(&error, FilesError::NotBlocks { path: named } if *named == path),
            "{error}"
        );
    }
    for bytes in [&b""[..], &[0; 500]] {
        let (_directory, path) = file("a.dat", bytes);
        assert!(matches!(
            BlockFiles::open(&path, None).unwrap_err(),
            FilesError::Empty { .. }
        ));
    }
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        BlockFiles::open(directory.path(), None).unwrap_err(),
        FilesError::NoFiles { .. }
    ));
    let missing = directory.path().join("missing.dat");
    assert!(matches!(
        BlockFiles::open(&missing, None).unwrap_err(),
        FilesError::Io { .. }
    ));
}

#[test]
fn a_damaged_block_ends_indexing_with_its_place() {
    let chain = chain(1, 20);
    let mut bytes = frames(REGTEST_MAGIC, raw(chain.blocks()));
    let offset: usize = chain.blocks()[..11]
        .iter()
        .map(|mined| mined.bytes.len() + 8)
        .sum::<usize>()
        + 8;
    // A byte of the last transaction, behind the witnesses: the lock time.
    let end = offset + chain.blocks()[11].bytes.len();
    bytes[end - 1] ^= 1;
    let (_directory, path) = file("blk.dat", &bytes);
    let files = BlockFiles::open(&path, None).unwrap();
    let store = Store::in_memory();
    let error = index(&store, files).unwrap_err();
    let IndexError::Node(NodeError::Damaged { place, source }) = &error else {
        panic!("{error}");
    };
    assert_eq!(*place, format!("`{}` at byte {offset}", path.display()));
    assert_eq!(*source, BlockFault::MerkleRoot);
    assert_holds(&store, &chain.blocks()[..11]);
}

#[test]
fn a_block_that_vanished_is_an_error_of_its_file() {
    let chain = chain(1, 3);
    let (_directory, path) = file("a.dat", &frames(REGTEST_MAGIC, raw(chain.blocks())));
    let files = BlockFiles::open(&path, None).unwrap();
    File::create(&path).unwrap();
    let error = files.block(&hash_of(&chain.blocks()[1])).unwrap_err();
    assert!(
        matches!(error, NodeError::Files(FilesError::Io { .. })),
        "{error}"
    );
    assert!(!error.is_transient());
    let unknown = BlockHash::from_bytes([1; 32]);
    assert!(matches!(files.block(&unknown), Err(NodeError::NoBlock { hash }) if hash == unknown));
}

//! Whatever the chain does not commit to is refused, byte for byte.

use std::path::Path;

use bitcoin::block::Version;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::Hash;
use bitcoin::{Block, Witness};
use metashrew_testing::chain::{Chain, Shape};
use metashrew_testing::damage;
use proptest::prelude::*;

use super::*;

const REGTEST: Rules = Rules::Of(Network::Regtest, Some(3));

fn hash_of(block: &[u8]) -> BlockHash {
    Header::read(block).unwrap().hash
}

fn checked(block: &[u8], rules: Rules) -> Result<(), BlockFault> {
    check(block, &hash_of(block), rules).map(drop)
}

/// A block of regtest with some spends of every kind.
fn block(seed: u64) -> Vec<u8> {
    let mut chain = Chain::new(seed).shape(Shape::Transactions(6));
    chain.mine(3).last().unwrap().bytes.to_vec()
}

fn example(name: &str) -> Vec<u8> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::read(examples.join(name)).unwrap()
}

/// The block with another header, which has its work.
fn mined(mut block: Block, change: impl FnOnce(&mut Block)) -> Block {
    change(&mut block);
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
    while !block.header.target().is_met_by(block.block_hash()) {
        block.header.nonce += 1;
    }
    block
}

/// The block with a proof of another chain's work behind its header.
fn merged(block: &[u8], steps: u8) -> (Vec<u8>, std::ops::Range<usize>) {
    let other = genesis_block(bitcoin::Network::Bitcoin);
    let branch = |steps: u8| {
        let hashes = vec![steps; 32 * usize::from(steps)];
        [&[steps][..], &hashes, &5_i32.to_le_bytes()].concat()
    };
    let proof = [
        serialize(&other.txdata[0]),
        serialize(&other.block_hash()),
        branch(steps),
        branch(steps / 2),
        serialize(&other.header),
    ]
    .concat();
    let (header, transactions) = block.split_at(HEADER_LEN);
    let range = HEADER_LEN..HEADER_LEN + proof.len();
    ([header, &proof, transactions].concat(), range)
}

/// What may happen to one byte.
#[derive(Debug, Clone, Copy)]
enum Change {
    Another(u8),
    Deleted,
    Inserted(u8),
}

fn changed(block: &[u8], place: usize, change: Change) -> Vec<u8> {
    let mut block = block.to_vec();
    match change {
        Change::Another(mask) => block[place] ^= mask,
        Change::Deleted => drop(block.remove(place)),
        Change::Inserted(byte) => block.insert(place, byte),
    }
    block
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..=u8::MAX).prop_map(Change::Another),
        Just(Change::Deleted),
        any::<u8>().prop_map(Change::Inserted),
    ]
}

#[test]
fn a_change_of_any_byte_is_refused() {
    let block = block(1);
    let hash = hash_of(&block);
    assert!(check(&block, &hash, REGTEST).is_ok());
    for place in 0..block.len() {
        for change in [
            Change::Another(1),
            Change::Another(0xff),
            Change::Deleted,
            Change::Inserted(0),
            Change::Inserted(block[place] ^ 1),
        ] {
            let other = changed(&block, place, change);
            for rules in [REGTEST, Rules::Other, Rules::Unknown] {
                let result = check(&other, &hash, rules);
                assert!(result.is_err(), "{change:?} at {place}, {rules:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_random_change_is_refused(
        seed in 0..4_u64, place in any::<prop::sample::Index>(), change in changes(),
    ) {
        let block = block(seed);
        let other = changed(&block, place.index(block.len()), change);
        prop_assert!(check(&other, &hash_of(&block), REGTEST).is_err());
    }

    #[test]
    fn of_a_merged_mined_block_only_the_proof_is_uncovered(
        steps in 0..12_u8, place in any::<prop::sample::Index>(), change in changes(),
    ) {
        let block = deserialize(&block(1)).unwrap();
        let block = mined(block, |block| {
            block.header.version = Version::from_consensus(0x62_0104);
        });
        let (merged, proof) = merged(&serialize(&block), steps);
        prop_assert!(checked(&merged, Rules::Other).is_ok());
        let place = place.index(merged.len());
        let other = changed(&merged, place, change);
        let result = check(&other, &hash_of(&merged), Rules::Other);
        prop_assert!(result.is_err() || proof.contains(&place), "{change:?} at {place}");
    }
}

#[test]
fn real_blocks_pass_and_their_damaged_ones_do_not() {
    for (name, height) in [("block-772904.bin", 772_904), ("block-840243.bin", 840_243)] {
        let block = example(name);
        let main = Rules::Of(Network::Main, Some(height));
        assert_eq!(Rules::alone(Some(Network::Main), &block), main);
        for rules in [
            main,
            Rules::Of(Network::Main, None),
            Rules::Unknown,
            Rules::Other,
        ] {
            assert_eq!(checked(&block, rules), Ok(()));
            let check = |damaged: Option<Vec<u8>>, fault: Option<BlockFault>| {
                let result = checked(&damaged.unwrap(), rules);
                assert!(result.is_err() && fault.is_none_or(|fault| result == Err(fault)));
            };
            check(damage::stripped(&block), Some(BlockFault::Stripped));
            let more = damage::more_coinbase_witness(&block);
            check(more, Some(BlockFault::Witnesses));
            check(damage::long_count(&block), None);
        }
    }
}

#[test]
fn a_block_of_a_coinbase_alone_needs_its_witness_where_segwit_is_active() {
    let block = Chain::new(1).mine(1)[0].bytes.to_vec();
    let stripped = damage::stripped(&block).unwrap();
    let fault = Err(BlockFault::Stripped);
    assert_eq!(
        checked(&stripped, Rules::Of(Network::Regtest, Some(1))),
        fault
    );
    // Elsewhere nothing tells that there was one: all that it commits to is there.
    assert_eq!(checked(&stripped, Rules::Other), Ok(()));
}

/// Checks transactions as at a height of mainnet, whatever their header says.
fn on_main(block: &Block, height: Height) -> Result<(), BlockFault> {
    let segwit = Rules::Of(Network::Main, Some(height)).segwit();
    let bytes = serialize(&block.txdata);
    let transactions = Transactions::read(&mut Wire::new(&bytes)).unwrap();
    let root = block.compute_merkle_root().unwrap().to_byte_array();
    transactions.check(&root, segwit)
}

#[test]
fn before_activation_a_commitment_means_nothing_and_a_witness_is_a_fault() {
    let whole: Block = deserialize(&block(1)).unwrap();
    let stripped: Block = deserialize(&damage::stripped(&block(1)).unwrap()).unwrap();
    assert_eq!(on_main(&whole, 481_824), Ok(()));
    assert_eq!(on_main(&stripped, 481_824), Err(BlockFault::Stripped));
    // Core put commitments into blocks from 0.13.1 on; what they say was not checked.
    assert_eq!(on_main(&stripped, 481_823), Ok(()));
    assert_eq!(on_main(&whole, 481_823), Err(BlockFault::Witnesses));
}

#[test]
fn a_witness_needs_a_commitment_and_the_coinbase_one_element() {
    let whole: Block = deserialize(&block(1)).unwrap();
    let check = |change: &dyn Fn(&mut Block), fault| {
        let mut other = whole.clone();
        change(&mut other);
        assert_eq!(on_main(&other, 500_000), Err(fault));
    };
    let set = |block: &mut Block, elements: &[&[u8]]| {
        block.txdata[0].input[0].witness = Witness::from_slice(elements);
    };
    check(
        &|block| drop(block.txdata[0].output.pop()),
        BlockFault::Witnesses,
    );
    for elements in [
        &[&[0; 31][..]][..],
        &[&[0; 33]],
        &[&[1; 32]],
        &[&[0; 32], &[]],
        &[&[], &[0; 32]],
        &[&[0; 32], &[0; 32]],
        &[],
    ] {
        check(&|block| set(block, elements), BlockFault::Witnesses);
    }
}

#[test]
fn a_proof_of_another_chain_has_no_place_in_a_named_network() {
    let block = deserialize(&block(1)).unwrap();
    let block = mined(block, |block| {
        block.header.version = Version::from_consensus(0x2000_0100);
    });
    let plain = serialize(&block);
    let (merged, _) = merged(&plain, 3);
    assert_eq!(checked(&plain, REGTEST), Ok(()));
    assert_eq!(checked(&merged, Rules::Other), Ok(()));
    assert!(checked(&merged, REGTEST).is_err());
}

#[test]
fn lengths_are_written_in_as_few_bytes_as_can_be_and_empty_witnesses_not_at_all() {
    let block: Block = deserialize(&block(1)).unwrap();
    let bytes = serialize(&block);
    let (hash, coinbase) = (hash_of(&bytes), serialize(&block.txdata[0]));
    let rest = &bytes[HEADER_LEN + 1 + coinbase.len()..];
    let with = |coinbase: &[u8]| {
        let count = &bytes[HEADER_LEN..=HEADER_LEN];
        [&bytes[..HEADER_LEN], count, coinbase, rest].concat()
    };
    assert_eq!(with(&coinbase), bytes);
    // Version, marker, flag, then the number of inputs.
    assert_eq!(coinbase[4..7], [0, 1, 1]);
    let long = [&coinbase[..6], &[0xfd, 1, 0], &coinbase[7..]].concat();
    assert!(check(&with(&long), &hash, Rules::Other).is_err());
    // The witness: one element of 32 bytes, then the lock time.
    let start = coinbase.len() - 4 - 34;
    assert_eq!(coinbase[start..start + 2], [1, 32]);
    for count in [&[0xfd, 1, 0, 32][..], &[1, 0xfd, 32, 0]] {
        let long = [&coinbase[..start], count, &coinbase[start + 2..]].concat();
        assert!(check(&with(&long), &hash, Rules::Other).is_err());
    }
    let empty = [&coinbase[..start], &[0], &coinbase[start + 34..]].concat();
    assert!(matches!(
        check(&with(&empty), &hash, Rules::Other),
        Err(BlockFault::Malformed { .. })
    ));
}

#[test]
fn work_is_asked_for_where_it_can_be_told() {
    let block: Block = deserialize(&block(1)).unwrap();
    let mut idle = block.clone();
    while idle.header.target().is_met_by(idle.block_hash()) {
        idle.header.nonce += 1;
    }
    let idle = serialize(&idle);
    let no_work = Err(BlockFault::NoWork { bits: 0x207f_ffff });
    assert_eq!(checked(&idle, REGTEST), no_work);
    assert_eq!(checked(&idle, Rules::Unknown), no_work);
    assert_eq!(checked(&idle, Rules::Other), Ok(()));
    // Work enough for regtest, not for others.
    let main = checked(&serialize(&block), Rules::Of(Network::Main, Some(3)));
    assert!(
        matches!(main, Err(BlockFault::OtherTarget { .. })),
        "{main:?}"
    );
}

#[test]
fn a_first_transaction_that_is_no_coinbase_is_refused() {
    let block: Block = deserialize(&block(1)).unwrap();
    let block = mined(block, |block| {
        block.txdata.truncate(2);
        block.txdata.remove(0);
        block.txdata[0]
            .input
            .iter_mut()
            .for_each(|input| input.witness.clear());
    });
    assert_eq!(
        checked(&serialize(&block), Rules::Other),
        Err(BlockFault::NoCoinbase)
    );
}

#[test]
fn lengths_beyond_the_bytes_are_malformed() {
    let mut block = vec![0; HEADER_LEN];
    block.extend([0xff; 9]);
    let hash = hash_of(&block);
    let fault = |block: &[u8], at| {
        let fault = BlockFault::Malformed {
            offset: at,
            length: at,
        };
        assert_eq!(check(block, &hash, Rules::Other), Err(fault));
    };
    fault(&block, 89);
    fault(&block[..79], 79);
}

//! Every view at every height, in one memory, against a recount.

use super::*;
use metashrew_test::{Block, Chain, Indexer};

type View = fn(u32, &[u8]) -> Result<Vec<u8>, std::convert::Infallible>;

const HEIGHTS: u32 = 5;

/// All blocks of a chain of five, indexed; and the chain.
fn indexed() -> (Indexer, Chain) {
    let mut chain = Chain::new();
    chain.mine_blocks(HEIGHTS as usize);
    let mut indexer = Indexer::new(index);
    indexer.follow(&chain);
    (indexer, chain)
}

/// What `sum` has to answer, from the state itself.
fn recount(indexer: &Indexer, height: u32, accounts: &[u8]) -> Vec<u8> {
    let state = indexer.state(height);
    let balance = |number: &u8| state[&vec![b'a', b'/', number % 64]].clone();
    let sum = accounts.iter().fold(0u64, |sum, number| {
        sum.wrapping_add(u64::from_le_bytes(balance(number).try_into().unwrap()))
    });
    [&state[&b"tip"[..]][..], &sum.to_le_bytes()].concat()
}

#[test]
fn every_answer_is_that_of_its_height() {
    let (mut indexer, mut chain) = indexed();
    let all: Vec<u8> = (0..64).collect();
    for depth in [0, 2, 4] {
        chain.reorg(depth);
        chain.mine_blocks(depth);
        indexer.follow(&chain);
        let heights = [5, 1, 5, 3, 2, 1, 4, 5, 5];
        for sum in [sum as View, cached] {
            let questions = heights.map(|height| (height, vec![]));
            let answers = indexer.check(questions, sum);
            for (height, answer) in heights.into_iter().zip(answers) {
                assert_eq!(answer, Ok(recount(&indexer, height, &all)));
                let some = [7, 7, 255];
                let answer = indexer.view(height, some, sum);
                assert_eq!(answer, recount(&indexer, height, &some));
            }
        }
        for height in heights {
            let tip = &indexer.state(height)[&b"tip"[..]];
            assert_eq!(indexer.view(height, b"tip", get), *tip);
            assert_eq!(tip[4..], chain.at(height).unwrap().hash);
            assert_eq!(indexer.view(height, b"nothing", get), b"");
        }
    }
}

#[test]
fn a_second_call_asks_the_host_for_nothing() {
    let (indexer, _) = indexed();
    let misses = || {
        let stats = indexer.view(3, b"", stats);
        u64::from_le_bytes(stats[8..16].try_into().unwrap())
    };
    let before = misses();
    indexer.view(3, b"", sum);
    assert_eq!(misses(), before + 65);
    indexer.view(2, b"", sum);
    assert_eq!(misses(), before + 130);
    for height in [3, 2, 3] {
        indexer.view(height, b"", sum);
        indexer.view(height, b"tip", get);
    }
    assert_eq!(misses(), before + 130);
}

#[test]
fn a_short_block_is_hashed_whole() {
    let mut indexer = Indexer::new(index);
    indexer.index(&Block {
        height: 0,
        hash: [0; 32],
        bytes: b"short".to_vec(),
    });
    assert_eq!(indexer.view(0, b"tip", get).len(), 36);
}

//! The guest, run natively over chains made to order.

use crate::views::{Balance, Page, Question, Script, balance, outputs};
use metashrew_test::{Chain, Indexer, Lock};

/// Ann gets 1,000 in block 2 and 500 in block 3, and pays Bob 300 in block 4.
fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.mine(); // Its coinbase pays a purse, from which `pay` takes.
    chain.pay(ann(), 1_000);
    chain.mine();
    chain.pay(ann(), 500);
    chain.mine();
    chain.send(&ann(), bob(), 300);
    chain.mine();
    chain
}

fn ann() -> Lock {
    Lock::p2wpkh("ann")
}

fn bob() -> Lock {
    Lock::p2wpkh("bob")
}

/// The guest after all blocks of a chain.
fn indexed(chain: &Chain) -> Indexer {
    let mut indexer = Indexer::exported(|| crate::index::__start_index());
    indexer.follow(chain);
    indexer
}

fn has(indexer: &Indexer, who: &Lock, height: u32) -> u64 {
    let script = who.script().to_vec();
    let asked = || balance(height, &Script { script }).unwrap();
    let Balance {
        height: of,
        satoshi,
    } = indexer.at(height, asked);
    assert_eq!(of, height);
    satoshi
}

fn page(indexer: &Indexer, limit: usize, after: Option<String>) -> Result<Page, String> {
    let question = Question {
        script: ann().script().to_vec(),
        limit,
        after,
    };
    let asked = || outputs(3, &question).map_err(|error| error.to_string());
    indexer.at(3, asked)
}

#[test]
fn balances_follow_the_chain_and_are_kept_at_every_height() {
    let indexer = indexed(&chain());
    let of_ann = [1, 2, 3, 4].map(|height| has(&indexer, &ann(), height));
    assert_eq!(of_ann, [0, 1_000, 1_500, 1_200]);
    let of_bob = [3, 4].map(|height| has(&indexer, &bob(), height));
    assert_eq!(of_bob, [0, 300]);
}

#[test]
fn outputs_come_in_pages() {
    let indexer = indexed(&chain());
    let first = page(&indexer, 1, None).unwrap();
    let second = page(&indexer, 1, first.next.clone()).unwrap();
    let mut values = [&first, &second].map(|page| page.outputs[0].value);
    values.sort_unstable();
    assert_eq!(values, [500, 1_000]);
    assert_eq!(second.next, None);
}

#[test]
fn a_question_that_cannot_be_answered_is_an_error() {
    let indexer = indexed(&chain());
    let error = page(&indexer, 0, None).unwrap_err();
    assert_eq!(error, "limit is 0, and may be 1 to 1000");
    assert!(page(&indexer, 1, Some("6x".to_owned())).is_err());
}

#[test]
fn a_reorg_takes_payments_back() {
    let mut chain = chain();
    let mut indexer = indexed(&chain);
    chain.reorg(1);
    chain.mine();
    indexer.follow(&chain);
    assert_eq!(has(&indexer, &ann(), 4), 1_500);
    assert_eq!(has(&indexer, &bob(), 4), 0);
}

/// Writes the chain for `metashrew start --blocks` and `metashrew dev`.
#[test]
fn demo() {
    chain().write("demo.dat").unwrap();
}

//! Counts the transactions of each block: the guest that `docs/writing-guests.md` shows.

use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;
use metashrew_support::raw::{Block, ParseError};

fn index(height: u32, block: &[u8]) -> Result<(), ParseError> {
    let count = Block::parse(block)?.transactions().len();
    IndexPointer::from_keyword("/transactions/")
        .select_value(height)
        .set_value(count as u64);
    Ok(())
}

fn transactions(height: u32, _input: &[u8]) -> Result<Vec<u8>, std::convert::Infallible> {
    let count = IndexPointer::from_keyword("/transactions/").select_value(height);
    Ok(count.get_value::<u64>().to_string().into_bytes())
}

metashrew_core::export! {
    start: index,
    views: { transactions: "nothing" => "how many transactions the block has, decimal" },
}

#[test]
fn a_block_is_counted() {
    use metashrew_core::test_utils::{index_block, view};
    let block = std::fs::read("block-772904.bin").unwrap();
    index_block(772_904, &block, index);
    assert_eq!(view(772_904, b"", transactions), b"874");
}

//! Indexes a block.

use crate::fees::Fees;
use crate::keys;
use crate::record::Record;
use guest_wire::Hash;
use metashrew_core::host;
use metashrew_support::raw::{Block, ParseError};

/// Indexes a block and flushes what it writes.
pub(crate) fn index(height: u32, block: &[u8]) -> Result<(), ParseError> {
    let block = Block::parse(block)?;
    let (fees, mut writes) = Fees::of(&block);
    let record = Record {
        height,
        hash: Hash(block.hash()),
        previous: Hash(block.previous()),
        time: block.time(),
        txs: count(block.transactions().len()),
        size: count(block.bytes().len()),
        weight: count(block.weight()),
        fees,
    };
    let be = height.to_be_bytes().to_vec();
    writes.push((keys::block(height), record.encode()));
    writes.push((keys::height(&record.hash.0), be.clone()));
    if host::read(keys::FIRST).is_empty() {
        writes.push((keys::FIRST.to_vec(), be));
    }
    host::flush(writes.iter().map(|(key, value)| (key, value)));
    Ok(())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a block has at most four million bytes")
}

//! Makes of a block bytes that are no longer the chain's, although its header
//! and its transactions are: what a node that strips blocks or lies hands out.

use bitcoin::Block;
use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, deserialize_partial, serialize};

/// The block without its witnesses, as a node of Core before 28 hands it out with
/// `rpcserialversion=0`. None if the bytes are no block.
pub fn stripped(block: &[u8]) -> Option<Vec<u8>> {
    let mut block: Block = deserialize(block).ok()?;
    for transaction in &mut block.txdata {
        for input in &mut transaction.input {
            input.witness.clear();
        }
    }
    Some(serialize(&block))
}

/// The block with another element in its coinbase's witness. None if the bytes are
/// no block.
pub fn more_coinbase_witness(block: &[u8]) -> Option<Vec<u8>> {
    let mut block: Block = deserialize(block).ok()?;
    let coinbase = block.txdata.first_mut()?;
    coinbase.input.first_mut()?.witness.push([1, 2, 3]);
    Some(serialize(&block))
}

/// The block with its number of transactions written in five bytes. None if the
/// bytes are no block.
pub fn long_count(bytes: &[u8]) -> Option<Vec<u8>> {
    let block: Block = deserialize(bytes).ok()?;
    let (_, header_len) = deserialize_partial::<Header>(bytes).ok()?;
    let (header, rest) = bytes.split_at_checked(header_len)?;
    let count = u32::try_from(block.txdata.len()).ok()?;
    let written = match rest.first()? {
        0xfd => 3,
        0xfe => 5,
        _ => 1,
    };
    let rest = rest.get(written..)?;
    Some([header, &[0xfe], &count.to_le_bytes(), rest].concat())
}

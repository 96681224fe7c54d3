//! Transactions of each block, counted; asked for in every form that a view may have.

mod views;

use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;
use metashrew_support::raw::Block;

metashrew_core::memory!(by_height);

/// Counts the transactions of each block.
///
/// The genesis block has one.
#[metashrew_core::main]
fn index(height: u32, block: &Block<'_>) -> Result<(), String> {
    match block.transactions().len() {
        0 => Err("it has no transactions".to_owned()),
        count => {
            at(height).set_value(count as u64);
            Ok(())
        }
    }
}

/// Where a block's count is.
fn at(height: u32) -> IndexPointer {
    IndexPointer::from_keyword("/transactions/").select_value(height)
}

#[cfg(test)]
mod tests;

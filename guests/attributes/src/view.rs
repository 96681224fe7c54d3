//! A module with a view of its own.

use crate::proto::{BlockRequest, BlockResponse};
use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;
use std::error::Error;

pub fn block(request: &BlockRequest) -> Result<BlockResponse, String> {
    let pointer = IndexPointer::from_keyword(format!("/blocks/{}", request.height).as_str());
    let block = pointer.get().as_ref().clone();
    if block.is_empty() {
        return Err(format!("no block {}", request.height));
    }
    Ok(BlockResponse { block })
}

#[metashrew_core::view]
pub fn blocklength(input: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let height = u32::from_le_bytes(input.try_into()?);
    let block = block(&BlockRequest { height })?.block;
    Ok((block.len() as u32).to_le_bytes().to_vec())
}

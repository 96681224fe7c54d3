// A guest that keeps the height of the newest block, for examples in docs.

use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;

pub fn index(height: u32, block: &[u8]) -> Result<(), String> {
    metashrew_support::raw::Block::parse(block).map_err(|error| error.to_string())?;
    IndexPointer::from_keyword("/tip").set_value(height);
    Ok(())
}

pub fn tip(_height: u32, input: &[u8]) -> Result<Vec<u8>, String> {
    if !input.is_empty() {
        return Err("it takes nothing".to_owned());
    }
    Ok(IndexPointer::from_keyword("/tip").get().to_vec())
}

//! Views, exported by hand.

use crate::message::{WalletRequest, WalletResponse};
use crate::tables::*;
use anyhow::Result;
use metashrew_support::byte_view::ByteView;
use metashrew_support::index_pointer::KeyValuePointer;
use metashrew_support::utils::{consume_sized_int, consume_to_end};
use prost::Message;
use std::io::Cursor;

/// What a script owns; the input is the height and the request.
pub fn wallet(input: Vec<u8>) -> Result<Vec<u8>> {
    let mut data = Cursor::new(input);
    let _height = consume_sized_int::<u32>(&mut data)?;
    let request = WalletRequest::decode(consume_to_end(&mut data)?.as_slice())?;
    let list = OUTPOINTS_OF_SCRIPT.select(&request.script);
    // Deleted items may still be linked; they are a zero byte.
    let mut outpoints = list.map_ll(|item, _| item.get().as_ref().clone());
    outpoints.retain(|outpoint| outpoint.len() == 36);
    let balance = BALANCE_OF_SCRIPT.select(&request.script);
    let response = WalletResponse {
        outpoints,
        balance: balance.get_value::<u128>().to_bytes(),
    };
    Ok(response.encode_to_vec())
}

#[cfg(target_arch = "wasm32")]
mod exports {
    use super::*;
    use metashrew_core::input;
    use metashrew_support::compat::{export_bytes, to_arraybuffer_layout, to_passback_ptr};

    #[no_mangle]
    pub extern "C" fn wallet() -> i32 {
        export_bytes(super::wallet(input()).unwrap())
    }

    /// The summary of the block at the view's height, by a pointer of the guest's own.
    #[no_mangle]
    pub fn summary() -> i32 {
        let height = consume_sized_int::<u32>(&mut Cursor::new(input())).unwrap();
        let answer = SUMMARIES.select_value(height).get();
        let buffer: &'static mut Vec<u8> =
            Box::leak(Box::new(to_arraybuffer_layout(answer.as_ref())));
        to_passback_ptr(buffer)
    }
}

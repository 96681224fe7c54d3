//! Keeps blocks, and answers by protobuf of an earlier prost.

pub mod view;

use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;
use prost::Message;
use std::sync::Arc;

pub mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BlockRequest {
        #[prost(uint32, tag = "1")]
        pub height: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BlockResponse {
        #[prost(bytes = "vec", tag = "1")]
        pub block: Vec<u8>,
    }
}

#[metashrew_core::main]
pub fn main(height: u32, block: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    if block.len() < 80 {
        return Err("a block has a header".into());
    }
    let mut pointer = IndexPointer::from_keyword(format!("/blocks/{}", height).as_str());
    pointer.set(Arc::new(block.to_vec()));
    Ok(())
}

#[metashrew_core::view]
pub fn getblock(input: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let request = proto::BlockRequest::decode(input)?;
    Ok(view::block(&request)?.encode_to_vec())
}

/// The same, by its types.
#[metashrew_core::view(prost)]
pub fn typedblock(request: proto::BlockRequest) -> Result<proto::BlockResponse, String> {
    view::block(&request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use metashrew_core::test_utils::{index_export, view_export};

    #[test]
    fn old_and_new_forms_answer_alike() {
        let block = vec![7; 81];
        index_export(3, &block, || __start_main());
        let request = proto::BlockRequest { height: 3 }.encode_to_vec();
        let direct = __getblock(&request).unwrap();
        assert_eq!(
            proto::BlockResponse::decode(direct.as_slice()).unwrap(),
            proto::BlockResponse { block }
        );
        assert_eq!(view_export(3, &request, || __view_getblock()), direct);
        assert_eq!(view_export(3, &request, || __view_typedblock()), direct);
        assert!(main(4, b"short").is_err());
    }
}

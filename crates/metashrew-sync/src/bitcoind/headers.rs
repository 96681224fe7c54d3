//! Headers by RPC, and what to do for a node that hands out none.

use metashrew_store::Height;
use serde_json::json;

use super::method::Method;
use super::{CoreNode, MAX_BATCH};
use crate::block::HEADER_LEN;
use crate::node::NodeError;

impl CoreNode {
    /// Headers from a height on, by RPC; fewer at the tip's end.
    pub(super) fn headers_by_rpc(
        &self,
        from: Height,
        count: usize,
    ) -> Result<Vec<[u8; HEADER_LEN]>, NodeError> {
        let hashes = self.hashes_by_rpc(from, count.min(MAX_BATCH))?;
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        let params: Vec<_> = hashes
            .iter()
            .map(|hash| json!([hash.to_string(), false]))
            .collect();
        let answers = match self.rpc.batch::<String>(Method::BlockHeader, &params) {
            Err(fault) if fault.is_of_method() => vec![Err(fault)],
            result => self.noting(result)?,
        };
        let mut answers = answers.into_iter();
        let mut headers = Vec::with_capacity(hashes.len());
        for hash in hashes {
            // A merged-mined block's proof may follow.
            let header = match answers.next() {
                Some(Ok(hex)) => hex::decode(hex).unwrap_or_default(),
                // The chain has changed meanwhile.
                Some(Err(fault)) if fault.is_not_found() => break,
                Some(Err(fault)) if !fault.is_of_method() => return self.noting(Err(fault)),
                // The node has no such method, or another of that name, or forbids it. A
                // block begins with its header.
                refused => {
                    let block = self.block_by_rpc(&hash)?;
                    if let Some(Err(refused)) = refused {
                        let address = self.rpc.http().address();
                        self.rpc.dialect().has_no_headers(&refused, address);
                    }
                    block.to_vec()
                }
            };
            let header = header.first_chunk().copied();
            headers.push(header.ok_or_else(|| NodeError::BadAnswer {
                what: format!("what came for the header of block {hash} is none"),
            })?);
        }
        Ok(headers)
    }
}

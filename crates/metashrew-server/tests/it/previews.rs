//! Previews of raw transactions: a block is built around them.

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash;
use metashrew_runtime::{BlockFrame, assemble_block};
use metashrew_store::BlockHash;
use serde_json::json;

use crate::harness::{FIRST, Served, header_key};

/// Transactions that no block holds yet.
fn transactions(served: &mut Served) -> Vec<Vec<u8>> {
    let next = served.chain.mine(1).to_vec().remove(0).block();
    next.txdata.iter().skip(1).map(serialize).collect()
}

fn as_hex(transactions: &[Vec<u8>]) -> Vec<String> {
    transactions.iter().map(hex::encode).collect()
}

#[test]
fn a_block_is_built_around_transactions() {
    let mut served = Served::new();
    let transactions = transactions(&mut served);
    assert!(transactions.len() > 1);
    for height in [FIRST + 1, FIRST + 4] {
        let key = header_key(height + 1);
        let params = json!([as_hex(&transactions), "get", key, height]);
        let answer = served.result("metashrew_preview", &params);
        let raw = hex::decode(answer.as_str().unwrap()).unwrap();
        let header: Header = deserialize(&raw).unwrap();
        let parent = served.chain.at(height).unwrap().hash;
        assert_eq!(header.prev_blockhash, parent);
        let parent = BlockHash::from_bytes(parent.to_byte_array());
        let frame = BlockFrame::new(parent, height + 1, header.time);
        let block = assemble_block(&frame, &transactions).unwrap();
        assert_eq!(raw, block[..80]);
    }
    // Nothing is kept.
    let key = header_key(FIRST + 5);
    assert_eq!(served.result("metashrew_view", &json!(["get", key])), "0x");
    // A block of nothing but its coinbase is one too.
    let params = json!([[], "height"]);
    let height = hex::encode_prefixed((FIRST + 5).to_le_bytes());
    assert_eq!(served.result("metashrew_preview", &params), height);
}

#[test]
fn what_is_no_transaction_is_named() {
    let mut served = Served::new();
    let transactions = as_hex(&transactions(&mut served));
    let good = &transactions[0];
    let coinbase = serialize(&served.chain.tip().unwrap().block().txdata[0]);
    let coinbase = hex::encode_prefixed(coinbase);
    for (given, parameter, message) in [
        (json!([good, "zz"]), "raw_block[1]", "it must be hex"),
        (json!([7]), "raw_block[0]", "it must be a text"),
        (
            json!([good, "00"]),
            "raw_block[1]",
            "transaction 1 cannot be decoded: ",
        ),
        (
            json!([coinbase]),
            "raw_block[0]",
            "transaction 0 is a coinbase",
        ),
        (
            json!([good, good]),
            "raw_block[1]",
            "transaction 1 is there twice",
        ),
        (json!({}), "raw_block", "it must be"),
    ] {
        let error = served.error("metashrew_preview", &json!([given, "echo"]));
        assert_eq!(error["code"], -32602, "{given}");
        assert_eq!(error["data"]["parameter"], parameter, "{given}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(message), "{text}");
    }
    let error = served.error("metashrew_preview", &json!([[good], "echo", "", FIRST + 9]));
    assert_eq!(error["code"], -32001);
}

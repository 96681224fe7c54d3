//! The block name `pending`.

use metashrew_runtime::PendingBlock;
use serde_json::json;

use crate::harness::{Served, block_ref, header, header_key};

#[test]
fn views_answer_as_if_the_pending_block_were_confirmed() {
    let mut served = Served::new();
    let tip = served.tip();
    let next = served.chain.mine(1).to_vec().remove(0);
    let key = header_key(next.height);
    let view = json!(["get", key, "pending"]);
    let calls = json!([[["get", key], ["height"]], "pending", { "anchor": true }]);
    let no_pending = |served: &Served| {
        for (method, params) in [("metashrew_view", &view), ("metashrew_multicall", &calls)] {
            let error = served.error(method, params);
            assert_eq!(error["code"], -32014, "{method}");
            assert_eq!(error["data"], json!({ "kind": "no_pending" }));
        }
    };
    no_pending(&served);

    let pending = PendingBlock {
        parent: block_ref(&next).parent,
        block: next.bytes.to_vec().into(),
    };
    served.runtime.set_pending(Some(pending)).unwrap();
    assert_eq!(served.result("metashrew_view", &view), header(&next));
    let answer = served.result("metashrew_multicall", &calls);
    assert_eq!(answer["results"][0]["result"], header(&next));
    let height = hex::encode_prefixed(next.height.to_le_bytes());
    assert_eq!(answer["results"][1]["result"], height);
    assert_eq!(answer["pending"], true);
    assert_eq!(answer["height"], tip.height);
    let anchored = json!(["height", "", "pending", { "anchor": true }]);
    let answer = served.result("metashrew_view", &anchored);
    assert_eq!(answer["result"], height);
    assert_eq!(answer["pending"], true);
    assert_eq!(answer["blockHash"], format!("0x{}", tip.hash));
    // The chain itself has no such block.
    assert_eq!(served.result("metashrew_view", &json!(["get", key])), "0x");

    // Once another block is on the tip, what was pending stands on none.
    served.commit(&next);
    no_pending(&served);
    assert_eq!(
        served.result("metashrew_view", &json!(["get", key])),
        header(&next)
    );
}

#[test]
fn only_views_and_multicalls_know_it() {
    let served = Served::new();
    for (method, params) in [
        ("metashrew_preview", json!(["00", "echo", "", "pending"])),
        ("metashrew_getblockhash", json!(["pending"])),
        ("metashrew_stateroot", json!(["pending"])),
    ] {
        let error = served.error(method, &params);
        assert_eq!(error["code"], -32602, "{method}");
        assert_eq!(error["data"]["parameter"], "block", "{method}");
    }
}

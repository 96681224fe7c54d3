//! `metashrew_snapshot`: what is indexed, in one consistent answer.

use metashrew_runtime::Chain;
use metashrew_store::BlockRecord;
use serde::Serialize;

use super::Context;
use crate::answer::Answer;
use crate::guests::StateGuest;
use crate::wire;

/// `enabled`, `current_height` and `indexed_height` are named and meant as
/// existing hosts do; nothing is `null` but what an empty index lacks.
#[derive(Serialize)]
struct Answered {
    enabled: bool,
    /// The height that is indexed next.
    current_height: Option<u64>,
    /// The height of the last committed block.
    indexed_height: Option<u32>,
    /// The lowest height held.
    first_height: Option<u32>,
    block_hash: Option<String>,
    history_root: Option<String>,
    guest_sha256: String,
    /// The guests that wrote the state; left out where nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guests: Vec<StateGuest>,
}

pub(super) fn answer(context: &Context, batch: Option<&Chain>) -> Answer {
    let chain = context.chain(batch);
    let tip = chain.tip();
    let of_tip = |text: fn(&BlockRecord) -> String| tip.map(text);
    Answer::json(&Answered {
        enabled: true,
        current_height: tip.map(|tip| u64::from(tip.height) + 1),
        indexed_height: tip.map(|tip| tip.height),
        first_height: chain.snapshot().first(),
        block_hash: of_tip(|tip| wire::block_hash(&tip.hash)),
        history_root: of_tip(|tip| wire::history_root(&tip.history_root)),
        guest_sha256: hex::encode_prefixed(chain.guest_sha256()),
        guests: StateGuest::all(tip.map_or_else(Vec::new, |tip| {
            context.runtime.store().guests_at(tip.height)
        })),
    })
}

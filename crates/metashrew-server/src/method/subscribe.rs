//! `metashrew_subscribe` and `metashrew_unsubscribe`: what a WebSocket is told from now on.

use serde_json::json;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::fault::{self, RpcError};
use crate::feed::Subscribe;
use crate::params::Arguments;
use crate::push::Subscribing;

pub(super) const BEGIN: &str = "metashrew_subscribe";
pub(super) const END: &str = "metashrew_unsubscribe";
/// Both methods.
pub(super) const NAMES: [&str; 2] = [BEGIN, END];

/// What the caller is told beside answers, which only some can be.
pub(super) fn subscribing(caller: &Caller) -> Result<&Subscribing, RpcError> {
    let subscribing = caller.subscribing.as_deref();
    subscribing.ok_or_else(fault::not_pushable)
}

/// The id of the subscription, which the client has in an event's `subscription`.
pub(super) async fn begin(wanted: Subscribe, caller: &Caller) -> Result<Answer, RpcError> {
    let id = subscribing(caller)?.subscribe(wanted).await?;
    Ok(Answer::json(&id))
}

/// The id that a call gives.
pub(super) fn read_id(params: Option<&str>) -> Result<String, RpcError> {
    let arguments = Arguments::read(params, ["subscription"])?;
    Ok(arguments.text("subscription")?.into_owned())
}

/// Whether there was such a subscription.
pub(super) fn end(id: &str, caller: &Caller) -> Result<Answer, RpcError> {
    let ended = subscribing(caller)?.unsubscribe(id);
    Ok(Answer::json(&json!(ended)))
}

//! `rpc.discover`: all methods, as OpenRPC has them.

use super::Context;
use crate::answer::Answer;

pub(super) fn answer(context: &Context) -> Answer {
    Answer::written(context.discovery.openrpc())
}

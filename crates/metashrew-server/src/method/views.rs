//! `metashrew_views`: which views the guest has, and what it tells of them.

use super::Context;
use crate::answer::Answer;

pub(super) fn answer(context: &Context) -> Answer {
    Answer::written(context.discovery.views())
}

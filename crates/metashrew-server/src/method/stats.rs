//! `metashrew_stats`: what the server has counted, and what it does now.

use super::Context;
use crate::answer::Answer;
use crate::facts::Stats;

pub(super) fn answer(context: &Context) -> Answer {
    Answer::json(&Stats::of(&context.telemetry.read()))
}

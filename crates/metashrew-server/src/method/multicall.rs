//! `metashrew_multicall`: many views' answers, all at one block of one moment.

use std::sync::Arc;

use metashrew_runtime::{CallContext, Chain, ViewAnswer, ViewAt, ViewCall};
use serde::Serialize;
use serde_json::value::RawValue;

use super::anchor::{Anchor, Session};
use super::options::{CallOptions, OF_ENTRY, OF_VIEW};
use super::{Context, look_up};
use crate::answer::Answer;
use crate::budget::Lease;
use crate::fault::{self, RpcError};
use crate::params::{Arguments, invalid};
use crate::{listed, parallel};

/// The parameter that holds the calls.
const CALLS: &str = "calls";

/// The parts of one call.
const NAMES: [&str; 3] = ["function", "input", "options"];

pub(super) struct Params {
    calls: Vec<Call>,
    at: ViewAt,
    options: CallOptions,
}

impl Params {
    /// There may be `max` calls.
    pub(super) fn read(params: Option<&str>, max: usize) -> Result<Self, RpcError> {
        let arguments = Arguments::read(params, [CALLS, "block", "options"])?;
        let options = CallOptions::default().updated(&arguments, "options", OF_VIEW)?;
        Ok(Self {
            calls: read_calls(arguments.needed(CALLS)?, &options, max)?,
            at: arguments.view_at("block")?,
            options,
        })
    }

    pub(super) async fn answer(
        self,
        context: &Arc<Context>,
        batch: Option<&Chain>,
        lease: &Arc<Lease>,
    ) -> Result<Answer, RpcError> {
        // If the block cannot be answered for, no call could be.
        let stands_on = look_up(&context.chain(batch), self.at, self.options.timeout).await;
        let stands_on = Arc::new(stands_on.map_err(|error| fault::of_view(&error))?);
        let anchor = (self.options.anchor).then(|| Anchor::of_context(&stands_on, context));
        let bounds = context.bounds;
        let context = Arc::clone(context);
        let outcomes = parallel::run(self.calls, bounds, lease, move |call| {
            let (context, stands_on) = (Arc::clone(&context), Arc::clone(&stands_on));
            async move {
                let outcome = call.answer(&context, &stands_on).await;
                let size = outcome.size();
                (outcome, size)
            }
        });
        let stopped = |stopped| fault::of_stopped(stopped, bounds.max_length);
        let outcomes = outcomes.await.map_err(stopped)?.into_iter();
        let panicked = || failed(&RpcError::INTERNAL);
        let outcomes = Answer::array(outcomes.map(|outcome| outcome.unwrap_or_else(panicked)));
        let answer = match anchor {
            None => outcomes,
            Some(anchor) => {
                let mut envelope = Answer::text("{\"results\":");
                envelope.append(outcomes);
                envelope.push_members(&anchor);
                envelope
            }
        };
        if answer.len() > bounds.max_length {
            return Err(fault::batch_answer_too_long(bounds.max_length));
        }
        Ok(answer)
    }
}

/// One of the calls.
struct Call {
    function: String,
    input: Vec<u8>,
    options: CallOptions,
}

impl Call {
    fn read(arguments: &Arguments<'_, 3>, options: &CallOptions) -> Result<Self, RpcError> {
        Ok(Self {
            function: arguments.text("function")?.into_owned(),
            input: arguments.input("input")?,
            options: options.clone().updated(arguments, "options", OF_ENTRY)?,
        })
    }

    async fn answer(self, context: &Context, stands_on: &CallContext) -> Answer {
        let call = ViewCall {
            at: stands_on.into(),
            route: self.options.route(),
            timeout: self.options.timeout,
            ..ViewCall::new(&self.function, &self.input)
        };
        match context.runtime.call(call).await {
            Ok(answer) => {
                let answered = answered(answer, &self.options, context).await;
                answered.unwrap_or_else(|error| failed(&error))
            }
            Err(error) => failed(&fault::of_view(&error)),
        }
    }
}

/// `[[function, input, options], …]`, where each call may be an object too, or
/// `[function, input, function, input, …]`.
fn read_calls(value: &RawValue, options: &CallOptions, max: usize) -> Result<Vec<Call>, RpcError> {
    let wrong = |reason: &str| invalid(Some(CALLS), reason);
    let within = |index: usize| format!("{CALLS}[{index}]");
    let mut calls = Vec::new();
    let mut failure = None;
    let mut flat = None;
    let mut function = None;
    let count = listed::each(value.get(), |value| {
        let is_flat = *flat.get_or_insert(value.get().starts_with('"'));
        let index = calls.len();
        let arguments = match function.take() {
            None if is_flat => {
                function = Some(value);
                return true;
            }
            None => Arguments::nested(value, NAMES, within(index)),
            function => Ok(Arguments::of(
                [function, Some(value), None],
                NAMES,
                within(index),
            )),
        };
        match arguments.and_then(|arguments| Call::read(&arguments, options)) {
            Ok(call) => calls.push(call),
            Err(error) => failure = Some(error),
        }
        failure.is_none() && calls.len() < max
    });
    let count = count.map_err(|_| wrong("it must be an array of calls"))?;
    let is_flat = flat == Some(true);
    if is_flat && count % 2 == 1 {
        return Err(wrong("the last function has no input"));
    }
    let count = if is_flat { count / 2 } else { count };
    if count > max {
        return Err(fault::batch_too_long("multicall", count, max));
    }
    failure.map_or(Ok(calls), Err)
}

/// What stands for a call that was answered.
async fn answered(
    answer: ViewAnswer,
    options: &CallOptions,
    context: &Context,
) -> Result<Answer, RpcError> {
    #[derive(Serialize)]
    struct Members {
        session: Session,
    }
    let session = Session::of(&answer, options);
    let result = options.form.result(answer.bytes, &context.offload).await?;
    let mut outcome = Answer::text("{\"result\":");
    outcome.append(result);
    match session {
        Some(session) => outcome.push_members(&Members { session }),
        None => outcome.push("}"),
    }
    Ok(outcome)
}

/// What stands for a call that failed.
fn failed(error: &RpcError) -> Answer {
    #[derive(Serialize)]
    struct Members<'a> {
        error: &'a RpcError,
    }
    Answer::json(&Members { error })
}

//! `metashrew_multicall`: many views' answers, all at one block of one moment.

use std::sync::Arc;

use http::Extensions;
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Params};
use metashrew_runtime::{CallContext, ViewCall};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Context;
use super::anchor::{Anchor, Session};
use super::options::{CallOptions, OF_ENTRY, OF_VIEW};
use crate::params::{Arguments, invalid};
use crate::{fault, parallel};

/// The parameter that holds the calls.
const CALLS: &str = "calls";

/// The parts of one call.
const NAMES: [&str; 3] = ["function", "input", "options"];

pub(super) async fn call(
    params: &Params<'_>,
    context: &Arc<Context>,
    extensions: &Extensions,
) -> Result<Answer, ErrorObjectOwned> {
    let (calls, at, options) = {
        let arguments = Arguments::read(params, [CALLS, "block", "options"])?;
        let options = CallOptions::default().updated(&arguments, "options", OF_VIEW)?;
        (
            read_calls(arguments.needed(CALLS)?, &options, context.max_batch)?,
            arguments.view_at("block")?,
            options,
        )
    };
    // If the block cannot be answered for, no call could be.
    let stands_on = context.chain(extensions).at(at).await;
    let stands_on = Arc::new(stands_on.map_err(|error| fault::of_view(&error))?);
    let anchor = options
        .anchor
        .then(|| Anchor::of_context(&stands_on, context));
    let bounds = context.bounds;
    let context = Arc::clone(context);
    let results = parallel::run(calls, bounds, move |call| {
        let (context, stands_on) = (Arc::clone(&context), Arc::clone(&stands_on));
        async move {
            let result = call.answer(&context, &stands_on).await;
            let length = result.length();
            (result, length)
        }
    });
    let results: Vec<_> = results
        .await
        .map_err(|parallel::TooLong| fault::batch_answer_too_long(bounds.max_length))?
        .into_iter()
        .map(|result| result.unwrap_or_else(Outcome::panicked))
        .collect();
    Ok(match anchor {
        None => Answer::Plain(results),
        Some(anchor) => Answer::Anchored(Box::new(Envelope { results, anchor })),
    })
}

/// One of the calls.
struct Call {
    function: String,
    input: Vec<u8>,
    options: CallOptions,
}

impl Call {
    fn read(arguments: &Arguments<'_, 3>, options: &CallOptions) -> Result<Self, ErrorObjectOwned> {
        Ok(Self {
            function: arguments.text("function")?.into_owned(),
            input: arguments.hex_or_empty("input")?,
            options: options.clone().updated(arguments, "options", OF_ENTRY)?,
        })
    }

    async fn answer(self, context: &Context, stands_on: &CallContext) -> Outcome {
        let call = ViewCall {
            at: stands_on.into(),
            route: self.options.route(),
            timeout: self.options.timeout,
            ..ViewCall::new(&self.function, &self.input)
        };
        match context.runtime.call(call).await {
            Ok(answer) => Outcome::Answered {
                result: hex::encode_prefixed(&answer.bytes),
                session: Session::of(&answer, &self.options),
            },
            Err(error) => Outcome::Failed {
                error: fault::of_view(&error),
            },
        }
    }
}

/// `[[function, input, options], …]`, where each call may be an object too, or
/// `[function, input, function, input, …]`.
fn read_calls(
    value: &RawValue,
    options: &CallOptions,
    max: usize,
) -> Result<Vec<Call>, ErrorObjectOwned> {
    let wrong = |reason: &str| invalid(Some(CALLS), reason);
    let listed: Vec<&RawValue> =
        serde_json::from_str(value.get()).map_err(|_| wrong("it must be an array of calls"))?;
    let flat = listed
        .first()
        .is_some_and(|first| first.get().starts_with('"'));
    if flat && listed.len() % 2 == 1 {
        return Err(wrong("the last function has no input"));
    }
    let count = if flat { listed.len() / 2 } else { listed.len() };
    if count > max {
        return Err(fault::batch_too_long("multicall", count, max));
    }
    let within = |index: usize| format!("{CALLS}[{index}]");
    if flat {
        let pairs = listed.chunks_exact(2).enumerate();
        let read = pairs.map(|(index, pair)| {
            let values = [pair.first().copied(), pair.last().copied(), None];
            Call::read(&Arguments::of(values, NAMES, within(index)), options)
        });
        return read.collect();
    }
    let calls = listed.into_iter().enumerate();
    let read = calls
        .map(|(index, call)| Call::read(&Arguments::nested(call, NAMES, within(index))?, options));
    read.collect()
}

/// What became of one call.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Answered {
        result: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<Session>,
    },
    Failed {
        error: ErrorObjectOwned,
    },
}

impl Outcome {
    fn panicked() -> Self {
        Self::Failed {
            error: ErrorCode::InternalError.into(),
        }
    }

    /// Bytes of it, about; the rest of an answer is small.
    fn length(&self) -> usize {
        match self {
            Self::Answered { result, .. } => result.len(),
            Self::Failed { error } => {
                error.message().len() + error.data().map_or(0, |data| data.get().len())
            }
        }
    }
}

/// The answer: the outcomes in the order of the calls, in an envelope if asked for.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Plain(Vec<Outcome>),
    Anchored(Box<Envelope>),
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Envelope {
    results: Vec<Outcome>,
    #[serde(flatten)]
    anchor: Anchor,
}

//! `metashrew_view`: one view's answer at one block.

use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use metashrew_runtime::ViewCall;

use super::anchor::Answer;
use super::options::{CallOptions, OF_VIEW};
use super::{Context, basis};
use crate::fault;
use crate::params::Arguments;

pub(super) async fn call(
    params: &Params<'_>,
    context: &Context,
    extensions: &Extensions,
) -> Result<Answer, ErrorObjectOwned> {
    let (function, input, at, options) = {
        let arguments = Arguments::read(params, ["function", "input", "block", "options"])?;
        (
            arguments.text("function")?,
            arguments.hex_or_empty("input")?,
            arguments.view_at("block")?,
            CallOptions::default().updated(&arguments, "options", OF_VIEW)?,
        )
    };
    let call = ViewCall {
        at: basis(extensions, at),
        route: options.route(),
        timeout: options.timeout,
        ..ViewCall::new(&function, &input)
    };
    let answer = context.runtime.call(call).await;
    let answer = answer.map_err(|error| fault::of_view(&error))?;
    Ok(Answer::new(&answer, &options, context))
}

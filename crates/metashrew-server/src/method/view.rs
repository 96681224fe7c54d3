//! `metashrew_view`: one view's answer at one block.

use metashrew_runtime::{Chain, ViewAt, ViewCall};

use super::options::{CallOptions, OF_VIEW};
use super::{Context, anchor, basis};
use crate::answer::Answer;
use crate::fault::{self, RpcError};
use crate::params::Arguments;

pub(super) struct Params {
    function: String,
    input: Vec<u8>,
    at: ViewAt,
    options: CallOptions,
}

impl Params {
    pub(super) fn read(params: Option<&str>) -> Result<Self, RpcError> {
        let arguments = Arguments::read(params, ["function", "input", "block", "options"])?;
        Ok(Self {
            function: arguments.text("function")?.into_owned(),
            input: arguments.input("input")?,
            at: arguments.view_at("block")?,
            options: CallOptions::default().updated(&arguments, "options", OF_VIEW)?,
        })
    }

    pub(super) async fn answer(
        self,
        context: &Context,
        batch: Option<&Chain>,
    ) -> Result<Answer, RpcError> {
        let call = ViewCall {
            at: basis(batch, self.at),
            route: self.options.route(),
            timeout: self.options.timeout,
            ..ViewCall::new(&self.function, &self.input)
        };
        let answer = context.runtime.call(call).await;
        let answer = answer.map_err(|error| fault::of_view(&error))?;
        anchor::written(answer, &self.options, context).await
    }
}

//! `metashrew trace`: all that a block or a view asks of the host, as it happens.

mod lines;
mod sites;
mod source_lines;
mod sums;
mod tracer;

use anyhow::{Context, Error, Result};
use metashrew_runtime::ViewCall;
use metashrew_store::BlockId;

use self::lines::Style;
use self::source_lines::SourceLines;
use self::tracer::Tracer;
use super::watched::{Opened, Subject};
use super::{Output, keys};
use crate::cli::Trace;

pub(super) fn run(args: &Trace) -> Result<()> {
    let Opened {
        runtime,
        wasm,
        subject,
    } = Opened::of(&args.watched)?;
    let style = Style {
        tables: keys::tables_of(&wasm),
        json: args.json,
        max_value: args.max_value,
    };
    // The tracer has to own it, and the process ends with the trace.
    let tracer = Tracer::new(style, SourceLines::of(wasm.leak()));
    let name = subject.name();
    let (tracer, result) = match subject {
        Subject::Block(located) => {
            let (state, height) = (located.below.state, located.block.height);
            let (tracer, result) = runtime.observe_block(state, height, located.bytes, tracer);
            (tracer, result.map(drop).map_err(Error::new))
        }
        Subject::Bundle(bundle) => {
            let (tracer, result) = bundle.run(&runtime, tracer);
            (tracer, result.map(drop).map_err(Error::new))
        }
        Subject::View { name, input, at } => {
            let call = ViewCall {
                at: BlockId::Hash(at.hash).into(),
                ..ViewCall::new(&name, &input)
            };
            let (mut tracer, result) = runtime.observe_view(call, tracer);
            if let Ok(answer) = &result {
                tracer.answered(&answer.bytes).map_err(Output)?;
            }
            (tracer, result.map(drop).map_err(Error::new))
        }
    };
    tracer.finish().map_err(Output)?;
    result.with_context(|| format!("{name} failed"))
}

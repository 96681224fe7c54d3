//! What becomes of the process when indexing cannot go on.

use metashrew_sync::IndexError;

use crate::cli::{OnHalt, Start};
use crate::report;

/// Whether the process ends, or goes on serving what is indexed. `height` is that of
/// the last committed block.
pub(super) fn exits(args: &Start, height: Option<u32>, error: &IndexError) -> bool {
    match args.on_halt {
        Some(OnHalt::Exit) => true,
        Some(OnHalt::Serve) => false,
        // There is nothing to serve, or nothing to wait for but another command line: a
        // node may come back with another chain, files do not.
        None => {
            let waits = error.may_pass() && args.node.rpc_url.is_some();
            args.exit_at.is_some() || height.is_none() || (error.is_misconfiguration() && !waits)
        }
    }
}

/// Says in one line of the log at which block indexing has halted, why, and what can be
/// done about it; answers the latter.
pub(super) fn tell(error: &IndexError) -> Option<String> {
    let (block, hash) = error.block();
    let hash = hash.map(tracing::field::display);
    let cause = one_line(error);
    let hint = report::hint_of_indexing(error);
    tracing::error!(block, hash, cause, hint, "indexing has halted");
    hint.map(str::to_owned)
}

/// An error and its causes. A backtrace has a line for each frame.
fn one_line(error: &IndexError) -> String {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        let lines = text.lines().map(str::trim);
        causes.push(lines.collect::<Vec<_>>().join("; "));
        cause = error.source();
    }
    causes.join(": ")
}

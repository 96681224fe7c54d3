//! The guest of `metashrew start`: checked before there is a database.

use anyhow::{Context, Result};
use metashrew_runtime::{PreparedGuest, nearest};

use super::database;
use crate::cli::{Start, usage_error};
use crate::size::Size;

/// Compiles the guest and says which it is. Fails if it cannot index, or none of its
/// views could ever run.
pub(super) fn prepare(args: &Start) -> Result<PreparedGuest> {
    let path = args.indexer.display();
    let is_none = || format!("`{path}` is no guest");
    let wasm = database::read_guest(&args.indexer)?;
    let guest = PreparedGuest::new(&wasm, args.runtime_options()).with_context(is_none)?;
    guest.check_start().with_context(is_none)?;
    check_memory(args, guest.initial_memory())?;
    let sha256 = hex::encode(guest.sha256());
    tracing::info!(file = %path, %sha256, "the guest is compiled");
    tell_unknown_views(args, &guest);
    let unknown = guest.unknown_imports();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        tracing::warn!(
            "the guest imports what this host does not provide: {unknown}; a block or a view that calls it fails"
        );
    }
    Ok(guest)
}

/// Says which views are settled that the guest does not have.
fn tell_unknown_views(args: &Start, guest: &PreparedGuest) {
    let views = guest.views();
    for settled in &args.views.view_modes {
        let view = settled.view.as_str();
        if views.contains(&view) {
            continue;
        }
        let meant = nearest(view, views.iter().copied());
        let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        tracing::warn!(
            "how the view `{view}` runs is settled, and the guest has no such view{meant}"
        );
    }
}

/// An instance that may not have its first memory cannot be made.
fn check_memory(args: &Start, initial: u64) -> Result<()> {
    let budget = args.memory.views;
    let (flag, limit) = match args.views.view_max_instance_memory.map(Size::bytes) {
        Some(limit) if limit < budget => ("--view-max-instance-memory", limit),
        _ => ("--view-memory-budget", budget),
    };
    if initial <= limit {
        return Ok(());
    }
    let what = format!(
        "{flag} is {limit} bytes, and the guest begins with {initial} bytes of memory: no view could run"
    );
    Err(usage_error("start", what).into())
}

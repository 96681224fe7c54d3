//! What the flags of views mean to the runtime.

use std::collections::BTreeMap;
use std::time::Duration;

use metashrew_runtime::{ViewMode, ViewOptions};

use crate::cli::Views;

impl Views {
    /// Whether instances are to persist between calls.
    pub(crate) fn are_stateful(&self) -> bool {
        !self.no_stateful_views
    }

    /// The views of which it is settled how they run. The last word counts.
    fn modes(&self) -> BTreeMap<String, ViewMode> {
        let settled = self.view_modes.iter();
        settled
            .map(|settled| (settled.view.clone(), settled.mode))
            .collect()
    }

    /// With so much memory for all instances, in bytes.
    pub(super) fn options(&self, memory: usize) -> ViewOptions {
        let default = ViewOptions::default();
        ViewOptions {
            enabled: self.are_stateful(),
            instances: self.view_instances.unwrap_or(default.instances),
            queue: self.view_queue,
            scope: self.view_scope,
            sessions: self.view_sessions,
            max_wait: Duration::from_millis(self.view_max_wait_ms),
            timeout: Duration::from_millis(self.view_timeout_ms),
            memory_budget: memory,
            max_instance_memory: self.view_max_instance_memory.map_or(memory, |size| size.0),
            max_input: self.view_max_input.0,
            max_output: self.view_max_output.0,
            check: self.view_check,
            modes: self.modes(),
            ..default
        }
    }
}

//! Whether this server should be sent calls.

use metashrew_store::Height;
use serde::Serialize;

use crate::indexing::{IndexingReport, IndexingState};
use crate::wire;

/// The answer of `/ready`.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    /// Why it is not ready, in a fixed word.
    reason: Option<&'static str>,
    state: &'static str,
    /// The last committed block.
    height: Option<Height>,
    node_tip: Option<Height>,
    /// Blocks from `height` to `node_tip`.
    behind: Option<u32>,
    /// What `behind` may be.
    within: u32,
    error: Option<String>,
    hint: Option<String>,
    failed_block: Option<FailedBlock>,
}

/// The block that indexing has halted at.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct FailedBlock {
    height: Height,
    block_hash: String,
}

impl FailedBlock {
    pub(crate) fn of(report: &IndexingReport) -> Option<Self> {
        let (height, hash) = report.failed_block.as_ref()?;
        Some(Self {
            height: *height,
            block_hash: wire::block_hash(hash),
        })
    }
}

impl IndexingReport {
    /// Blocks from `height`, the last committed one, to the node's tip.
    pub(crate) fn behind(&self, height: Option<Height>) -> Option<u32> {
        let node_tip = self.node_tip?;
        Some(match height {
            Some(height) => node_tip.saturating_sub(height),
            None => node_tip.saturating_add(1),
        })
    }
}

impl Readiness {
    /// Ready if something is indexed and, where anybody knows how indexing goes, it
    /// goes on or is done, at most `within` blocks below the node's tip.
    pub(crate) fn of(height: Option<Height>, report: IndexingReport, within: u32) -> Self {
        let behind = report.behind(height);
        let reason = match report.state {
            IndexingState::Halted => Some("halted"),
            IndexingState::Stopped => Some("stopped"),
            IndexingState::Starting => Some("starting"),
            _ if height.is_none() => Some("nothing_indexed"),
            IndexingState::Unknown | IndexingState::Done => None,
            IndexingState::Syncing
            | IndexingState::Following
            | IndexingState::WaitingForNode
            | IndexingState::WaitingForMachine
            | IndexingState::WaitingForDisk => match behind {
                None => Some("node_tip_unknown"),
                Some(behind) if behind > within => Some("behind"),
                Some(_) => None,
            },
        };
        Self {
            ready: reason.is_none(),
            reason,
            state: report.state.as_str(),
            height,
            node_tip: report.node_tip,
            behind,
            within,
            failed_block: FailedBlock::of(&report),
            error: report.error,
            hint: report.hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: IndexingState, height: Option<Height>, tip: Option<Height>, expect: &str) {
        let report = IndexingReport {
            state,
            node_tip: tip,
            ..IndexingReport::default()
        };
        let readiness = Readiness::of(height, report, 2);
        assert_eq!(
            readiness.reason.unwrap_or("ready"),
            expect,
            "{state}, {height:?} of {tip:?}"
        );
        assert_eq!(readiness.ready, expect == "ready");
    }

    #[test]
    fn an_indexer_near_the_tip_is_ready() {
        for state in [
            IndexingState::Syncing,
            IndexingState::Following,
            IndexingState::WaitingForNode,
            IndexingState::WaitingForMachine,
            IndexingState::WaitingForDisk,
        ] {
            check(state, Some(100), Some(100), "ready");
            check(state, Some(100), Some(102), "ready");
            check(state, Some(100), Some(103), "behind");
            // A node that went backwards: what it has, the index has.
            check(state, Some(100), Some(90), "ready");
            check(state, Some(100), None, "node_tip_unknown");
            check(state, None, Some(0), "nothing_indexed");
        }
    }

    #[test]
    fn what_does_not_go_on_is_not_ready() {
        check(IndexingState::Halted, Some(100), Some(100), "halted");
        check(IndexingState::Stopped, Some(100), Some(100), "stopped");
        check(IndexingState::Starting, Some(100), Some(100), "starting");
    }

    #[test]
    fn where_there_is_nothing_to_follow_an_index_is_enough() {
        for state in [IndexingState::Unknown, IndexingState::Done] {
            check(state, Some(0), None, "ready");
            check(state, Some(0), Some(100), "ready");
            check(state, None, None, "nothing_indexed");
        }
    }
}

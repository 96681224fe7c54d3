//! What indexing waits for: what the node, or the machine, was asked in vain.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, SystemTime};

use metashrew_store::Height;

use crate::fetch::Causes;
use crate::machine::WaitsFor;

/// What was asked. The order is that of how much waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// Room on the disk, beyond the reserve.
    Space,
    /// The commit of the blocks that were processed.
    Commit,
    /// The run of the guest over the block at hand.
    Execution,
    /// How the node's chain and the indexed one compare.
    Comparison,
    /// A block that stands on the last one indexed.
    Connection,
    /// The block at that height.
    Block(Height),
    /// What comes next in the chain.
    Chain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What has to get better.
    pub(crate) waits_for: WaitsFor,
    /// The last answer, or why there was none.
    pub(crate) error: String,
    /// When it was first asked in vain.
    pub(crate) since: SystemTime,
    /// How often it was asked in vain.
    pub(crate) failures: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Troubles(BTreeMap<Asked, Trouble>);

impl Troubles {
    /// Adds a failure, and logs it, ever more rarely, if it is the one that most
    /// waits for: a node that is down fails all who ask it.
    pub(crate) fn add(
        &mut self,
        asked: Asked,
        waits_for: WaitsFor,
        error: &dyn Error,
        pause: Option<Duration>,
    ) {
        let error = Causes(error).to_string();
        let trouble = self.0.entry(asked).or_insert_with(|| Trouble {
            waits_for,
            error: String::new(),
            since: SystemTime::now(),
            failures: 0,
        });
        trouble.waits_for = waits_for;
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.error.clone_from(&error);
        let failures = trouble.failures;
        let again = pause.map_or_else(String::new, |pause| format!("; trying again in {pause:?}"));
        if self.0.keys().next() == Some(&asked) && failures.is_power_of_two() {
            tracing::warn!(failures, "{error}{again}");
        } else {
            tracing::debug!(failures, "{error}{again}");
        }
    }

    /// It was answered after all; says so once nothing of its kind is waited for.
    pub(crate) fn remove(&mut self, asked: Asked) {
        let Some(trouble) = self.0.remove(&asked) else {
            return;
        };
        let mut left = self.0.values();
        if left.any(|other| other.waits_for == trouble.waits_for) {
            return;
        }
        let failures = trouble.failures;
        match trouble.waits_for {
            WaitsFor::Node => tracing::info!(failures, "the node answers again as it should"),
            WaitsFor::Machine => tracing::info!(failures, "the machine works again as it should"),
            WaitsFor::Disk => tracing::info!(failures, "there is room on the disk again"),
        }
    }

    /// Forgets what only a round that is over asked.
    pub(crate) fn forget_round(&mut self) {
        self.0
            .retain(|asked, _| matches!(asked, Asked::Comparison | Asked::Connection));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn first(&self) -> Option<Trouble> {
        self.0.values().next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeError;

    #[test]
    fn the_question_that_most_waits_for_is_told_until_it_is_answered() {
        let mut troubles = Troubles::default();
        let mut fail = |asked, what: &str| {
            let what = what.to_owned();
            let error = NodeError::BadAnswer { what };
            troubles.add(asked, WaitsFor::Node, &error, None);
            let first = troubles.first().unwrap();
            (first.error, first.failures)
        };
        let wrong = |what: &str| format!("the node's answer is wrong: {what}");
        assert_eq!(fail(Asked::Chain, "a"), (wrong("a"), 1));
        assert_eq!(fail(Asked::Block(7), "b"), (wrong("b"), 1));
        assert_eq!(fail(Asked::Block(6), "c"), (wrong("c"), 1));
        assert_eq!(fail(Asked::Block(6), "d"), (wrong("d"), 2));
        for (answered, left) in [
            (Asked::Block(6), Some("b")),
            (Asked::Block(6), Some("b")),
            (Asked::Chain, Some("b")),
            (Asked::Block(7), None),
        ] {
            troubles.remove(answered);
            let first = troubles.first().map(|trouble| trouble.error);
            assert_eq!(first, left.map(wrong));
        }
    }

    #[test]
    fn what_stops_all_else_goes_before_the_node() {
        let mut troubles = Troubles::default();
        let error = std::io::Error::other("full");
        troubles.add(Asked::Comparison, WaitsFor::Node, &error, None);
        troubles.add(Asked::Commit, WaitsFor::Disk, &error, None);
        assert_eq!(troubles.first().unwrap().waits_for, WaitsFor::Disk);
        troubles.remove(Asked::Commit);
        assert_eq!(troubles.first().unwrap().waits_for, WaitsFor::Node);
    }
}

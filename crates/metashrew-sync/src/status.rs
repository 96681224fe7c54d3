//! What the indexer is doing, told in plain fields: for servers that report it,
//! and commands that show it.

use std::time::{Duration, SystemTime};

use metashrew_store::{BlockHash, Height};

use crate::error::IndexError;
use crate::fetch::Causes;
use crate::machine::WaitsFor;
use crate::progress::ProgressReport;
use crate::troubles::Trouble;

/// What [`Progress::status`](crate::Progress::status) answers.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexStatus {
    /// What the indexer is doing.
    pub state: IndexState,
    /// How far it is, and all counters.
    pub progress: ProgressReport,
    /// Blocks committed per second, over the last 15 s or so.
    pub blocks_per_second: f64,
    /// Bytes of those blocks per second.
    pub bytes_per_second: f64,
    /// How long it takes to get to the target at that rate; none if nothing tells,
    /// or there is nothing to catch up with.
    pub left: Option<Duration>,
}

/// What an indexer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It has not yet compared its chain with the node's.
    Starting,
    /// It is more than a block below its target.
    Syncing,
    /// It has indexed what the node has, but for one block at most, and waits for more.
    Following,
    /// It waits for the node or the machine, and tries again and again; or for a write that
    /// does not return.
    Waiting {
        /// What has to get better.
        waits_for: WaitsFor,
        /// What the last try ended with.
        error: String,
        /// When that began.
        since: SystemTime,
        /// How often it was tried in vain; 0 if the first try has not returned.
        failures: u32,
    },
    /// It cannot go on; see [`IndexError`].
    Halted {
        /// The error and its causes, in one line.
        error: String,
        /// The height of the block that could not be indexed, if it is about one.
        height: Option<Height>,
        /// The hash of that block, if it is known.
        hash: Option<BlockHash>,
        /// When it halted.
        since: SystemTime,
    },
    /// It has indexed all that it was to index.
    Done,
    /// It was asked to stop, and has.
    Stopped,
}

impl IndexState {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Syncing => "syncing",
            Self::Following => "following",
            Self::Waiting { .. } => "waiting",
            Self::Halted { .. } => "halted",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

/// A reorganisation that was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorg {
    /// The last block that both branches have; none if the first block indexed
    /// was replaced.
    pub fork: Option<Height>,
    /// How many blocks were undone.
    pub depth: u32,
    /// When.
    pub at: SystemTime,
}

/// Blocks that may be missing where a node counts as followed: one is on its way.
pub(crate) const NEARLY: u32 = 1;

/// What the indexer itself knows of its state.
#[derive(Debug, Clone, Default)]
pub(crate) enum Phase {
    #[default]
    Starting,
    Indexing {
        follow: bool,
    },
    Halted {
        error: String,
        height: Option<Height>,
        hash: Option<BlockHash>,
        since: SystemTime,
    },
    Done,
    Stopped,
}

impl Phase {
    pub(crate) fn halted(error: &IndexError) -> Self {
        let (height, hash) = error.block();
        Self::Halted {
            error: Causes(error).to_string(),
            height,
            hash,
            since: SystemTime::now(),
        }
    }
}

pub(crate) fn status(
    progress: &ProgressReport,
    phase: Phase,
    trouble: Option<Trouble>,
    (blocks_per_second, bytes_per_second): (f64, f64),
) -> IndexStatus {
    let missing = progress.target.map(|target| {
        let done = progress.height.map_or(0, |height| u64::from(height) + 1);
        (u64::from(target) + 1).saturating_sub(done)
    });
    let state = match (phase, trouble) {
        (Phase::Starting | Phase::Indexing { .. }, Some(trouble)) => IndexState::Waiting {
            waits_for: trouble.waits_for,
            error: trouble.error,
            since: trouble.since,
            failures: trouble.failures,
        },
        (Phase::Starting, None) => IndexState::Starting,
        (Phase::Indexing { follow: true }, None)
            if missing.is_some_and(|missing| missing <= u64::from(NEARLY)) =>
        {
            IndexState::Following
        }
        (Phase::Indexing { .. }, None) => IndexState::Syncing,
        (
            Phase::Halted {
                error,
                height,
                hash,
                since,
            },
            _,
        ) => IndexState::Halted {
            error,
            height,
            hash,
            since,
        },
        (Phase::Done, _) => IndexState::Done,
        (Phase::Stopped, _) => IndexState::Stopped,
    };
    #[allow(
        clippy::cast_precision_loss,
        reason = "heights have 32 bits, and one more"
    )]
    let left = missing
        .filter(|_| !matches!(state, IndexState::Following | IndexState::Done))
        .map(|missing| missing as f64 / blocks_per_second)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    IndexStatus {
        state,
        progress: *progress,
        blocks_per_second,
        bytes_per_second,
        left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeError;
    use crate::progress::Progress;

    fn at(height: Height, target: Height, phase: Phase, trouble: Option<Trouble>) -> IndexStatus {
        let progress = ProgressReport {
            height: Some(height),
            target: Some(target),
            ..Progress::new(Duration::from_secs(10)).report()
        };
        status(&progress, phase, trouble, (2.0, 100.0))
    }

    #[test]
    fn states_follow_from_phase_distance_and_troubles() {
        let follow = |height, target| at(height, target, Phase::Indexing { follow: true }, None);
        assert_eq!(follow(10, 30).state, IndexState::Syncing);
        assert_eq!(follow(10, 30).left, Some(Duration::from_secs(10)));
        assert_eq!(follow(29, 30).state, IndexState::Following);
        assert_eq!(follow(30, 30).state, IndexState::Following);
        assert_eq!(follow(29, 30).left, None, "nothing is to be caught up with");
        let once = at(30, 30, Phase::Indexing { follow: false }, None);
        assert_eq!(once.state, IndexState::Syncing);
        let trouble = Trouble {
            waits_for: WaitsFor::Node,
            error: "down".to_owned(),
            since: SystemTime::UNIX_EPOCH,
            failures: 3,
        };
        for phase in [Phase::Starting, Phase::Indexing { follow: true }] {
            let waiting = at(30, 30, phase, Some(trouble.clone()));
            assert_eq!(waiting.state.name(), "waiting");
        }
        assert_eq!(
            at(1, 2, Phase::Stopped, Some(trouble)).state.name(),
            "stopped"
        );
    }

    #[test]
    fn an_error_halts_with_its_causes_and_its_block() {
        let what = "nonsense".to_owned();
        let error = IndexError::Node(NodeError::BadAnswer { what });
        let IndexState::Halted { error, height, .. } = at(1, 2, Phase::halted(&error), None).state
        else {
            panic!("not halted");
        };
        assert_eq!(height, None);
        assert_eq!(
            error,
            "blocks cannot be had: the node's answer is wrong: nonsense"
        );
    }
}

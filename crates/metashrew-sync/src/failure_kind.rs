//! The kinds of failure of a source of blocks: one list for all who count and name
//! them.

use std::fmt;

/// What kind of failure a [`NodeError`](crate::NodeError) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// No whole answer came: refused, cut off, not within the time, or over a
    /// connection that cannot be trusted.
    Unreachable,
    /// The login is refused, or there is none to give.
    Unauthorized,
    /// The node forbids the method, or us.
    Forbidden,
    /// The node has too many to answer.
    Overloaded,
    /// The node is starting.
    Starting,
    /// The node refuses the question.
    Refused,
    /// The answer is none, or cannot be true.
    BadAnswer,
    /// The node has fewer blocks than were indexed, or a branch with no more work.
    Behind,
    /// The node does not have the block.
    NoBlock,
    /// The node has deleted the block.
    Pruned,
    /// The node is not one to follow.
    Unusable,
    /// Block files are damaged, or cannot be read.
    Files,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Unreachable,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Overloaded,
        Self::Starting,
        Self::Refused,
        Self::BadAnswer,
        Self::Behind,
        Self::NoBlock,
        Self::Pruned,
        Self::Unusable,
        Self::Files,
    ];

    /// Its name, in `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
            Self::Starting => "starting",
            Self::Refused => "refused",
            Self::BadAnswer => "bad_answer",
            Self::Behind => "behind",
            Self::NoBlock => "no_block",
            Self::Pruned => "pruned",
            Self::Unusable => "unusable",
            Self::Files => "files",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

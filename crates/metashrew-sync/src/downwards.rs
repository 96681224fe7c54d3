//! The hashes of the node's chain from a height down: few at first, more at a time the deeper
//! it goes. So a deep reorganisation takes few questions, each of which may fail or take long.

use metashrew_store::{BlockHash, Height};

use crate::node::{Node, NodeError};

/// Each time this many times as many hashes are asked for as before.
const GROWTH: Height = 4;

/// Hashes that are asked for at once, at most.
const AT_ONCE: Height = 1_000;

/// Answers one height after the other, from the top down. One walk may span a
/// reorganisation, as one answer of [`Node::hashes`] may.
pub(crate) struct Downwards<'a> {
    node: &'a dyn Node,
    /// The next one to answer.
    next: Height,
    /// Below it nothing is asked for.
    lowest: Height,
    /// How many to ask for next.
    count: Height,
    /// What was answered and not taken yet, the lowest first.
    held: Vec<BlockHash>,
}

impl<'a> Downwards<'a> {
    /// From `top` down to `lowest`.
    pub(crate) fn new(node: &'a dyn Node, top: Height, lowest: Height) -> Self {
        Self {
            node,
            next: top,
            lowest,
            count: 1,
            held: Vec::new(),
        }
    }

    /// What the node has at the next height down; none if there is no block.
    pub(crate) fn next(&mut self) -> Result<Option<BlockHash>, NodeError> {
        if self.held.is_empty() {
            self.ask()?;
        }
        let hash = match self.held.pop() {
            None => self.node.hash_at(self.next)?,
            held => held,
        };
        self.next = self.next.saturating_sub(1);
        Ok(hash)
    }

    /// Asks for several, where there is more than one to ask for. An answer with fewer tells
    /// nothing: the chain may have become shorter, or the node lack the lowest of them.
    fn ask(&mut self) -> Result<(), NodeError> {
        let left = self.next.saturating_sub(self.lowest).saturating_add(1);
        let count = self.count.min(left);
        self.count = self.count.saturating_mul(GROWTH).min(AT_ONCE);
        if count < 2 {
            return Ok(());
        }
        let from = self.next.saturating_sub(count - 1);
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let mut hashes = self.node.hashes(from, wanted)?;
        hashes.truncate(wanted);
        if hashes.len() == wanted {
            self.held = hashes;
        }
        Ok(())
    }
}

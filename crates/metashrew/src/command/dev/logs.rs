//! What the guest logs: shown as it comes, but for what it logs over all blocks, of which the end
//! is enough.

use std::sync::atomic::{AtomicBool, Ordering};

use super::tell::{Teller, Told};
use crate::log::{GuestLine, GuestLines};

/// What guests log, and when it is shown.
#[derive(Debug)]
pub(super) struct Logs {
    lines: GuestLines,
    /// Whether a guest runs over all blocks.
    held: AtomicBool,
    /// Lines that are shown of that.
    limit: usize,
    teller: Teller,
}

impl Logs {
    pub(super) fn new(lines: GuestLines, limit: usize, teller: Teller) -> Self {
        Self {
            lines,
            held: AtomicBool::new(false),
            limit,
            teller,
        }
    }

    /// Shows what has come, unless a guest runs over all blocks.
    pub(super) fn show_new(&self) {
        if !self.held.load(Ordering::Acquire) {
            let (lost, lines) = self.lines.take();
            self.show(lost, &lines);
        }
    }

    /// A guest is about to run over all blocks.
    pub(super) fn hold(&self) {
        self.show_new();
        self.held.store(true, Ordering::Release);
    }

    /// It has ended: shows the last lines, those of the block that it failed on, or none.
    pub(super) fn release(&self, shown: Shown) {
        if !self.held.load(Ordering::Acquire) {
            return;
        }
        let (lost, lines) = self.lines.take();
        self.held.store(false, Ordering::Release);
        match shown {
            Shown::None => {}
            Shown::Last => {
                let (before, shown) = lines.split_at(lines.len().saturating_sub(self.limit));
                self.show(lost + before.len() as u64, shown);
            }
            Shown::Block(height) => {
                let is_meant = |line: &&GuestLine| line.height == height;
                let of_block: Vec<_> = lines.iter().filter(is_meant).cloned().collect();
                // If some are lost, they may have been this block's.
                let lost = if of_block.len() == lines.len() {
                    lost
                } else {
                    0
                };
                self.show(lost, &of_block);
            }
        }
    }

    fn show(&self, left_out: u64, lines: &[GuestLine]) {
        if left_out > 0 {
            self.teller.tell(&Told::LogsLeftOut { lines: left_out });
        }
        for GuestLine { height, text } in lines {
            let height = *height;
            self.teller.tell(&Told::Log { height, text });
        }
    }
}

/// What is shown of a run over all blocks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    None,
    Last,
    /// Those of the block at this height.
    Block(u32),
}

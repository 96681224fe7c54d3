//! Prepares what blocks wrote for whoever reads and commits it next, beside the thread
//! that executes: adds it to the index of uncommitted blocks, sorts it, and computes its
//! history root.

use crossbeam_channel::{Receiver, Sender};
use metashrew_store::{BlockHash, HistoryRoot, Overlay, Snapshot};

use crate::error::IndexError;
use crate::execute::{Executed, Processed};
use crate::round;

pub(crate) struct Sealer {
    executed: Receiver<Executed>,
    sealed: Sender<Executed>,
    uncommitted: Overlay,
    /// The last block and its root; none while there is no block.
    below: Option<(BlockHash, HistoryRoot)>,
}

impl Sealer {
    /// Starts its thread, for blocks on top of `committed`; answers where the executor sends
    /// to, and where the committer receives from.
    pub(crate) fn spawn(
        uncommitted: &Overlay,
        committed: &Snapshot,
    ) -> Result<(Sender<Executed>, Receiver<Executed>), IndexError> {
        let (sender, executed) = crossbeam_channel::unbounded();
        let (sealed, outcome) = crossbeam_channel::unbounded();
        let this = Self {
            executed,
            sealed,
            uncommitted: uncommitted.clone(),
            below: committed.tip().map(|tip| (tip.hash, tip.history_root)),
        };
        round::spawn("prepares commits", "metashrew-seal", move || this.run())?;
        Ok((sender, outcome))
    }

    /// Passes on what the executor sends, in order, until it is gone or nobody wants
    /// more.
    fn run(mut self) {
        while let Ok(executed) = self.executed.recv() {
            if let Executed::Block(block) = &executed {
                self.uncommitted.index();
                self.seal(block);
            }
            if self.sealed.send(executed).is_err() {
                return;
            }
        }
    }

    /// The commit looks whether the block is where it was taken to be here, and computes the
    /// root itself if not.
    fn seal(&mut self, processed: &Processed) {
        let Processed { block, writes, .. } = processed;
        writes.seal();
        let below = match self.below {
            None => HistoryRoot::EMPTY,
            Some((hash, root)) if hash == block.parent => root,
            Some(_) => return,
        };
        self.below = Some((block.hash, writes.history_root(block, &below)));
    }
}

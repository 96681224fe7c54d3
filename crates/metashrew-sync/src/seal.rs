//! Prepares what blocks wrote for whoever reads and commits it next, beside the thread
//! that executes: adds it to the index of uncommitted blocks, and sorts it.

use crossbeam_channel::{Receiver, Sender};
use metashrew_store::Overlay;

use crate::error::IndexError;
use crate::execute::Executed;
use crate::round;

pub(crate) struct Sealer {
    executed: Receiver<Executed>,
    sealed: Sender<Executed>,
    uncommitted: Overlay,
}

impl Sealer {
    /// Starts its thread; answers where the executor sends to, and where the committer
    /// receives from.
    pub(crate) fn spawn(
        uncommitted: &Overlay,
    ) -> Result<(Sender<Executed>, Receiver<Executed>), IndexError> {
        let (sender, executed) = crossbeam_channel::unbounded();
        let (sealed, outcome) = crossbeam_channel::unbounded();
        let this = Self {
            executed,
            sealed,
            uncommitted: uncommitted.clone(),
        };
        round::spawn("prepares commits", "metashrew-seal", move || this.run())?;
        Ok((sender, outcome))
    }

    /// Passes on what the executor sends, in order, until it is gone or nobody wants
    /// more.
    fn run(self) {
        for executed in self.executed {
            if let Executed::Block(block) = &executed {
                self.uncommitted.index();
                block.writes.seal();
            }
            if self.sealed.send(executed).is_err() {
                return;
            }
        }
    }
}

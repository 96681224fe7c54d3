//! How a node wants to be asked, as far as it differs from Core today. It is learnt by
//! trying, and forgotten when the node was out of reach: it may be another one then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::fault::NodeFault;

/// Questions in one request: as many as we send, what many services take, and one for
/// a node that knows no batches.
const BATCHES: [usize; 3] = [1_000, 50, 1];

/// So many answers that may have another cause make sure.
const DOUBTS: usize = 2;

/// What was learnt of one node.
pub(super) struct Dialect {
    /// Questions in one request at most.
    batch: AtomicUsize,
    /// How often in a row a smaller batch came through where a larger one did not, for
    /// a reason that may have been another.
    doubts: AtomicUsize,
    /// Whether `getblock` takes a boolean where it takes a number today.
    boolean: AtomicBool,
    /// Whether it was told that there is no `getblockheader`.
    headerless: AtomicBool,
}

/// How `getblock` is asked for a block as hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockForm {
    /// `getblock HASH 0`.
    Number,
    /// `getblock HASH false`: Core before 0.15, and what descends from it.
    Boolean,
}

impl BlockForm {
    pub(super) fn parameter(self) -> Value {
        match self {
            Self::Number => json!(0),
            Self::Boolean => json!(false),
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Number => Self::Boolean,
            Self::Boolean => Self::Number,
        }
    }
}

impl Dialect {
    pub(super) fn new() -> Self {
        Self {
            batch: AtomicUsize::new(BATCHES[0]),
            doubts: AtomicUsize::new(0),
            boolean: AtomicBool::new(false),
            headerless: AtomicBool::new(false),
        }
    }

    /// Forgets what was learnt.
    pub(super) fn forget(&self) {
        self.batch.store(BATCHES[0], Ordering::Relaxed);
        self.doubts.store(0, Ordering::Relaxed);
        self.boolean.store(false, Ordering::Relaxed);
        self.headerless.store(false, Ordering::Relaxed);
    }

    /// Questions to put into one request, largest first, that are worth a try.
    pub(super) fn batches(&self) -> impl Iterator<Item = usize> + use<> {
        let most = self.batch.load(Ordering::Relaxed);
        BATCHES.into_iter().filter(move |size| *size <= most)
    }

    /// Takes note that a batch came through where larger ones failed before, if there
    /// was any.
    pub(super) fn came_through(&self, size: usize, failed: Option<&NodeFault>, address: &str) {
        let Some(fault) = failed else {
            self.doubts.store(0, Ordering::Relaxed);
            return;
        };
        if !fault.is_certain() && self.doubts.fetch_add(1, Ordering::Relaxed) + 1 < DOUBTS {
            return;
        }
        self.doubts.store(0, Ordering::Relaxed);
        if self.batch.swap(size, Ordering::Relaxed) == size {
            return;
        }
        match size {
            1 => tracing::info!("{address} takes no batches: it is asked one by one ({fault})"),
            size => tracing::info!("{address} takes batches of {size} questions ({fault})"),
        }
    }

    /// Tells, once, that headers come with their blocks.
    pub(super) fn has_no_headers(&self, refused: &NodeFault, address: &str) {
        if !self.headerless.swap(true, Ordering::Relaxed) {
            tracing::info!("{address} is asked for blocks where a header would do ({refused})");
        }
    }

    pub(super) fn block_form(&self) -> BlockForm {
        if self.boolean.load(Ordering::Relaxed) {
            BlockForm::Boolean
        } else {
            BlockForm::Number
        }
    }

    /// Takes note of the form in which `getblock` was answered where the other was
    /// refused.
    pub(super) fn learn_block_form(&self, form: BlockForm, refused: &NodeFault, address: &str) {
        let boolean = form == BlockForm::Boolean;
        if self.boolean.swap(boolean, Ordering::Relaxed) != boolean {
            let parameter = form.parameter();
            tracing::info!("{address} is asked `getblock HASH {parameter}` ({refused})");
        }
    }
}

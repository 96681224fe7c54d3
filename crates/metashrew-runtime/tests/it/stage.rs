//! A store in memory whose reads can be held up, or made to panic.

use std::sync::{Arc, Condvar, Mutex};

use metashrew_store::{BackendError, Store};
use metashrew_testing::hooked::{Hook, Hooked};

/// A read of this key waits until the gate is open.
pub(crate) const GATE: &[u8] = b"gate";

/// A read of this key panics.
pub(crate) const BOOM: &[u8] = b"boom";

/// The gate, closed at first, and open for good once it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |open| !*open).unwrap());
    }
}

impl Hook for Gate {
    fn before_get(&self, key: &[u8]) -> Result<(), BackendError> {
        let is = |name: &[u8]| key.windows(name.len()).any(|part| part == name);
        assert!(!is(BOOM), "disk on fire");
        if is(GATE) {
            self.pass();
        }
        Ok(())
    }
}

/// A store with a gate.
pub(crate) fn store() -> (Store, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let engine = Hooked::new(Arc::clone(&gate));
    (Store::with_backend(Arc::new(engine)).unwrap(), gate)
}

// Pointers into this thread's memory, for examples in docs.

use std::cell::RefCell;
use std::collections::BTreeMap;

pub use metashrew_support::index_pointer::KeyValuePointer;
pub use std::sync::Arc;

thread_local! {
    static STATE: RefCell<BTreeMap<Arc<Vec<u8>>, Arc<Vec<u8>>>> = RefCell::default();
}

#[derive(Clone)]
pub struct Memory(Arc<Vec<u8>>);

impl KeyValuePointer for Memory {
    fn wrap(word: &Vec<u8>) -> Self {
        Self(Arc::new(word.clone()))
    }

    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.0.clone()
    }

    fn set(&mut self, v: Arc<Vec<u8>>) {
        STATE.with_borrow_mut(|state| state.insert(self.0.clone(), v));
    }

    fn get(&self) -> Arc<Vec<u8>> {
        STATE.with_borrow(|state| state.get(&self.0).cloned().unwrap_or_default())
    }

    fn inherits(&mut self, _from: &Self) {}
}

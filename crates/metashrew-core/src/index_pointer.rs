//! Pointers into the guest's state, plain ones and ones that can take back what
//! was written.

use crate::cache::with_own;
use crate::range::{Page, Range, RangeError};
use crate::{get, set};
pub use metashrew_support::index_pointer::KeyValuePointer;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A pointer that reads and writes the guest's state at once.
///
/// ```
/// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
/// let mut balance = IndexPointer::from_keyword("/balance/").select(&b"ann".to_vec());
/// balance.set_value(7u64);
/// assert_eq!(balance.get_value::<u64>(), 7);
/// assert_eq!(*metashrew_core::get(b"/balance/ann".to_vec().into()), 7u64.to_le_bytes());
/// ```
#[derive(Debug, Clone, Default)]
pub struct IndexPointer(Arc<Vec<u8>>);

impl KeyValuePointer for IndexPointer {
    fn wrap(word: &Vec<u8>) -> Self {
        Self(Arc::new(word.clone()))
    }

    fn with_key(&self, key: Vec<u8>) -> Self {
        Self(Arc::new(key))
    }

    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.0.clone()
    }

    fn set(&mut self, v: Arc<Vec<u8>>) {
        set(self.unwrap(), v);
    }

    fn get(&self) -> Arc<Vec<u8>> {
        get(self.unwrap())
    }

    fn inherits(&mut self, _from: &Self) {}
}

/// What was written since a checkpoint.
///
/// ```
/// # use metashrew_core::index_pointer::IndexCheckpoint;
/// assert!(IndexCheckpoint::default().0.is_empty());
/// ```
#[derive(Clone, Default, Debug)]
pub struct IndexCheckpoint(pub HashMap<Arc<Vec<u8>>, Arc<Vec<u8>>>);

/// Open checkpoints, the innermost last; it starts with one.
///
/// ```
/// # use metashrew_core::index_pointer::{IndexCheckpoint, IndexCheckpointStack};
/// let stack = IndexCheckpointStack::default();
/// let same = stack.clone();
/// same.0.lock().unwrap().push(IndexCheckpoint::default());
/// assert_eq!(stack.depth(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct IndexCheckpointStack(pub Arc<Mutex<Vec<IndexCheckpoint>>>);

impl Default for IndexCheckpointStack {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(vec![IndexCheckpoint::default()])))
    }
}

impl IndexCheckpointStack {
    /// How many checkpoints are open.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::IndexCheckpointStack;
    /// assert_eq!(IndexCheckpointStack::default().depth(), 1);
    /// ```
    pub fn depth(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<IndexCheckpoint>> {
        // A panic elsewhere leaves the list of maps whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pointer whose writes wait in the innermost open checkpoint.
///
/// All pointers that come from one share its checkpoints.
///
/// ```
/// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
/// let mut balance = AtomicPointer::from_keyword("/balance");
/// balance.set_value(7u64);
/// assert_eq!(balance.get_pointer().get_value::<u64>(), 0);
/// balance.commit();
/// assert_eq!(balance.get_pointer().get_value::<u64>(), 7);
/// ```
#[derive(Clone, Debug, Default)]
pub struct AtomicPointer {
    pointer: IndexPointer,
    store: IndexCheckpointStack,
}

impl KeyValuePointer for AtomicPointer {
    fn wrap(word: &Vec<u8>) -> Self {
        Self {
            pointer: IndexPointer::wrap(word),
            store: IndexCheckpointStack::default(),
        }
    }

    fn with_key(&self, key: Vec<u8>) -> Self {
        self.derive(&self.pointer.with_key(key))
    }

    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.pointer.unwrap()
    }

    /// # Panics
    /// If no checkpoint is open.
    fn set(&mut self, v: Arc<Vec<u8>>) {
        let mut checkpoints = self.store.lock();
        let innermost = checkpoints.last_mut();
        let innermost = innermost.expect("set() called without checkpoints in memory");
        innermost.0.insert(self.pointer.unwrap(), v);
    }

    fn get(&self) -> Arc<Vec<u8>> {
        let key = self.pointer.unwrap();
        let waiting = self
            .store
            .lock()
            .iter()
            .rev()
            .find_map(|checkpoint| checkpoint.0.get(&key).cloned());
        waiting.unwrap_or_else(|| get(key))
    }

    fn inherits(&mut self, from: &Self) {
        self.store = from.store.clone();
    }
}

impl AtomicPointer {
    /// Opens a checkpoint: what is written from now on can be taken back.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut balance = AtomicPointer::from_keyword("/balance");
    /// balance.checkpoint();
    /// balance.set_value(7u64);
    /// balance.rollback();
    /// assert_eq!(balance.get_value::<u64>(), 0);
    /// ```
    pub fn checkpoint(&mut self) {
        self.store.lock().push(IndexCheckpoint::default());
    }

    /// Keeps what was written since the innermost checkpoint: in the one around
    /// it, or, in the last, in the guest's state. The last one stays open, *with all
    /// that was written through it*.
    ///
    /// So these pointers go on to read what they wrote last, and the next commit of
    /// the last checkpoint writes it again, over what another pointer may have written
    /// to that key meanwhile. Existing state depends on it. A guest that makes its
    /// `AtomicPointer` anew for each transaction sees nothing of it.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut balance = AtomicPointer::from_keyword("/balance");
    /// balance.checkpoint();
    /// balance.set_value(7u64);
    /// balance.commit();
    /// // The one around it is still open.
    /// assert_eq!(balance.get_pointer().get_value::<u64>(), 0);
    /// balance.commit();
    /// assert_eq!(balance.get_pointer().get_value::<u64>(), 7);
    /// ```
    ///
    /// # Panics
    /// If no checkpoint is open.
    pub fn commit(&mut self) {
        let mut checkpoints = self.store.lock();
        let innermost = checkpoints.pop();
        let innermost = innermost.expect("commit() called without checkpoints in memory");
        if let Some(outer) = checkpoints.last_mut() {
            outer.0.extend(innermost.0);
            return;
        }
        // In order, so that the same block makes the same flush on every run.
        let mut written: Vec<_> = innermost.0.iter().collect();
        written.sort_unstable();
        for (key, value) in written {
            set(key.clone(), value.clone());
        }
        checkpoints.push(innermost);
    }

    /// Takes back what was written since the innermost checkpoint, and closes it.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut balance = AtomicPointer::from_keyword("/balance");
    /// balance.set_value(1u64);
    /// balance.checkpoint();
    /// balance.set_value(7u64);
    /// balance.rollback();
    /// assert_eq!(balance.get_value::<u64>(), 1);
    /// ```
    pub fn rollback(&mut self) {
        self.store.lock().pop();
    }

    /// Reads a page of a range, as [`get`](KeyValuePointer::get) sees its keys: with what
    /// waits in the open checkpoints of this pointer's family, the innermost on top, over what
    /// the call wrote otherwise.
    ///
    /// Each call looks through all that waits, and all that the call wrote in the range.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// # use metashrew_core::range::Range;
    /// let mut balance = AtomicPointer::from_keyword("/balance/ann");
    /// balance.set_value(7u64);
    /// let range = Range::prefix("/balance/");
    /// assert_eq!(balance.page(&range)?.entries[0].key, b"/balance/ann");
    /// assert!(range.page()?.entries.is_empty());
    /// # Ok::<_, metashrew_core::range::RangeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Range::page`].
    pub fn page(&self, range: &Range) -> Result<Page, RangeError> {
        let window = range.window();
        let mut own: BTreeMap<_, _> = with_own(|own| own.all(window).collect());
        for checkpoint in self.store.lock().iter() {
            let waiting = checkpoint.0.iter();
            let inside = waiting.filter(|(key, _)| window.may_have(key));
            own.extend(inside.map(|(key, value)| (key.clone(), value.clone())));
        }
        range.page_over(&own)
    }

    /// A pointer to another key, with these checkpoints.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut ann = AtomicPointer::from_keyword("/balance/ann");
    /// let mut ben = ann.derive(&IndexPointer::from_keyword("/balance/ben"));
    /// ben.set_value(7u64);
    /// ann.commit();
    /// assert_eq!(ben.get_pointer().get_value::<u64>(), 7);
    /// ```
    #[must_use]
    pub fn derive(&self, pointer: &IndexPointer) -> Self {
        Self {
            pointer: pointer.clone(),
            store: self.store.clone(),
        }
    }

    /// The same key, past all checkpoints.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut name = AtomicPointer::from_keyword("/name");
    /// name.get_pointer().set_value(1u32);
    /// name.set_value(2u32);
    /// assert_eq!(name.get_pointer().get_value::<u32>(), 1);
    /// ```
    pub fn get_pointer(&self) -> IndexPointer {
        self.pointer.clone()
    }

    /// How many checkpoints are open.
    ///
    /// ```
    /// # use metashrew_core::index_pointer::{AtomicPointer, IndexPointer, KeyValuePointer};
    /// let mut name = AtomicPointer::from_keyword("/name");
    /// name.checkpoint();
    /// assert_eq!(name.checkpoint_depth(), 2);
    /// ```
    pub fn checkpoint_depth(&self) -> usize {
        self.store.depth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(word: &str) -> AtomicPointer {
        crate::test_utils::reset();
        AtomicPointer::from_keyword(word)
    }

    fn stored(pointer: &AtomicPointer) -> u32 {
        pointer.get_pointer().get_value()
    }

    #[test]
    fn writes_wait_for_the_last_commit() {
        let mut p = pointer("/a");
        p.set_value(1u32);
        assert_eq!((p.get_value::<u32>(), stored(&p)), (1, 0));
        p.checkpoint();
        p.set_value(2u32);
        p.commit();
        assert_eq!((p.get_value::<u32>(), stored(&p)), (2, 0));
        p.commit();
        assert_eq!((p.get_value::<u32>(), stored(&p)), (2, 2));
        assert_eq!(p.checkpoint_depth(), 1);
    }

    /// Existing state has it so: what was committed last is committed again.
    #[test]
    fn the_last_checkpoint_keeps_what_it_committed() {
        let mut p = pointer("/a");
        p.set_value(1u32);
        p.keyword("/b").set_value(7u32);
        p.commit();
        assert_eq!(stored(&p), 1);
        p.get_pointer().set_value(2u32);
        assert_eq!((p.get_value::<u32>(), stored(&p)), (1, 2));
        p.checkpoint();
        p.keyword("/b").set_value(8u32);
        p.commit();
        p.commit();
        assert_eq!(
            (stored(&p), p.keyword("/b").get_pointer().get_value()),
            (1, 8u32)
        );
        // Pointers that were made anew know nothing of it.
        let mut other = AtomicPointer::from_keyword("/a");
        other.get_pointer().set_value(3u32);
        other.commit();
        assert_eq!((other.get_value::<u32>(), stored(&other)), (3, 3));
    }

    #[test]
    fn a_rollback_takes_back_one_checkpoint() {
        let mut p = pointer("/a");
        p.set_value(1u32);
        p.checkpoint();
        p.set_value(2u32);
        p.checkpoint();
        p.set_value(3u32);
        p.rollback();
        assert_eq!(p.get_value::<u32>(), 2);
        p.rollback();
        assert_eq!(p.get_value::<u32>(), 1);
        assert_eq!(p.checkpoint_depth(), 1);
    }

    #[test]
    fn an_empty_value_hides_an_older_one() {
        let mut p = pointer("/a");
        p.get_pointer().set_value(5u32);
        p.set(Arc::default());
        assert_eq!(p.get_value::<u32>(), 0);
        assert_eq!(stored(&p), 5);
    }

    #[test]
    fn pointers_of_one_family_share_checkpoints() {
        let mut p = pointer("/a");
        p.checkpoint();
        p.keyword("/list").append_value(7u32);
        let derived = p.derive(&IndexPointer::from_keyword("/a/list"));
        assert_eq!(derived.get_list_values::<u32>(), [7]);
        assert_eq!(derived.checkpoint_depth(), 2);
        p.rollback();
        assert_eq!(derived.length(), 0);
        assert_eq!(AtomicPointer::from_keyword("/a/list").checkpoint_depth(), 1);
    }

    #[test]
    #[should_panic(expected = "without checkpoints")]
    fn a_write_with_no_checkpoint_panics() {
        let mut p = pointer("/a");
        p.rollback();
        p.set_value(1u8);
    }

    #[test]
    #[should_panic(expected = "commit() called without checkpoints")]
    fn a_commit_with_no_checkpoint_panics() {
        let mut p = pointer("/a");
        p.rollback();
        p.commit();
    }
}

//! The host in this thread's memory.

mod reads;

use crate::host::MAX_KEY_BYTES;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that a value may have.
const MAX_VALUE_BYTES: usize = 1 << 28;

/// Bytes that a block may flush, where every pair counts [`WRITE_OVERHEAD`] more. These
/// are the limits of `docs/abi.md`.
const MAX_BLOCK_WRITES: usize = 1 << 30;

/// What a pair counts besides its bytes.
const WRITE_OVERHEAD: usize = 64;

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Runs `f` on this thread's host.
pub(crate) fn with<T>(f: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(f)
}

/// What a call reads, and where its flushes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads the newest values and writes at the input's height: for tests that
    /// drive the imports themselves.
    #[default]
    Newest,
    /// Reads the state before the input's height and writes at it.
    Index,
    /// Reads the state after the input's height; flushes are dropped.
    View,
}

/// Every key's values by height.
pub(crate) type Values = BTreeMap<Vec<u8>, BTreeMap<u32, Vec<u8>>>;

#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Whether it does not say where a call begins.
    pub(crate) silent: bool,
    input: Vec<u8>,
    access: Access,
    flushed: bool,
    /// What the block under way flushed: nothing of it is kept unless the block ends
    /// well.
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    /// What that counts against [`MAX_BLOCK_WRITES`].
    waiting_bytes: usize,
    values: Arc<Values>,
    log: Vec<String>,
    /// What `load_answer` hands over.
    answer: Option<Vec<u8>>,
}

impl Host {
    pub(crate) fn set_input(&mut self, input: Vec<u8>) {
        self.input = input;
    }

    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(crate) fn enter(&mut self, access: Access) {
        if access != Access::Newest {
            self.flushed = false;
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.access = access;
        self.answer = None;
    }

    pub(crate) fn clear_outside_of_calls(&mut self) {
        if self.access == Access::Newest {
            self.values = Arc::default();
        }
    }

    pub(crate) fn flushed(&self) -> bool {
        self.flushed
    }

    fn height(&self) -> u32 {
        self.input
            .first_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn get(&self, key: &[u8]) -> &[u8] {
        let version = self
            .values
            .get(key)
            .and_then(|versions| newest_before(versions, self.reads_before()));
        version.map(Vec::as_slice).unwrap_or_default()
    }

    /// The height below which values are read.
    fn reads_before(&self) -> u64 {
        match self.access {
            Access::Newest => u64::MAX,
            Access::Index => self.height().into(),
            Access::View => u64::from(self.height()) + 1,
        }
    }

    pub(crate) fn flush(&mut self, message: &[u8]) {
        self.flushed = true;
        if self.access == Access::View {
            return;
        }
        let flush = metashrew_abi::flush::decode(message);
        let flush = flush.unwrap_or_else(|error| panic!("__flush: {error}"));
        for (key, value) in flush.pairs() {
            let (key_bytes, value_bytes) = (key.len(), value.len());
            assert!(
                key_bytes <= MAX_KEY_BYTES,
                "__flush: a key of {key_bytes} bytes; it may have {MAX_KEY_BYTES}"
            );
            assert!(
                value_bytes <= MAX_VALUE_BYTES,
                "__flush: a value of {value_bytes} bytes; it may have {MAX_VALUE_BYTES}"
            );
            self.waiting_bytes += key_bytes + value_bytes + WRITE_OVERHEAD;
            assert!(
                self.waiting_bytes <= MAX_BLOCK_WRITES,
                "__flush: the block flushes more than {MAX_BLOCK_WRITES} bytes"
            );
            self.waiting.push((key.to_vec(), value.to_vec()));
        }
        if self.access == Access::Newest {
            self.commit();
        }
    }

    /// The block ended well: the last value of each key that it flushed counts.
    pub(crate) fn commit(&mut self) {
        let height = self.height();
        self.waiting_bytes = 0;
        let values = Arc::make_mut(&mut self.values);
        for (key, value) in self.waiting.drain(..) {
            values.entry(key).or_default().insert(height, value);
        }
    }

    /// Forgets what the blocks above a height wrote, or all that was written.
    pub(crate) fn roll_back(&mut self, keep: Option<u32>) {
        Arc::make_mut(&mut self.values).retain(|_, versions| {
            versions.retain(|height, _| Some(*height) <= keep);
            !versions.is_empty()
        });
    }

    pub(crate) fn values(&self) -> Arc<Values> {
        Arc::clone(&self.values)
    }

    pub(crate) fn set_values(&mut self, values: Arc<Values>) {
        self.values = values;
    }

    #[allow(clippy::print_stdout, reason = "a guest's log is a test's output")]
    pub(crate) fn log(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        println!("{}", text.trim_end_matches('\n'));
        self.log.push(text);
    }

    pub(crate) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn state(&self, height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let end = u64::from(height) + 1;
        let newest = self.values.iter().filter_map(|(key, versions)| {
            let value = newest_before(versions, end)?;
            // An empty value is an absent one.
            (!value.is_empty()).then(|| (key.clone(), value.clone()))
        });
        newest.collect()
    }

    pub(crate) fn written(&self, height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let here = self
            .values
            .iter()
            .filter_map(|(key, versions)| Some((key.clone(), versions.get(&height)?.clone())));
        here.collect()
    }
}

/// The newest value below the height `end`.
fn newest_before(versions: &BTreeMap<u32, Vec<u8>>, end: u64) -> Option<&Vec<u8>> {
    let below = versions
        .iter()
        .rev()
        .find(|(height, _)| u64::from(**height) < end);
    below.map(|(_, value)| value)
}

//! The host in this thread's memory.

mod reads;

use std::cell::RefCell;
use std::collections::BTreeMap;

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

#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Whether it does not say where a call begins.
    pub(crate) silent: bool,
    input: Vec<u8>,
    access: Access,
    flushed: bool,
    /// Every key's values by height.
    values: BTreeMap<Vec<u8>, BTreeMap<u32, Vec<u8>>>,
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
        self.access = access;
        self.answer = None;
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
        let height = self.height();
        let flush = metashrew_abi::flush::decode(message);
        let flush = flush.unwrap_or_else(|error| panic!("__flush: {error}"));
        for (key, value) in flush.pairs() {
            let versions = self.values.entry(key.to_vec()).or_default();
            versions.insert(height, value.to_vec());
        }
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
            Some((key.clone(), newest_before(versions, end)?.clone()))
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

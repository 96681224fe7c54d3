//! What is measured: the guest `workload` over ten blocks.

use std::path::Path;

use metashrew_runtime::{MetashrewRuntime, RuntimeOptions, ViewCheck, ViewOptions};
use metashrew_store::{BlockHash, BlockRef, Store, StoreOptions};
use metashrew_testing::guests;
use tempfile::TempDir;

/// The last block.
pub(crate) const HEIGHT: u32 = 9;

const COUNT: [u8; 4] = 1_000_u32.to_le_bytes();

/// The views that are called, each with its input.
pub(crate) const CALLS: [(&str, &[u8]); 4] = [
    ("trivial", b""),
    ("reads", &COUNT),
    ("reads_uncached", &COUNT),
    ("lookup", b"entry number 9999"),
];

pub(crate) struct Subject {
    pub(crate) store: Store,
    pub(crate) runtime: MetashrewRuntime,
}

impl Subject {
    pub(crate) fn in_memory() -> Self {
        Self::checked(ViewCheck::default())
    }

    /// The same, with answers checked so.
    pub(crate) fn checked(check: ViewCheck) -> Self {
        let options = RuntimeOptions {
            views: ViewOptions {
                check,
                ..ViewOptions::default()
            },
            ..RuntimeOptions::default()
        };
        Self::with(&workload(), Store::in_memory(), options)
    }

    /// A small guest whose memory never grows; `counter` is its view.
    pub(crate) fn still() -> Self {
        Self::over(&guests::chained(), Store::in_memory())
    }

    fn over(wasm: &[u8], store: Store) -> Self {
        Self::with(wasm, store, RuntimeOptions::default())
    }

    fn with(wasm: &[u8], store: Store, options: RuntimeOptions) -> Self {
        let runtime =
            MetashrewRuntime::with_options(wasm, store.clone(), options).expect("the guest loads");
        let subject = Self { store, runtime };
        for height in 0..=HEIGHT {
            subject.index(height);
        }
        subject
    }

    pub(crate) fn index(&self, height: u32) {
        let writes = self.runtime.process_block(height, &block(height));
        let block = BlockRef::new(height, hash(height + 1), hash(height));
        self.store
            .commit(&block, &writes.expect("the guest indexes"))
            .expect("it connects");
    }
}

/// A subject in a directory of its own, which goes with it.
pub(crate) struct Disk {
    pub(crate) subject: Subject,
    _directory: TempDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let store = Store::open(directory.path(), StoreOptions::default()).expect("a store");
        Self {
            subject: Subject::over(&workload(), store),
            _directory: directory,
        }
    }
}

/// The guest's module.
pub(crate) fn workload() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/wasm/workload.wasm");
    std::fs::read(path).expect("the guest is kept in the repository")
}

pub(crate) fn block(height: u32) -> Vec<u8> {
    height.to_le_bytes().repeat(25)
}

fn hash(number: u32) -> BlockHash {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    BlockHash::from_bytes(bytes)
}

//! The methods over a small chain, asked without a transport.

use std::num::NonZeroUsize;
use std::time::Duration;

use bitcoin::hashes::Hash;
use metashrew_runtime::{MetashrewRuntime, ModuleCache, RuntimeOptions, ViewOptions};
use metashrew_server::{InProcess, ServerOptions};
use metashrew_store::{BlockHash, BlockRef, Store};
use metashrew_testing::chain::Chain;

/// The height of the first of its blocks.
pub(crate) const FIRST: u32 = 100;

pub(crate) struct Asked {
    pub(crate) methods: InProcess,
    pub(crate) tokio: tokio::runtime::Runtime,
}

impl Asked {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        let views = ViewOptions {
            instances: NonZeroUsize::new(2).unwrap(),
            timeout: Duration::from_millis(500),
            ..ViewOptions::default()
        };
        let runtime = RuntimeOptions {
            cache: ModuleCache::User,
            views,
            ..RuntimeOptions::default()
        };
        let wasm = metashrew_testing::guests::chained();
        let runtime = MetashrewRuntime::with_options(&wasm, Store::in_memory(), runtime).unwrap();
        for block in Chain::new(7).start(FIRST).mine(5) {
            let writes = runtime.process_block(block.height, &block.bytes).unwrap();
            let hash = |hash: bitcoin::BlockHash| BlockHash::from_bytes(hash.to_byte_array());
            let named = BlockRef::new(block.height, hash(block.hash), hash(block.parent));
            runtime.store().commit(&named, &writes).unwrap();
        }
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self {
            methods: InProcess::new(runtime, options),
            tokio,
        }
    }

    /// The answer to a body, if there is any.
    pub(crate) fn ask(&self, body: Vec<u8>) -> Option<Vec<u8>> {
        self.tokio.block_on(self.methods.answer(body.into()))
    }
}

//! A guest that is compiled and checked, before there is a state to run it on.

use std::sync::Arc;

use metashrew_abi::imports;
use metashrew_abi::proto::IndexerMetadata;
use metashrew_store::{GuestId, Store};
use wasmtime::{Engine, ExternType};

use crate::engine;
use crate::error::{LoadError, ViewError};
use crate::guest::Guest;
use crate::inspect;
use crate::options::RuntimeOptions;
use crate::runtime::MetashrewRuntime;
use crate::tables;
use crate::ticker::{Ticker, Ticking};
use crate::view::Sizes;

/// What `_start` must be.
pub(crate) const START_TYPE: &str = "a function `() -> ()`";

/// A guest, compiled and checked. It says what it is before any database is opened.
pub struct PreparedGuest {
    guest: Guest,
    viewing: Engine,
    options: RuntimeOptions,
}

impl PreparedGuest {
    /// Compiles the module `wasm` and checks that it is a guest.
    ///
    /// # Errors
    /// If it is not: see [`LoadError`].
    pub fn new(wasm: &[u8], options: RuntimeOptions) -> Result<Self, LoadError> {
        let tables = tables::count(wasm)?;
        let indexing = match options.block_timeout {
            None => Some(engine::indexing(&options.cache, tables)?),
            Some(_) => None,
        };
        let sizes = Sizes::of(&options.views);
        let others = match indexing {
            Some(_) => options.scouts.instances,
            None => options
                .scouts
                .instances
                .saturating_add(engine::INDEX_SLOTS as usize),
        };
        let viewing = engine::viewing(&options.cache, &sizes, others, tables)?;
        Ok(Self {
            guest: Guest::compile(wasm, indexing.as_ref(), &viewing)?,
            viewing,
            options,
        })
    }

    /// Checks that it can index: that it exports `_start: () -> ()`. A guest that does
    /// not can answer views all the same.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_start(&self) -> Result<(), LoadError> {
        match self.guest.viewing.module().get_export(imports::START) {
            Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0 => {
                Ok(())
            }
            _ => Err(LoadError::MissingExport {
                name: imports::START,
                expected: START_TYPE,
            }),
        }
    }

    /// Who it is: its hash, and what it calls itself.
    pub fn id(&self) -> GuestId {
        inspect::identify(&self.guest, &inspect::description(&self.guest))
    }

    /// SHA-256 of the module.
    pub fn sha256(&self) -> [u8; 32] {
        self.guest.sha256
    }

    /// The functions that the guest imports and this host does not provide, each as
    /// `module.name`. A call of one ends the block or the view that makes it.
    pub fn unknown_imports(&self) -> Vec<String> {
        let module = self.guest.viewing.module();
        let unknown = module
            .imports()
            .filter(|import| !imports::is_provided(import.module(), import.name()));
        unknown
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect()
    }

    /// What the guest tells of itself in `__meta` and the pieces beside it; none if it has
    /// neither.
    ///
    /// # Errors
    /// If the thread that bounds its time cannot be started. What the guest does wrong is
    /// told within.
    pub fn metadata(&self) -> Result<Option<Result<IndexerMetadata, String>>, LoadError> {
        let _epochs = Ticker::start(&self.viewing, Ticking::default(), || true)?;
        Ok(inspect::told(&self.guest))
    }

    /// The names of the guest's views, `__meta` among them.
    pub fn views(&self) -> Vec<&str> {
        self.guest.views_by_number()
    }

    /// Checks that the guest has a view of that name.
    ///
    /// # Errors
    /// [`ViewError::NoSuchView`] if it does not.
    pub fn check_view(&self, name: &str) -> Result<(), ViewError> {
        self.guest.view(name).map(drop)
    }

    /// Bytes of memory that an instance begins with.
    pub fn initial_memory(&self) -> u64 {
        self.guest.least_memory() as u64
    }

    /// The guest over `store`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn over(self, store: Store) -> Result<MetashrewRuntime, LoadError> {
        let guest = Arc::new(self.guest);
        MetashrewRuntime::assemble(guest, &self.viewing, store, self.options)
    }
}

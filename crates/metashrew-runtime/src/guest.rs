//! A guest, compiled and checked: what it exports and how it is instantiated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metashrew_abi::imports;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, ExternType, FuncType, InstancePre, Module, ModuleExport};

use crate::context::Context;
use crate::error::{LoadError, ViewError};
use crate::host::{self, Waits};
use crate::nearest::nearest;
use crate::stack::{self, Counted, Offsets};

/// The export by which a guest says that its caches are partitioned by height,
/// so that one instance may answer for every block.
pub(crate) const HEIGHT_PARTITIONED: &str = "__metashrew_height_partitioned";

/// The export by which a guest asks to keep its memory from one block to the next.
const MEMORY_ACROSS_BLOCKS: &str = "__metashrew_memory_across_blocks";

/// The export by which a guest says that its views mean to answer from what earlier calls
/// left in its memory, so that nobody need check whether they do. With a view's name behind
/// a dot it says so of that view alone.
pub(crate) const ANSWERS_FROM_MEMORY: &str = "__metashrew_answers_from_memory";

/// The export by which a guest takes the number of bytes that its own caches may
/// have: `(i32) -> ()`. Called once on an instance that answers views, or whose memory is
/// kept across blocks.
const CACHE_LIMIT: &str = "__metashrew_cache_limit";

/// The export by which a guest is told that a call begins, and of which kind: `(i32) -> ()`.
const BEGIN: &str = "__metashrew_begin";

/// The export that gives the text of the error with which a view has just ended:
/// `(i32) -> i32`.
pub(crate) const ERROR: &str = "__metashrew_error";

/// One guest, compiled for views and, apart, for indexing, unless blocks are to be
/// interrupted as views are.
pub(crate) struct Guest {
    pub(crate) sha256: [u8; 32],
    pub(crate) indexing: Linked,
    /// For views; a read that is pending holds the thread.
    pub(crate) viewing: Linked,
    /// For views on fibres, which give way while a read is pending.
    pub(crate) viewing_on_fibres: Linked,
    pub(crate) height_partitioned: bool,
    /// Whether what it writes does not depend on its memory, which may be kept therefore.
    pub(crate) memory_across_blocks: bool,
    /// The views that mean to answer from what earlier calls left, by number.
    pub(crate) answers_from_memory: BTreeSet<usize>,
    /// The views whose answers follow from state and input alone, by number.
    pub(crate) height_independent: BTreeSet<usize>,
    /// Views by name, numbered.
    views: BTreeMap<String, usize>,
}

impl Guest {
    pub(crate) fn compile(
        wasm: &[u8],
        indexing: Option<&Engine>,
        viewing: &Engine,
    ) -> Result<Self, LoadError> {
        let counted = stack::count(wasm)?;
        let code = compile_counted(viewing, &counted)?;
        let module = &code.module;
        if !matches!(
            module.get_export(imports::MEMORY),
            Some(ExternType::Memory(_))
        ) {
            return Err(LoadError::MissingExport {
                name: imports::MEMORY,
                expected: "a memory",
            });
        }
        let views = view_names(module)
            .enumerate()
            .map(|(index, name)| (name.to_owned(), index))
            .collect();
        Ok(Self {
            sha256: Sha256::digest(wasm).into(),
            indexing: match indexing {
                Some(engine) => link(&compile_counted(engine, &counted)?, Waits::Thread)?,
                None => link(&code, Waits::Thread)?,
            },
            viewing: link(&code, Waits::Thread)?,
            viewing_on_fibres: link(&code, Waits::Fibre)?,
            height_partitioned: says(module, HEIGHT_PARTITIONED),
            memory_across_blocks: says(module, MEMORY_ACROSS_BLOCKS),
            answers_from_memory: numbers(views_that_say(module, ANSWERS_FROM_MEMORY)),
            height_independent: numbers(views_that_say(module, imports::HEIGHT_INDEPENDENT)),
            views,
        })
    }

    /// Bytes of memory that an instance begins with.
    pub(crate) fn least_memory(&self) -> usize {
        let bytes = match self.viewing.module().get_export(imports::MEMORY) {
            Some(ExternType::Memory(memory)) => memory.minimum().saturating_mul(memory.page_size()),
            _ => 0,
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// How many views the guest has, `__meta` among them.
    pub(crate) fn view_count(&self) -> usize {
        self.views.len()
    }

    /// All views, by name.
    pub(crate) fn views(&self) -> impl Iterator<Item = View<'_>> {
        let views = self.views.iter();
        views.map(|(name, &index)| View { name, index })
    }

    /// The names of all views, in the order of their numbers.
    pub(crate) fn views_by_number(&self) -> Vec<&str> {
        let mut views: Vec<_> = self.views.iter().collect();
        views.sort_by_key(|(_, number)| **number);
        views.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The view called `name`.
    pub(crate) fn view<'a>(&self, name: &'a str) -> Result<View<'a>, ViewError> {
        match self.views.get(name) {
            Some(&index) => Ok(View { name, index }),
            None => Err(ViewError::NoSuchView {
                name: name.to_owned(),
                nearest: self.nearest_view(name).map(str::to_owned),
            }),
        }
    }

    /// The view that may have been meant by `name`. What begins as `__meta` does is none that
    /// anybody means.
    fn nearest_view(&self, name: &str) -> Option<&str> {
        let views = self.views.keys().map(String::as_str);
        nearest(name, views.filter(|view| !view.starts_with("__")))
    }
}

/// A view that the guest has.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) name: &'a str,
    /// Its number among the guest's views.
    pub(crate) index: usize,
}

/// A module that counts its stack, compiled.
pub(crate) struct Code {
    pub(crate) module: Module,
    offsets: Arc<Offsets>,
}

/// Compiled code with all its imports: instances are made of it.
pub(crate) struct Linked {
    pub(crate) instances: InstancePre<Context>,
    pub(crate) offsets: Arc<Offsets>,
    pub(crate) hooks: Hooks,
}

/// Functions that the host calls in a guest that has them. One of another type than the
/// expected one is none. They belong to one compilation of the guest.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) cache_limit: Option<ModuleExport>,
    pub(crate) begin: Option<ModuleExport>,
    pub(crate) error: Option<ModuleExport>,
}

impl Hooks {
    fn of(module: &Module) -> Self {
        Self {
            cache_limit: hook(module, CACHE_LIMIT, 0),
            begin: hook(module, BEGIN, 0),
            error: hook(module, ERROR, 1),
        }
    }
}

impl Linked {
    pub(crate) fn module(&self) -> &Module {
        self.instances.module()
    }
}

/// Compiles `wasm`, or takes it from the cache.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Code, LoadError> {
    compile_counted(engine, &stack::count(wasm)?)
}

fn compile_counted(engine: &Engine, counted: &Counted<'_>) -> Result<Code, LoadError> {
    let module = Module::from_binary(engine, &counted.wasm)
        .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
    Ok(Code {
        module,
        offsets: Arc::clone(&counted.offsets),
    })
}

/// Every export that can be called as a view, `__meta` included.
pub(crate) fn view_names(module: &Module) -> impl Iterator<Item = &str> {
    module
        .exports()
        .filter(|export| matches!(export.ty(), ExternType::Func(ty) if is_view(&ty)))
        .map(|export| export.name())
}

/// Whether a guest has an export by which it says something. A view says nothing.
fn says(module: &Module, name: &str) -> bool {
    match module.get_export(name) {
        Some(ExternType::Func(ty)) => !is_view(&ty),
        export => export.is_some(),
    }
}

/// The views of which a guest says something by an export, with their numbers: all of them by
/// the export `name`, one by `name.VIEW`.
pub(crate) fn views_that_say<'a>(
    module: &'a Module,
    name: &'a str,
) -> impl Iterator<Item = (usize, &'a str)> {
    let of_all = says(module, name);
    let views = view_names(module).enumerate();
    views.filter(move |(_, view)| of_all || says(module, &format!("{name}.{view}")))
}

fn numbers<'a>(views: impl Iterator<Item = (usize, &'a str)>) -> BTreeSet<usize> {
    views.map(|(number, _)| number).collect()
}

/// The function `name` of an `i32`, if it gives so many `i32`.
fn hook(module: &Module, name: &str, results: usize) -> Option<ModuleExport> {
    let Some(ExternType::Func(ty)) = module.get_export(name) else {
        return None;
    };
    let fits = ty.params().len() == 1
        && ty.results().len() == results
        && ty.params().chain(ty.results()).all(|ty| ty.is_i32());
    fits.then(|| module.get_export_index(name)).flatten()
}

/// Whether a function is `() -> i32`.
fn is_view(ty: &FuncType) -> bool {
    ty.params().len() == 0 && ty.results().len() == 1 && ty.results().all(|ty| ty.is_i32())
}

/// Whether a function is `(i32) -> i32`.
pub(crate) fn is_piece(ty: &FuncType) -> bool {
    ty.params().len() == 1
        && ty.results().len() == 1
        && ty.params().chain(ty.results()).all(|ty| ty.is_i32())
}

/// Gives `code` what it imports.
pub(crate) fn link(code: &Code, waits: Waits) -> Result<Linked, LoadError> {
    let module = &code.module;
    let instances = host::linker(module.engine(), module, waits)?
        .instantiate_pre(module)
        .map_err(|error| LoadError::Import(format!("{error:#}")))?;
    Ok(Linked {
        instances,
        offsets: Arc::clone(&code.offsets),
        hooks: Hooks::of(module),
    })
}

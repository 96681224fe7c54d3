//! What a module is, before it is trusted with a block.

use metashrew_abi::imports;
use metashrew_abi::proto::{IndexerMetadata, MAX_METADATA_BYTES};
use metashrew_store::{GuestId, Store};
use prost::Message;
use wasmtime::{ExternType, Module};

use crate::context::Call;
use crate::deadline::Deadline;
use crate::engine;
use crate::error::LoadError;
use crate::fault::Fault;
use crate::guest::{
    ANSWERS_FROM_MEMORY, Code, Guest, Linked, View, compile, is_piece, link, view_names,
    views_that_say,
};
use crate::host::Waits;
use crate::instance::Instance;
use crate::limits::Allowance;
use crate::options::{ModuleCache, ViewOptions};
use crate::tables;
use crate::ticker::{Ticker, Ticking};
use crate::view::Sizes;

/// Characters of a guest's name or version at most.
const MAX_TOLD: usize = 64;

/// A module's imports, exports and description of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleReport {
    /// What it imports, in the module's order.
    pub imports: Vec<Import>,
    /// What it exports, in the module's order.
    pub exports: Vec<Export>,
    /// The exports that can be called as views, by name; `__meta` is not listed.
    pub views: Vec<String>,
    /// Those of them of which it says that their answers do not depend on the height.
    pub height_independent: Vec<String>,
    /// Those of them of which it says that they answer from what earlier calls left in memory.
    pub answers_from_memory: Vec<String>,
    /// Its memory; none if it exports none, and so cannot be a guest.
    pub memory: Option<MemorySize>,
    /// Whether it can index: it exports `_start: () -> ()`.
    pub indexes: bool,
    /// What its `__meta` and the pieces beside it told; none if it has neither.
    pub meta: Option<Result<IndexerMetadata, String>>,
}

impl ModuleReport {
    /// The imports that a Metashrew host may lack, whether this one has them or not. A guest
    /// that has none runs on any.
    pub fn optional_imports(&self) -> impl Iterator<Item = &Import> {
        let is_everywhere = |import: &&Import| import.module == imports::MODULE && import.provided;
        self.imports
            .iter()
            .filter(move |import| !is_everywhere(import))
    }

    /// The names of the exports that a host may use or pass over.
    pub fn optional_exports(&self) -> impl Iterator<Item = &str> {
        let names = self.exports.iter().map(|export| export.name.as_str());
        names.filter(|name| *name == imports::META || name.starts_with(imports::OPTIONAL_EXPORTS))
    }
}

/// Something a module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The import's module.
    pub module: String,
    /// The import's name.
    pub name: String,
    /// Its kind, or its signature if it is a function.
    pub ty: String,
    /// Whether this host provides it; if not, calling it ends the call.
    pub provided: bool,
}

/// Something a module exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The export's name.
    pub name: String,
    /// Its kind, or its signature if it is a function.
    pub ty: String,
}

/// The size of a memory, in pages of 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize {
    /// What it starts with.
    pub minimum: u64,
    /// What it may grow to; none stands for 4 GiB.
    pub maximum: Option<u64>,
}

/// Reports what a module is. The module need not be a complete guest.
///
/// # Errors
/// If the bytes are not a WebAssembly module that can run here.
pub fn inspect(wasm: &[u8]) -> Result<ModuleReport, LoadError> {
    let sizes = Sizes::of(&ViewOptions::default());
    let engine = engine::viewing(&ModuleCache::Off, &sizes, 0, tables::count(wasm)?)?;
    let code = compile(&engine, wasm)?;
    let module = &code.module;
    let exported = |name| module.get_export(name);
    let memory = match exported(imports::MEMORY) {
        Some(ExternType::Memory(memory)) => Some(MemorySize {
            minimum: memory.minimum(),
            maximum: memory.maximum(),
        }),
        _ => None,
    };
    let indexes = matches!(
        exported(imports::START),
        Some(ExternType::Func(ty)) if ty.params().len() == 0 && ty.results().len() == 0
    );
    let views = view_names(module).filter(|name| *name != imports::META);
    let that_say = |export| {
        let views = views_that_say(module, export).map(|(_, name)| name);
        let views = views.filter(|name| *name != imports::META);
        views.map(str::to_owned).collect()
    };
    let _epochs = Ticker::start(&engine, Ticking::default(), || true)?;
    Ok(ModuleReport {
        imports: module.imports().map(|import| import_of(&import)).collect(),
        exports: module
            .exports()
            .map(|export| Export {
                name: export.name().to_owned(),
                ty: describe(&export.ty()),
            })
            .collect(),
        views: views.map(str::to_owned).collect(),
        height_independent: that_say(imports::HEIGHT_INDEPENDENT),
        answers_from_memory: that_say(ANSWERS_FROM_MEMORY),
        memory,
        indexes,
        meta: describes_itself(module).then(|| metadata(&code)),
    })
}

/// What a guest says of itself; nothing where it fails to.
pub(crate) fn description(guest: &Guest) -> IndexerMetadata {
    let meta = told(guest).and_then(|meta| {
        meta.inspect_err(|error| tracing::debug!("`__meta` of the guest fails: {error}"))
            .ok()
    });
    meta.unwrap_or_default()
}

/// Who a guest is: its hash, with the name and the version that it tells.
pub(crate) fn identify(guest: &Guest, meta: &IndexerMetadata) -> GuestId {
    GuestId {
        sha256: guest.sha256,
        name: shortened(&meta.name),
        version: shortened(&meta.version),
    }
}

/// What a guest says of itself in full; none if it says nothing. Its time is bounded where
/// the epochs advance.
pub(crate) fn told(guest: &Guest) -> Option<Result<IndexerMetadata, String>> {
    describes_itself(guest.viewing.module()).then(|| metadata_of(&guest.viewing))
}

/// What a guest says of itself, fit to be kept and printed: letters, digits and the
/// marks of ASCII, and cut where it is long.
fn shortened(text: &str) -> Option<String> {
    let is_plain = |char: &char| char.is_alphanumeric() || char.is_ascii_graphic() || *char == ' ';
    let printable = text.chars().filter(is_plain);
    let text: String = printable.take(MAX_TOLD).collect();
    (!text.is_empty()).then_some(text)
}

fn import_of(import: &wasmtime::ImportType<'_>) -> Import {
    Import {
        module: import.module().to_owned(),
        name: import.name().to_owned(),
        ty: describe(&import.ty()),
        provided: imports::is_provided(import.module(), import.name()),
    }
}

fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => {
            let list = |types: Vec<String>| types.join(", ");
            let params = list(ty.params().map(|ty| ty.to_string()).collect());
            let results = list(ty.results().map(|ty| ty.to_string()).collect());
            format!("({params}) -> ({results})")
        }
        ExternType::Global(_) => "global".to_owned(),
        ExternType::Table(_) => "table".to_owned(),
        ExternType::Memory(_) => "memory".to_owned(),
        ExternType::Tag(_) => "tag".to_owned(),
    }
}

/// Whether a module has a `__meta`, or pieces of it.
fn describes_itself(module: &Module) -> bool {
    has_meta(module) || !pieces(module).is_empty()
}

fn has_meta(module: &Module) -> bool {
    view_names(module).any(|name| name == imports::META)
}

/// The exports that answer with a piece of the module's description, by name.
fn pieces(module: &Module) -> Vec<&str> {
    let is_piece = |export: &wasmtime::ExportType<'_>| {
        export.name().starts_with(imports::META_PIECE)
            && matches!(export.ty(), ExternType::Func(ty) if is_piece(&ty))
    };
    let pieces = module.exports().filter(is_piece);
    let mut pieces: Vec<_> = pieces.map(|export| export.name()).collect();
    pieces.sort_unstable();
    pieces
}

/// Asks a module that describes itself, over an empty state.
fn metadata(code: &Code) -> Result<IndexerMetadata, String> {
    let guest = link(code, Waits::Thread).map_err(|error| error.to_string())?;
    metadata_of(&guest)
}

/// Asks a guest that describes itself, over an empty state: `__meta`, then the pieces. Put
/// one behind the other they are one message, since lists of protobuf add up.
fn metadata_of(guest: &Linked) -> Result<IndexerMetadata, String> {
    let options = ViewOptions::default();
    let call = Call::view(Store::in_memory().snapshot().latest(), 0);
    let told = Instance::create(
        guest,
        call,
        Allowance::up_to(options.max_instance_memory),
        Deadline::after(options.timeout, false),
    )
    .map_err(|fault: Fault| fault.to_string())
    .and_then(|mut instance| told_by(&mut instance, guest.module()))?;
    IndexerMetadata::decode(&*told).map_err(|error| format!("not an IndexerMetadata: {error}"))
}

fn told_by(instance: &mut Instance, module: &Module) -> Result<Vec<u8>, String> {
    let mut told = Vec::new();
    let mut left = MAX_METADATA_BYTES;
    if has_meta(module) {
        let view = View {
            name: imports::META,
            index: 0,
        };
        let reply = instance.view(view, left);
        let meta = reply.map_err(|fault| fault.to_string())?.into_answer()?;
        told.extend_from_slice(&meta);
        left -= meta.len();
    }
    for name in pieces(module) {
        let piece = instance.piece(name, left);
        let piece = piece.map_err(|fault| format!("`{name}`: {fault}"))?;
        told.extend_from_slice(&piece);
        left -= piece.len();
    }
    Ok(told)
}

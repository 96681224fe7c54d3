//! A module between the guest and the host: for each function that the guest imports, one that
//! calls it, and says when that is entered and left.
//!
//! While the host works, a function of this module is the innermost frame of the stack. So a
//! stack that is captured as the host function has returned shows which one it was, whatever
//! host functions there are.

use std::pin::Pin;

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    NameMap, NameSection, TypeSection, ValType,
};
use wasmtime::{Extern, ExternType, Func, FuncType, Instance, Linker, Module, Store};

use metashrew_abi::imports;

use super::document::HOST;
use crate::context::Context;
use crate::error::LoadError;

/// Where the shim's own two imports come from. They are given to it by position: a guest
/// cannot reach them by their names.
const OWN: &str = "profile";

/// The shim of one guest, compiled.
pub(super) struct Shim {
    pub(super) module: Module,
    /// The functions in it, in order: the names of what they stand for.
    pub(super) functions: Vec<String>,
    /// For each import of the guest, which function of the shim it gets; none if a value in
    /// its signature is of a kind that no host function takes.
    places: Vec<Option<usize>>,
}

/// What tells that functions of the host are entered, and left: `(function) -> ()` and
/// `() -> ()`.
pub(super) struct Hooks {
    pub(super) enter: Func,
    pub(super) leave: Func,
}

impl Shim {
    /// The shim of `guest`.
    pub(super) fn of(guest: &Module) -> Result<Self, LoadError> {
        let mut signatures = Vec::new();
        let mut places = Vec::new();
        for import in guest.imports() {
            let signature = match import.ty() {
                ExternType::Func(ty) => Signature::of(import.module(), import.name(), &ty),
                _ => None,
            };
            places.push(signature.map(|signature| {
                signatures.push(signature);
                signatures.len() - 1
            }));
        }
        let module = Module::from_binary(guest.engine(), &encode(&signatures))
            .map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        Ok(Self {
            module,
            functions: signatures.into_iter().map(|it| it.shown).collect(),
            places,
        })
    }

    /// An instance of `guest` whose imports, those of `linker`, are called through the shim.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<Context>,
        guest: &Module,
        linker: &Linker<Context>,
        hooks: Hooks,
    ) -> wasmtime::Result<Instance> {
        let mut externs = Vec::new();
        for import in guest.imports() {
            externs.push(linker.get(&mut *store, import.module(), import.name())?);
        }
        let mut given = vec![Extern::Func(hooks.enter), Extern::Func(hooks.leave)];
        let shimmed = externs.iter().zip(&self.places);
        given.extend(shimmed.filter_map(|(host, place)| place.map(|_| host.clone())));
        // Boxed: a future of wasmtime's is large.
        let made: Pin<Box<_>> = Box::pin(Instance::new_async(&mut *store, &self.module, &given));
        let shim = made.await?;
        for (external, place) in externs.iter_mut().zip(&self.places) {
            let export = place.and_then(|place| shim.get_export(&mut *store, &place.to_string()));
            if let Some(export) = export {
                *external = export;
            }
        }
        Instance::new_async(store, guest, &externs).await
    }
}

/// A function that the guest imports.
struct Signature {
    shown: String,
    params: Vec<ValType>,
    results: Vec<ValType>,
}

impl Signature {
    fn of(module: &str, name: &str, ty: &FuncType) -> Option<Self> {
        let shown = if imports::is_provided(module, name) {
            format!("{name} (host)")
        } else {
            format!("{module}.{name} (host)")
        };
        Some(Self {
            shown,
            params: ty
                .params()
                .map(|ty| value_type(&ty))
                .collect::<Option<_>>()?,
            results: ty
                .results()
                .map(|ty| value_type(&ty))
                .collect::<Option<_>>()?,
        })
    }
}

fn value_type(ty: &wasmtime::ValType) -> Option<ValType> {
    Some(match ty {
        wasmtime::ValType::I32 => ValType::I32,
        wasmtime::ValType::I64 => ValType::I64,
        wasmtime::ValType::F32 => ValType::F32,
        wasmtime::ValType::F64 => ValType::F64,
        wasmtime::ValType::V128 => ValType::V128,
        wasmtime::ValType::Ref(_) => return None,
    })
}

/// The shim's bytes: imports `enter`, `leave` and the functions, exports one for each function,
/// by its number.
fn encode(signatures: &[Signature]) -> Vec<u8> {
    const ENTER: u32 = 0;
    const LEAVE: u32 = 1;
    const FIRST: u32 = 2;
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
    let (mut code, mut names) = (CodeSection::new(), NameMap::new());
    types.ty().function([ValType::I32], []);
    types.ty().function([], []);
    imports.import(OWN, "enter", EntityType::Function(ENTER));
    imports.import(OWN, "leave", EntityType::Function(LEAVE));
    let numbered = || (0_u32..).zip(signatures);
    let count = u32::try_from(signatures.len()).unwrap_or(u32::MAX);
    for (number, signature) in numbered() {
        let params = signature.params.iter().copied();
        types
            .ty()
            .function(params, signature.results.iter().copied());
        // The types of the two hooks come first, as they do.
        let ty = FIRST + number;
        imports.import(OWN, &number.to_string(), EntityType::Function(ty));
        functions.function(ty);
        let function = FIRST + count + number;
        exports.export(&number.to_string(), ExportKind::Func, function);
        names.append(function, &signature.shown);
        let mut body = Function::new([]);
        let mut sink = body.instructions();
        sink.i32_const(number.cast_signed()).call(ENTER);
        for (param, _) in (0_u32..).zip(&signature.params) {
            sink.local_get(param);
        }
        sink.call(FIRST + number).call(LEAVE).end();
        code.function(&body);
    }
    let mut name_section = NameSection::new();
    name_section.module(HOST);
    name_section.functions(&names);
    let mut module = wasm_encoder::Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&exports)
        .section(&code)
        .section(&name_section);
    module.finish()
}

//! What each function of a module costs on the stack, and what it calls.

use std::ops::Range;

use wasmparser::types::CoreTypeId;
use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, FuncToValidate, FuncValidatorAllocations,
    FunctionBody, Operator, Parser, Payload, TableInit, TypeRef, ValType, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

/// What every frame costs: the return address, the saved registers.
const FRAME: u64 = 32;

/// What a parameter, a local or an operand costs in a function of integers. With others, twice
/// as much: registers of floats are kept whole, like those of vectors.
const SLOT: u64 = 8;

/// A compiler may compute values ahead and keep them across a call: a value for so many bytes
/// of code at most, since it takes one to compute it and one to use it, with their operands. So
/// many bytes cost one.
const CODE_PER_COST: u64 = 4;

/// The functions of a module.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) functions: Vec<Function>,
    /// The functions that may be called through a table, each with its type.
    pub(super) referenced: Vec<(TypeId, u32)>,
    /// How many globals there are.
    pub(super) globals: u32,
}

/// Equal types share one; none is that of no type.
pub(super) type TypeId = Option<CoreTypeId>;

#[derive(Debug)]
pub(super) struct Function {
    pub(super) cost: u64,
    pub(super) calls: Vec<Call>,
}

/// An instruction that calls.
#[derive(Debug)]
pub(super) struct Call {
    /// Where it is in the module.
    pub(super) at: Range<usize>,
    pub(super) to: Callee,
    /// Whether the caller's frame is gone by then.
    pub(super) is_tail: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Callee {
    /// A function, by its place in [`Frames::functions`].
    Function(u32),
    /// Any function of that type that may be called through a table.
    OfType(TypeId),
    /// Any function that may be called through a table or a reference.
    Any,
}

type Result<T> = std::result::Result<T, BinaryReaderError>;

impl Frames {
    /// # Errors
    /// If `wasm` is no valid module in any version of WebAssembly.
    pub(super) fn of(wasm: &[u8]) -> Result<Self> {
        let features = WasmFeatures::all();
        let mut parser = Parser::new(0);
        parser.set_features(features);
        let mut reading = Reading {
            validator: Validator::new_with_features(features),
            frames: Self::default(),
            imported: 0,
            types: Vec::new(),
            referenced: Vec::new(),
        };
        let mut allocations = FuncValidatorAllocations::default();
        for payload in parser.parse_all(wasm) {
            let payload = payload?;
            let validated = reading.validator.payload(&payload)?;
            reading.section(payload)?;
            if let ValidPayload::Func(function, body) = validated {
                allocations = reading.function(function, &body, allocations)?;
            }
        }
        Ok(reading.end())
    }
}

struct Reading {
    validator: Validator,
    frames: Frames,
    /// How many functions are imported: those come first.
    imported: u32,
    /// The types of all functions.
    types: Vec<TypeId>,
    /// Functions that references are taken of.
    referenced: Vec<u32>,
}

impl Reading {
    fn section(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.imported += 1;
                            let ty = self.type_id(ty);
                            self.types.push(ty);
                        }
                        TypeRef::Global(_) => self.frames.globals += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let ty = self.type_id(ty?);
                    self.types.push(ty);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    if let TableInit::Expr(value) = table?.init {
                        self.constant(&value)?;
                    }
                }
            }
            Payload::GlobalSection(section) => {
                self.frames.globals += section.count();
                for global in section {
                    self.constant(&global?.init_expr)?;
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                self.referenced.push(function?);
                            }
                        }
                        ElementItems::Expressions(_, values) => {
                            for value in values {
                                self.constant(&value?)?;
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn constant(&mut self, value: &ConstExpr<'_>) -> Result<()> {
        for operator in value.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.referenced.push(function_index);
            }
        }
        Ok(())
    }

    /// The type number `ty` of the module, which the validator has seen.
    fn type_id(&self, ty: u32) -> TypeId {
        let types = self.validator.types(0)?;
        Some(types.core_type_at_in_module(ty))
    }

    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: FuncValidatorAllocations,
    ) -> Result<FuncValidatorAllocations> {
        let mut validator = function.into_validator(allocations);
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = validator.len_locals();
        let mut is_wide = (0..locals).any(|local| wide(validator.get_local_type(local)));
        let (mut operands, mut calls) = (0, Vec::new());
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let start = reader.original_position();
            let operator = reader.read()?;
            // Before it is applied: an `end` takes with it the block that says so.
            let results = operator.operator_arity(&validator);
            let results = results.map_or(1, |(_, results)| results as usize);
            validator.op(start, &operator)?;
            let at = start..reader.original_position();
            self.operator(&operator, at, &mut calls);
            let is_reached = validator
                .get_control_frame(0)
                .is_some_and(|frame| !frame.unreachable);
            if is_reached {
                operands = operands.max(validator.operand_stack_height());
                is_wide = is_wide
                    || (0..results).any(|depth| wide(validator.get_operand_type(depth).flatten()));
            }
        }
        reader.finish()?;
        let slot = if is_wide { 2 * SLOT } else { SLOT };
        let code = body.as_bytes().len() as u64;
        let slots = u64::from(locals) + u64::from(operands);
        self.frames.functions.push(Function {
            cost: FRAME + slot * slots + code / CODE_PER_COST,
            calls,
        });
        Ok(validator.into_allocations())
    }

    fn operator(&mut self, operator: &Operator<'_>, at: Range<usize>, calls: &mut Vec<Call>) {
        let (to, is_tail) = match *operator {
            Operator::RefFunc { function_index } => {
                self.referenced.push(function_index);
                return;
            }
            Operator::Call { function_index } => (self.defined(function_index), false),
            Operator::ReturnCall { function_index } => (self.defined(function_index), true),
            Operator::CallIndirect { type_index, .. } => {
                (Some(Callee::OfType(self.type_id(type_index))), false)
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                (Some(Callee::OfType(self.type_id(type_index))), true)
            }
            Operator::CallRef { .. } => (Some(Callee::Any), false),
            Operator::ReturnCallRef { .. } => (Some(Callee::Any), true),
            _ => return,
        };
        // A function of the host calls no guest.
        if let Some(to) = to {
            calls.push(Call { at, to, is_tail });
        }
    }

    fn defined(&self, function: u32) -> Option<Callee> {
        function.checked_sub(self.imported).map(Callee::Function)
    }

    fn end(mut self) -> Frames {
        self.referenced.sort_unstable();
        self.referenced.dedup();
        for function in self.referenced {
            if let Some(defined) = function.checked_sub(self.imported)
                && let Some(ty) = self.types.get(function as usize)
            {
                self.frames.referenced.push((*ty, defined));
            }
        }
        self.frames
    }
}

/// Whether values of a type are in registers that take two slots.
fn wide(ty: Option<ValType>) -> bool {
    matches!(ty, Some(ValType::F32 | ValType::F64 | ValType::V128))
}

//! What a client is made of: views, and the types that they take and answer, before any language.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// How deep what tells two types of one name apart may lie within them. Ordinary ones differ at once.
const MAX_ROUNDS: usize = 64;

/// A guest's own interface.
#[derive(Debug, Default)]
pub(super) struct Api {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) doc: String,
    /// In the order of their names.
    pub(super) views: Vec<View>,
    /// The names of the guest's tables.
    pub(super) storage: Vec<String>,
    /// The types that have names; those of the views name them by their places here.
    pub(super) types: Vec<Declared>,
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) input: Form,
    pub(super) output: Form,
    /// What the guest says that it takes and answers, in its own words.
    pub(super) told: [String; 2],
}

/// How a view's input or answer is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// The guest does not say: the caller chooses.
    Any,
    Nothing,
    Bytes,
    Text,
    Json(Type),
}

/// A type that has a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Declared {
    /// As its schema has it, or as made from where it stands; not yet one of a language.
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) ty: Type,
}

/// A type of JSON values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Unknown,
    Null,
    Boolean,
    /// A whole number between -(2^53 - 1) and 2^53 - 1, which every language's JSON holds exactly.
    SmallInteger,
    Integer,
    Number,
    Text,
    /// One text, number or truth value.
    Literal(Value),
    List(Box<Type>),
    Tuple(Vec<Type>),
    /// From texts.
    Map(Box<Type>),
    /// Stands in a declaration only.
    Object(Object),
    /// Two at least, none of them a union.
    Union(Vec<Type>),
    Declared(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) fields: Vec<Field>,
    /// Whether there may be other members.
    pub(super) is_open: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) ty: Type,
    pub(super) is_required: bool,
}

impl Type {
    /// One of several.
    pub(super) fn union(types: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for ty in types {
            let parts = match ty {
                Self::Union(parts) => parts,
                Self::Unknown => return Self::Unknown,
                other => vec![other],
            };
            for part in parts {
                if !all.contains(&part) {
                    all.push(part);
                }
            }
        }
        match all.len() {
            0 => Self::Unknown,
            1 => all.remove(0),
            _ => Self::Union(all),
        }
    }

    /// Calls for each type directly within, declared ones not entered.
    fn each_within(&mut self, call: &mut dyn FnMut(&mut Self)) {
        match self {
            Self::List(of) | Self::Map(of) => call(of),
            Self::Tuple(of) | Self::Union(of) => of.iter_mut().for_each(call),
            Self::Object(object) => object
                .fields
                .iter_mut()
                .for_each(|field| call(&mut field.ty)),
            _ => {}
        }
    }

    /// Replaces the places of declared types, at any depth.
    pub(super) fn replace(&mut self, place: &dyn Fn(usize) -> usize) {
        if let Self::Declared(at) = self {
            *at = place(*at);
        }
        self.each_within(&mut |ty| ty.replace(place));
        if let Self::Union(parts) = self {
            *self = Self::union(std::mem::take(parts));
        }
    }

    /// The declared types that this one is made of without anything around them.
    fn direct(&self) -> Vec<usize> {
        match self {
            Self::Declared(at) => vec![*at],
            Self::Union(parts) => parts.iter().flat_map(Self::direct).collect(),
            _ => Vec::new(),
        }
    }
}

impl Api {
    /// Makes one of types that are the same, and forgets those that nothing names.
    pub(super) fn settle(&mut self) {
        self.break_circles();
        let mut same = self.classes();
        // The first of each class stands for it, in the order in which views name them.
        let mut order = Vec::new();
        for form in self
            .views
            .iter()
            .flat_map(|view| [&view.input, &view.output])
        {
            if let Form::Json(ty) = form {
                reach(&self.types, ty, &same, &mut order);
            }
        }
        for class in &mut same {
            *class = order.iter().position(|at| at == class).unwrap_or_default();
        }
        let place = |at: usize| same.get(at).copied().unwrap_or_default();
        self.types = order
            .iter()
            .filter_map(|at| self.types.get(*at).cloned())
            .collect();
        for declared in &mut self.types {
            declared.ty.replace(&place);
        }
        for form in self
            .views
            .iter_mut()
            .flat_map(|view| [&mut view.input, &mut view.output])
        {
            if let Form::Json(ty) = form {
                ty.replace(&place);
            }
        }
    }

    /// A type that is itself, or itself or something else, is no type.
    fn break_circles(&mut self) {
        for start in 0..self.types.len() {
            let mut seen = BTreeSet::from([start]);
            let mut waiting = vec![start];
            while let Some(at) = waiting.pop() {
                let direct = self.types.get(at).map(|declared| declared.ty.direct());
                for within in direct.unwrap_or_default() {
                    if within == start {
                        if let Some(declared) = self.types.get_mut(start) {
                            declared.ty = Type::Unknown;
                        }
                    } else if seen.insert(within) {
                        waiting.push(within);
                    }
                }
            }
        }
    }

    /// For each type the first one that is the same: by all that both consist of, at any depth. Types are
    /// taken for the same until something within tells them apart; where that lies too deep, all are kept.
    fn classes(&self) -> Vec<usize> {
        let mut classes = vec![0; self.types.len()];
        for _ in 0..MAX_ROUNDS {
            let mut first = BTreeMap::new();
            let told = self.types.iter().map(|declared| {
                let mut declared = declared.clone();
                declared
                    .ty
                    .replace(&|at| classes.get(at).copied().unwrap_or_default());
                format!("{declared:?}")
            });
            let told = told
                .zip(0..)
                .map(|(told, at)| *first.entry(told).or_insert(at));
            let next: Vec<usize> = told.collect();
            if next == classes {
                return classes;
            }
            classes = next;
        }
        (0..self.types.len()).collect()
    }
}

/// Adds the declared types that a type names, each once, itself before what it names.
fn reach(types: &[Declared], ty: &Type, same: &[usize], order: &mut Vec<usize>) {
    if let Type::Declared(at) = ty {
        let at = same.get(*at).copied().unwrap_or(*at);
        if order.contains(&at) {
            return;
        }
        order.push(at);
        if let Some(declared) = types.get(at) {
            reach(types, &declared.ty, same, order);
        }
    }
    ty.clone()
        .each_within(&mut |within| reach(types, within, same, order));
}

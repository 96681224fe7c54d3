//! Where a type has numbers that are doubles. The runtime in TypeScript reads a whole number beyond 2^53 as a
//! `bigint`, which is right where the type is a whole number; a guest may write a large double in the same way.
//!
//! What is written here is an expression of the runtime's type `Doubles`. Where a value alone does not tell which
//! of several types it has, nothing is: a whole number is never rounded.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::model::{Declared, Object, Type};

/// The declared types, and which of them have doubles.
pub(super) struct Doubles<'a> {
    types: &'a [Declared],
    names: &'a [String],
    have: Vec<bool>,
    is_named: Cell<bool>,
}

impl<'a> Doubles<'a> {
    /// `names` are those of the types in the language.
    pub(super) fn of(types: &'a [Declared], names: &'a [String]) -> Self {
        let mut have = vec![false; types.len()];
        loop {
            let next: Vec<_> = types.iter().map(|it| has_any(&it.ty, &have)).collect();
            if next == have {
                break;
            }
            have = next;
        }
        Self {
            types,
            names,
            have,
            is_named: Cell::new(false),
        }
    }

    /// Whether what was written so far names a declared type.
    pub(super) fn is_named(&self) -> bool {
        self.is_named.get()
    }

    /// Those of a declared type, if it has any.
    pub(super) fn declared(&self, at: usize) -> Option<String> {
        self.within(&self.types.get(at)?.ty)
    }

    /// Those of a type, if it has any.
    pub(super) fn within(&self, ty: &Type) -> Option<String> {
        match ty {
            Type::Number => Some("true".to_owned()),
            Type::List(of) | Type::Map(of) => Some(format!("{{ each: {} }}", self.within(of)?)),
            Type::Tuple(items) => {
                let items = items.iter().enumerate();
                members(items.map(|(at, ty)| (at.to_string(), self.within(ty))))
            }
            Type::Object(object) => {
                let fields = object.fields.iter();
                members(fields.map(|field| (field.name.clone(), self.within(&field.ty))))
            }
            Type::Union(parts) => self.one_of(parts),
            Type::Declared(at) => {
                let name = self.names.get(*at)?;
                if !self.have.get(*at).copied().unwrap_or_default() {
                    return None;
                }
                self.is_named.set(true);
                Some(format!("() => doubles[{}]", Value::from(name.as_str())))
            }
            _ => None,
        }
    }

    /// Those of one of several types: of the only one that may have any, or of members that are alike in all
    /// objects that have them.
    fn one_of(&self, parts: &[Type]) -> Option<String> {
        let parts: Vec<_> = parts.iter().filter(|part| !is_plain(part)).collect();
        if let [only] = parts.as_slice() {
            return self.within(only);
        }
        let mut alike: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for part in parts {
            let Type::Declared(at) = part else {
                return None;
            };
            let Type::Object(Object { fields, is_open }) = &self.types.get(*at)?.ty else {
                return None;
            };
            if *is_open {
                return None;
            }
            for field in fields {
                let doubles = self.within(&field.ty);
                alike
                    .entry(&field.name)
                    .and_modify(|known| {
                        *known = known.take().filter(|it| Some(it) == doubles.as_ref());
                    })
                    .or_insert(doubles);
            }
        }
        let alike = alike.into_iter();
        members(alike.map(|(name, doubles)| (name.to_owned(), doubles)))
    }
}

/// Whether a type is, or has within it, a double; `have` says it of declared ones.
fn has_any(ty: &Type, have: &[bool]) -> bool {
    match ty {
        Type::Number => true,
        Type::List(of) | Type::Map(of) => has_any(of, have),
        Type::Tuple(parts) | Type::Union(parts) => parts.iter().any(|part| has_any(part, have)),
        Type::Object(object) => object.fields.iter().any(|field| has_any(&field.ty, have)),
        Type::Declared(at) => have.get(*at).copied().unwrap_or_default(),
        _ => false,
    }
}

/// What is the same value, whatever it is read as.
fn is_plain(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Null | Type::Boolean | Type::SmallInteger | Type::Text | Type::Literal(_)
    )
}

/// In brackets, since `__proto__` is a name like any other there.
fn members(all: impl Iterator<Item = (String, Option<String>)>) -> Option<String> {
    let all = all.filter_map(|(name, doubles)| {
        let name = crate::printable::json(&Value::from(name).to_string()).into_owned();
        Some(format!("[{name}]: {}", doubles?))
    });
    let all: Vec<_> = all.collect();
    (!all.is_empty()).then(|| format!("{{ members: {{ {} }} }}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::codegen::model::Field;

    fn object(name: &str, fields: &[(&str, Type)]) -> Declared {
        let fields = fields.iter().map(|(name, ty)| Field {
            name: (*name).to_owned(),
            doc: String::new(),
            ty: ty.clone(),
            is_required: true,
        });
        let fields = fields.collect();
        Declared {
            name: name.to_owned(),
            doc: String::new(),
            ty: Type::Object(Object {
                fields,
                is_open: false,
            }),
        }
    }

    #[test]
    fn doubles_are_found_wherever_the_type_tells() {
        let list = |ty| Type::List(Box::new(ty));
        let types = [
            object("A", &[("x", Type::Number), ("n", Type::Integer)]),
            object("B", &[("x", Type::Number), ("n", Type::Number)]),
            object(
                "C",
                &[("of", Type::Declared(2)), ("a", list(Type::Declared(0)))],
            ),
            object("D", &[("n", Type::Integer)]),
        ];
        let names: Vec<_> = types.iter().map(|declared| declared.name.clone()).collect();
        let doubles = Doubles::of(&types, &names);
        let check = |ty: Type, expect: Option<&str>| {
            assert_eq!(doubles.within(&ty).as_deref(), expect, "{ty:?}");
        };
        check(Type::Integer, None);
        check(Type::Unknown, None);
        assert!(!doubles.is_named());
        check(list(Type::Number), Some("{ each: true }"));
        check(Type::union([Type::Number, Type::Null]), Some("true"));
        // Which it is, nobody can tell.
        check(Type::union([Type::Number, Type::Integer]), None);
        check(
            Type::Tuple(vec![Type::Integer, Type::Number]),
            Some(r#"{ members: { ["1"]: true } }"#),
        );
        check(Type::Declared(0), Some(r#"() => doubles["A"]"#));
        check(Type::Declared(3), None);
        assert!(doubles.is_named());
        check(
            Type::union([Type::Declared(0), Type::Declared(1)]),
            Some(r#"{ members: { ["x"]: true } }"#),
        );
        check(Type::union([Type::Declared(1), Type::Unknown]), None);
        check(
            Type::union([Type::Declared(1), Type::Map(Box::new(Type::Integer))]),
            None,
        );
        assert_eq!(
            doubles.declared(2).as_deref(),
            Some(
                r#"{ members: { ["of"]: () => doubles["C"], ["a"]: { each: () => doubles["A"] } } }"#
            )
        );
        assert_eq!(doubles.declared(3), None);
    }
}

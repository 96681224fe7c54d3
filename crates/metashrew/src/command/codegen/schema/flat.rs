//! One schema of several that hold together: what `$ref` and `allOf` name, written into the one that names it.

use serde_json::Value;

use super::{Document, MAX_DEPTH, Schema, array};

impl Document<'_> {
    /// A schema with what its `$ref` and `allOf` name written into it. What is left in `allOf` are alternatives
    /// beside those that the schema has.
    pub(super) fn flat(&mut self, mut schema: Schema, depth: usize) -> Schema {
        let reference = schema.remove("$ref");
        let all = schema.remove("allOf");
        let named = reference
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|named| self.resolve(named));
        let named = named.and_then(Value::as_object).cloned();
        let all = all.into_iter().flat_map(|all| match all {
            Value::Array(all) => all,
            _ => Vec::new(),
        });
        let all = all.filter_map(|part| match part {
            Value::Object(part) => Some(part),
            _ => None,
        });
        for part in named.into_iter().chain(all) {
            if depth > MAX_DEPTH || !self.schemas.spend(1) {
                break;
            }
            let part = self.flat(part, depth + 1);
            self.merge(&mut schema, &part);
        }
        schema
    }

    /// Adds what has to hold, too. Where both say something of one thing, what was there stays, which allows
    /// no less. Of alternatives it would: each may have members of its own, so both are kept.
    pub(super) fn merge(&mut self, into: &mut Schema, other: &Schema) {
        for (word, value) in other {
            match (into.get_mut(word), value) {
                (Some(Value::Object(have)), Value::Object(more)) if word == "properties" => {
                    if self.schemas.spend(more.len()) {
                        for (name, schema) in more {
                            have.entry(name.clone()).or_insert_with(|| schema.clone());
                        }
                    }
                }
                (Some(Value::Array(have)), Value::Array(more)) if word == "required" => {
                    if self.schemas.spend(more.len()) {
                        have.extend(more.iter().cloned());
                    }
                }
                (Some(have), _) if (word == "oneOf" || word == "anyOf") && have != value => {
                    let other = Value::Object(Schema::from_iter([(word.clone(), value.clone())]));
                    self.add_alternatives(into, &[other]);
                }
                (_, Value::Array(more)) if word == "allOf" => self.add_alternatives(into, more),
                (Some(_), _) => {}
                (None, _) => {
                    into.insert(word.clone(), value.clone());
                }
            }
        }
    }

    /// Keeps alternatives beside those that a schema has, each once, however often it is referred to.
    fn add_alternatives(&mut self, into: &mut Schema, more: &[Value]) {
        let all = into
            .entry("allOf")
            .or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(all) = all else { return };
        for other in more {
            if self.schemas.spend(1 + all.len()) && !all.contains(other) {
                all.push(other.clone());
            }
        }
    }
}

/// In how many ways one can be taken from each list of alternatives.
pub(super) fn combinations(schema: &Schema) -> usize {
    let lists = ["oneOf", "anyOf"].map(|word| array(schema, word).count().max(1));
    let parts = array(schema, "allOf").filter_map(Value::as_object);
    let counts = lists.into_iter().chain(parts.map(combinations));
    counts.fold(1, usize::saturating_mul)
}

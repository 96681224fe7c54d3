//! The form of a guest's state: the tables that it tells of in `__meta`.

use std::collections::BTreeSet;

use metashrew_abi::proto::{IndexerMetadata, Storage};
use serde::{Deserialize, Serialize};

/// The tables, each in one line. Empty for a guest that does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form(BTreeSet<String>);

impl Form {
    pub(super) fn of(meta: &IndexerMetadata) -> Self {
        Self(meta.storage.iter().map(line).collect())
    }

    /// What has changed since `before`, in words; none if nothing has.
    pub(super) fn difference(&self, before: &Self) -> Option<String> {
        let gone = before.0.difference(&self.0).map(|line| format!("- {line}"));
        let new = self.0.difference(&before.0).map(|line| format!("+ {line}"));
        let lines: Vec<_> = gone.chain(new).collect();
        (!lines.is_empty()).then(|| {
            let lines = lines.join("\n");
            format!("the form of the state has changed\n{lines}")
        })
    }
}

fn line(table: &Storage) -> String {
    let key = table.key.iter();
    let key: Vec<_> = key
        .map(|part| format!("{}: {}", part.name, part.ty))
        .collect();
    let (kind, name, value) = (&table.kind, &table.name, &table.value);
    let (prefix, key) = (hex::encode(&table.prefix), key.join(", "));
    format!("{kind} {name} at {prefix}: ({key}) -> {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_not_their_docs_make_the_form() {
        let of = |prefix: &[u8], doc: &str| {
            let storage = Storage {
                name: "balances".to_owned(),
                kind: "map".to_owned(),
                value: "u64".to_owned(),
                prefix: prefix.to_owned(),
                doc: doc.to_owned(),
                ..Storage::default()
            };
            Form::of(&IndexerMetadata {
                storage: vec![storage],
                ..IndexerMetadata::default()
            })
        };
        assert_eq!(of(b"a", "one").difference(&of(b"a", "other")), None);
        let changed = of(b"b", "").difference(&of(b"a", "")).unwrap();
        assert_eq!(
            changed,
            "the form of the state has changed\n- map balances at 61: () -> u64\n\
             + map balances at 62: () -> u64"
        );
    }
}

//! The name of a project.

use std::str::FromStr;

/// As long as a name may be: it becomes part of file names.
const MAX_BYTES: usize = 64;

/// Words that the languages of guests, or their compilers, have for themselves. Those of C and
/// Rust that are in both are here once.
const RESERVED: [&str; 87] = [
    "abstract",
    "alignas",
    "alignof",
    "alloc",
    "as",
    "async",
    "auto",
    "await",
    "become",
    "bool",
    "box",
    "break",
    "case",
    "char",
    "const",
    "constexpr",
    "continue",
    "core",
    "crate",
    "default",
    "do",
    "double",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "float",
    "fn",
    "for",
    "gen",
    "goto",
    "if",
    "impl",
    "in",
    "inline",
    "int",
    "let",
    "long",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "node_modules",
    "nullptr",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "register",
    "restrict",
    "return",
    "self",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "std",
    "struct",
    "super",
    "switch",
    "test",
    "thread_local",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typeof",
    "typeof_unqual",
    "union",
    "unsafe",
    "unsigned",
    "unsized",
    "use",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "yield",
];

/// A name that is one of a crate, of an npm package and, with `_` for `-`, of a C function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

impl ProjectName {
    /// As given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As the languages' identifiers have it.
    pub(crate) fn identifier(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let Some(fault) = fault(name) else {
            return Ok(Self(name.to_owned()));
        };
        let instead = suggestion(name).filter(|name| fault_free(name));
        Err(match instead {
            Some(instead) => format!("{fault}; `{instead}` would do"),
            None => fault,
        })
    }
}

/// What is wrong with a name.
fn fault(name: &str) -> Option<String> {
    let is_allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_');
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("a name begins with a small letter, `a` to `z`".to_owned());
    }
    if let Some(other) = name.chars().find(|letter| !is_allowed(*letter)) {
        return Some(format!(
            "a name has small letters, digits, `-` and `_`, and not `{}`",
            other.escape_default()
        ));
    }
    if name.len() > MAX_BYTES {
        return Some(format!("a name has at most {MAX_BYTES} letters"));
    }
    let identifier = name.replace('-', "_");
    if RESERVED.contains(&&*identifier) {
        return Some("a language of guests has this word for itself".to_owned());
    }
    // A package cannot depend on one of its own name.
    let is_dependency = ["hex", "serde", "serde_json"].contains(&&*identifier);
    if is_dependency || identifier.starts_with("metashrew") {
        return Some("a library that guests depend on has this name".to_owned());
    }
    None
}

fn fault_free(name: &str) -> bool {
    fault(name).is_none()
}

/// The most similar name that may be right; none if nothing is left of the name.
fn suggestion(name: &str) -> Option<String> {
    let allowed = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '_') => letter,
        _ => '-',
    };
    let similar: String = name.chars().map(allowed).take(MAX_BYTES).collect();
    let similar = similar.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    let similar = similar.trim_end_matches('-');
    Some(match similar {
        "" => return None,
        _ if fault_free(similar) => similar.to_owned(),
        _ => format!("my-{similar}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_language_takes() {
        for name in ["a", "balances", "my-guest", "my_guest_2", "core-values"] {
            let parsed: ProjectName = name.parse().unwrap();
            assert_eq!(parsed.as_str(), name);
        }
        let parsed: ProjectName = "my-guest_2".parse().unwrap();
        assert_eq!(parsed.identifier(), "my_guest_2");
    }

    #[test]
    fn other_names_are_refused_with_a_better_one() {
        let long = "x".repeat(65);
        for (name, expect) in [
            ("", "begins with a small letter"),
            (
                "My Guest",
                "begins with a small letter, `a` to `z`; `my-guest` would do",
            ),
            ("myGuest", "and not `G`; `myguest` would do"),
            ("my.guest", "and not `.`; `my-guest` would do"),
            ("a/b", "and not `/`; `a-b` would do"),
            (
                "../a",
                "begins with a small letter, `a` to `z`; `a` would do",
            ),
            ("2nd", "`nd` would do"),
            ("_a", "`a` would do"),
            ("-", "begins with a small letter"),
            ("größe", "and not `\\u{f6}`; `gr--e` would do"),
            ("a\u{1b}[0m", "and not `\\u{1b}`"),
            ("yield", "has this word for itself; `my-yield` would do"),
            ("unsized", "has this word for itself; `my-unsized` would do"),
            ("match", "has this word for itself; `my-match` would do"),
            ("int", "has this word for itself; `my-int` would do"),
            (
                "proc-macro",
                "has this word for itself; `my-proc-macro` would do",
            ),
            ("serde", "has this name; `my-serde` would do"),
            (
                "metashrew-core",
                "has this name; `my-metashrew-core` would do",
            ),
            (&long, "at most 64 letters"),
        ] {
            let error = name.parse::<ProjectName>().unwrap_err();
            assert!(error.contains(expect), "{name}: {error}");
        }
    }

    #[test]
    fn a_name_of_which_nothing_is_left_has_no_better_one() {
        for name in ["", ".", "..", "-", "7"] {
            let error = name.parse::<ProjectName>().unwrap_err();
            assert!(error.ends_with("`a` to `z`"), "{name}: {error}");
        }
    }

    #[test]
    fn reserved_words_are_in_order_and_once() {
        assert!(RESERVED.is_sorted_by(|one, other| one < other));
    }
}

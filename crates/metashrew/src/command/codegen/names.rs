//! Names that a guest chose, made into names of a programming language.

use std::collections::BTreeSet;

/// A name for a type: the words of a text, each with a capital letter.
pub(super) fn pascal(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let mut name = String::new();
    for word in words {
        let mut characters = word.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() {
        name.insert_str(0, "Type");
    }
    name
}

/// A name for a function: letters, digits and underscores, of which it does not begin with the last two.
pub(super) fn plain(text: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    };
    let mut name: String = text.chars().map(plain).collect();
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert_str(0, "view");
    }
    name
}

/// The words of a program's lines that are not comments alone.
pub(super) fn words(program: &str) -> impl Iterator<Item = &str> {
    let is_comment = |line: &&str| {
        let line = line.trim_start();
        ["*", "/*", "//", "#", "\"\"\""]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let lines = program.lines().filter(move |line| !is_comment(line));
    lines.flat_map(|line| {
        line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
    })
}

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeSet<String>);

impl Taken {
    pub(super) fn with<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// The name, with an underscore or a number behind it if it is taken.
    pub(super) fn take(&mut self, name: &str) -> String {
        let numbered = (2_u64..).map(|number| format!("{name}_{number}"));
        let mut names = [name.to_owned(), format!("{name}_")]
            .into_iter()
            .chain(numbered);
        let free = names
            .find(|name| !self.0.contains(name))
            .unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

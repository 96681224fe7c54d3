//! A document, its fenced blocks, and how what it shows is compared.

use crate::harness::project;

/// A document of the project.
pub(super) struct Document {
    name: String,
    lines: Vec<String>,
}

/// What a comment in the line above a block says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It cannot be run, and why.
    NotRun(String),
    /// A script of CI runs it.
    Ci(String),
    /// The same lines stand in this file.
    AsIn(String),
}

/// A fenced block.
pub(super) struct Fence {
    document: String,
    /// The line of the document, from 1, of its first line.
    pub(super) line: usize,
    pub(super) language: String,
    pub(super) mark: Option<Mark>,
    pub(super) lines: Vec<String>,
}

/// A place where a document does not show what is so.
#[derive(Debug)]
pub(super) struct Difference {
    /// The first line that is shown, from 1.
    pub(super) line: usize,
    /// What was done.
    pub(super) what: String,
    pub(super) shown: Vec<String>,
    pub(super) given: Vec<String>,
}

impl Fence {
    pub(super) fn at(&self) -> String {
        self.document_line(self.line)
    }

    pub(super) fn document_line(&self, line: usize) -> String {
        format!("{}:{line}", self.document)
    }
}

impl Document {
    pub(super) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(project(name)).unwrap();
        Self {
            name: name.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// The script that runs all of it.
    pub(super) fn script(&self) -> Option<String> {
        let said = |line: &String| {
            let said = line.strip_prefix("<!-- run by: ")?.strip_suffix(" -->")?;
            Some(said.to_owned())
        };
        self.lines.iter().find_map(said)
    }

    pub(super) fn fences(&self) -> Vec<Fence> {
        let mut fences = Vec::new();
        let mut open: Option<(usize, Fence)> = None;
        for (number, line) in self.lines.iter().enumerate() {
            let text = line.trim_start();
            let indent = line.len() - text.len();
            open = match (open, text.strip_prefix("```")) {
                (None, None) => None,
                (None, Some(language)) => {
                    let above = number
                        .checked_sub(1)
                        .and_then(|above| self.lines.get(above));
                    let fence = Fence {
                        document: self.name.clone(),
                        line: number + 2,
                        language: language.to_owned(),
                        mark: above.and_then(|above| mark(above)),
                        lines: Vec::new(),
                    };
                    Some((indent, fence))
                }
                (Some((_, fence)), Some(_)) => {
                    fences.push(fence);
                    None
                }
                (Some((indent, mut fence)), None) => {
                    fence
                        .lines
                        .push(line.get(indent..).unwrap_or(text).to_owned());
                    Some((indent, fence))
                }
            };
        }
        assert!(open.is_none(), "{}: the last block has no end", self.name);
        fences
    }

    /// Fails if anything differs and tells every place, or, if that is wished, writes what
    /// was given into the document.
    #[track_caller]
    pub(super) fn settle(mut self, differences: &[Difference]) {
        let rewrite = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
        let is_exact = |difference: &&Difference| {
            let mut lines = difference.shown.iter().chain(&difference.given);
            rewrite && !lines.any(|line| line.contains('…'))
        };
        // From the end, so that the lines before stay where they are.
        for difference in differences.iter().rev().filter(is_exact) {
            let from = difference.line - 1;
            let shown = from..from + difference.shown.len();
            self.lines.splice(shown, difference.given.iter().cloned());
        }
        if differences.iter().any(|difference| is_exact(&difference)) {
            std::fs::write(project(&self.name), self.lines.join("\n") + "\n").unwrap();
        }
        let left: Vec<_> = differences
            .iter()
            .filter(|difference| !is_exact(difference))
            .map(|difference| {
                format!(
                    "{}:{} differs, for: {}\n  shown: {}\n  given: {}\n",
                    self.name,
                    difference.line,
                    difference.what,
                    difference.shown.join("\n         "),
                    difference.given.join("\n         ")
                )
            })
            .collect();
        assert!(left.is_empty(), "\n{}", left.join("\n"));
    }
}

fn mark(line: &str) -> Option<Mark> {
    let text = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let (kind, text) = text.split_once(": ")?;
    match kind {
        "not run" => Some(Mark::NotRun(text.to_owned())),
        "ci" => Some(Mark::Ci(text.to_owned())),
        "as in" => Some(Mark::AsIn(text.to_owned())),
        _ => None,
    }
}

/// Whether what was given is what is shown, where `…` stands for anything in a line.
pub(super) fn matches(shown: &[String], given: &str) -> bool {
    let given: Vec<_> = given.trim_end().lines().collect();
    shown.len() == given.len()
        && shown
            .iter()
            .zip(given)
            .all(|(shown, given)| line_matches(shown, given))
}

fn line_matches(shown: &str, given: &str) -> bool {
    let mut pieces = shown.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = given.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn three_dots_stand_for_anything_in_a_line() {
    let check = |shown: &str, given: &str, expect: bool| {
        let shown: Vec<_> = shown.lines().map(str::to_owned).collect();
        assert_eq!(matches(&shown, given), expect, "{shown:?} {given:?}");
    };
    check("a\nb", "a\nb\n", true);
    check("a", "a\nb\n", false);
    check("a\nb", "a\n", false);
    check("a b", "a  b", false);
    check("a … c", "a b b c", true);
    check("a…", "a", true);
    check("a…a", "a", false);
    check("…b…d", "abcd", true);
    check("…b…d", "abc", false);
    check("a…", "b", false);
}

#[test]
fn marks_and_blocks_are_found() {
    let document = Document {
        name: "D.md".to_owned(),
        lines: "text\n<!-- not run: why -->\n```console\n$ a\nb\n```\n- x\n\n  ```toml\n  a = 1\n  ```\n"
            .lines()
            .map(str::to_owned)
            .collect(),
    };
    let fences = document.fences();
    let found: Vec<_> = fences
        .iter()
        .map(|fence| (fence.at(), &*fence.language, fence.lines.join("|")))
        .collect();
    let expect = [
        ("D.md:4".to_owned(), "console", "$ a|b".to_owned()),
        ("D.md:10".to_owned(), "toml", "a = 1".to_owned()),
    ];
    assert_eq!(found, expect);
    assert_eq!(fences[0].mark, Some(Mark::NotRun("why".to_owned())));
    assert_eq!(fences[1].mark, None);
}

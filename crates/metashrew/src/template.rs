//! The templates of new projects, which are embedded: `templates/` of this package.

/// Paths of files, and what they hold.
type Files = &'static [(&'static str, &'static [u8])];

include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// What is told after a project is made, and no file of it: the commands to go on with.
const NEXT: &str = "next.txt";

/// A placeholder begins and ends so.
const MARKS: (&str, &str) = ("{{", "}}");

/// The languages that there are templates for, in order.
pub(crate) fn languages() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(language, _)| *language)
}

/// The files of a project, and what is told of it.
#[derive(Debug)]
pub(crate) struct Project {
    /// Paths within the project, with what the files hold.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// The commands to go on with.
    pub(crate) next: String,
}

/// Fills in a language's template. `value` gives what stands for a placeholder's name: `name`,
/// `crate` (the name as an identifier), `metashrew` (how this command is run), or `sdk:` and a
/// folder of the repository.
///
/// None if there is no such language.
pub(crate) fn project(language: &str, value: impl Fn(&str) -> Option<String>) -> Option<Project> {
    let (_, template) = TEMPLATES.iter().find(|(name, _)| *name == language)?;
    let mut project = Project {
        files: Vec::new(),
        next: String::new(),
    };
    for (path, content) in *template {
        match str::from_utf8(content).map(|text| filled_in(text, &value)) {
            Ok(text) if *path == NEXT => project.next = text,
            Ok(text) => project.files.push((path, text.into_bytes())),
            Err(_) => project.files.push((path, content.to_vec())),
        }
    }
    Some(project)
}

/// Whether a file is a script, which is made executable.
pub(crate) fn is_script(content: &[u8]) -> bool {
    content.starts_with(b"#!")
}

/// What has no value stays as it is: some languages have such marks of their own.
fn filled_in(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let (open, close) = MARKS;
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        filled.push_str(before);
        let found = after.split_once(close);
        if let Some((value, behind)) = found.and_then(|(name, behind)| Some((value(name)?, behind)))
        {
            filled.push_str(&value);
            rest = behind;
        } else {
            filled.push_str(open);
            rest = after;
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_other_marks_stay() {
        let value = |name: &str| (name == "name").then(|| "{{name}}!".to_owned());
        for (text, expect) in [
            ("", ""),
            ("a {{name}} b{{name}}", "a {{name}}! b{{name}}!"),
            ("{{{name}}}", "{{{name}}}"),
            ("{{{{name}}", "{{{{name}}!"),
            ("{{other}} {{name}}", "{{other}} {{name}}!"),
            ("{{name", "{{name"),
            ("}}{{", "}}{{"),
        ] {
            assert_eq!(filled_in(text, value), expect, "{text}");
        }
    }

    /// A slip in a placeholder would reach a user's project.
    #[test]
    fn every_placeholder_of_every_template_is_known() {
        let known = |name: &str| {
            let is_known =
                ["name", "crate", "metashrew"].contains(&name) || name.starts_with("sdk:");
            is_known.then(String::new)
        };
        for language in languages() {
            let project = project(language, known).unwrap();
            for (path, content) in &project.files {
                let Ok(text) = str::from_utf8(content) else {
                    continue;
                };
                let mut marks = text.split(MARKS.0).skip(1);
                let is_name = |behind: &str| behind.starts_with(|c: char| c.is_ascii_lowercase());
                assert!(!marks.any(is_name), "{language}: {path}");
            }
            let paths: Vec<_> = project.files.iter().map(|(path, _)| *path).collect();
            for path in [
                "README.md",
                ".gitignore",
                "metashrew.toml",
                "scripts/regtest.sh",
            ] {
                assert!(paths.contains(&path), "{language}: no {path}");
            }
            let commands = project.next.lines().filter(|line| line.starts_with("  "));
            assert!((3..=5).contains(&commands.count()), "{language}");
        }
    }

    #[test]
    fn folders_of_the_sdk_that_templates_name_are_there() {
        for (language, template) in TEMPLATES {
            for (path, content) in *template {
                let text = str::from_utf8(content).unwrap_or_default();
                for place in text.split("{{sdk:").skip(1) {
                    let (folder, _) = place.split_once(MARKS.1).unwrap();
                    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
                    let folder = std::path::Path::new(repository).join(folder);
                    assert!(folder.is_dir(), "{language}: {path}: {}", folder.display());
                }
            }
        }
    }
}

//! Every example in the documents, run and compared to the letter.
//!
//! An example is a fenced block; its language says how it is run:
//!
//! | language | how |
//! |---|---|
//! | `console` | a line that begins with `$ ` is a command, the lines below it are what it prints |
//! | `json` | a line that is a request, and below it its answer |
//! | `toml` | a configuration file: `start` runs with it |
//! | `rust`, `rust,ignore` | `<!-- as in: FILE -->` in the line above names a file that is compiled and holds the same lines |
//! | `sh` | `<!-- ci: NAME -->` in the line above: `scripts/check-readme.sh` runs it |
//! | `promql` | a question a line, then what it asks: every series must be in `/metrics` |
//! | `text`, `proto` | forms, not examples |
//!
//! Commands run where README's main job has been run: `db` holds what it indexed, and the
//! server at `http://127.0.0.1:8080` is another one with the same content. `…` stands for
//! what differs from run to run. `<!-- not run: WHY -->` in the line above exempts a block, and
//! `<!-- run by: SCRIPT -->` anywhere a whole document, which a script of CI runs.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p metashrew docs` rewrites what is shown, after a change
//! that is meant, but for lines with `…`.

mod command;
mod document;
mod promql;

use std::path::PathBuf;

use crate::harness::{get, post, project};
use command::MainJob;
use document::{Difference, Document, Fence, Mark};

/// Runs all examples of a document.
#[track_caller]
fn check(name: &str) {
    let document = Document::read(name);
    if let Some(script) = document.script() {
        let ci = std::fs::read_to_string(project(".ci/run")).unwrap();
        assert!(ci.contains(&script), "{name}: CI does not run `{script}`");
        return;
    }
    let mut main_job = None;
    let mut differences = Vec::new();
    for fence in document.fences() {
        let runs = matches!(&*fence.language, "console" | "json" | "toml" | "promql");
        if runs {
            main_job.get_or_insert_with(MainJob::start);
        }
        match (&fence.mark, &*fence.language) {
            (Some(Mark::NotRun(_)), "console") => {
                let job = main_job.as_ref().unwrap();
                commands(&fence).for_each(|example| job.check_flags(&example.at, &example.command));
            }
            (Some(Mark::NotRun(_)), _) | (Some(Mark::Ci(_)), "sh") | (_, "text" | "proto") => {}
            (Some(Mark::AsIn(path)), _) => differences.extend(differs_from(&fence, path)),
            (None, "console") => {
                let job = main_job.as_ref().unwrap();
                for example in commands(&fence) {
                    let given = job.run(&example.at, &example.command);
                    differences.extend(example.compare(&given));
                }
            }
            (None, "json") => differences.extend(answers(&fence, main_job.as_ref().unwrap())),
            (None, "promql") => differences.extend(faults(&fence, main_job.as_ref().unwrap())),
            (None, "toml") => main_job.as_ref().unwrap().configure(&fence),
            (mark, language) => panic!(
                "{}: a block of `{language}` marked {mark:?} is neither run nor exempt; see {}",
                fence.at(),
                file!()
            ),
        }
    }
    document.settle(&differences);
}

/// A command in a `console` block, and what is shown below it.
struct Example {
    at: String,
    command: String,
    /// The first line of what is shown.
    line: usize,
    shown: Vec<String>,
}

impl Example {
    /// What differs, if anything is shown at all.
    fn compare(&self, given: &str) -> Option<Difference> {
        let differs = !self.shown.is_empty() && !document::matches(&self.shown, given);
        differs.then(|| Difference {
            line: self.line,
            what: self.command.clone(),
            shown: self.shown.clone(),
            given: given.lines().map(str::to_owned).collect(),
        })
    }
}

fn commands(fence: &Fence) -> impl Iterator<Item = Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut goes_on = false;
    for (offset, text) in fence.lines.iter().enumerate() {
        let line = fence.line + offset;
        match (text.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => examples.push(Example {
                at: fence.document_line(line),
                command: command.to_owned(),
                line: line + 1,
                shown: Vec::new(),
            }),
            (None, Some(last)) if goes_on => {
                last.command.push('\n');
                last.command.push_str(text);
                last.line = line + 1;
            }
            (None, Some(last)) => last.shown.push(text.clone()),
            (None, None) => panic!("{}: no command", fence.at()),
        }
        goes_on = (goes_on || text.starts_with("$ ")) && text.ends_with('\\');
    }
    examples.into_iter()
}

/// Asks each request of a `json` block.
fn answers(fence: &Fence, job: &MainJob) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut lines = fence.lines.iter().enumerate();
    while let Some((offset, request)) = lines.next() {
        assert!(
            request.contains(r#""method":"#),
            "{}: this is no request",
            fence.document_line(fence.line + offset)
        );
        let (_, answer) = post(job.address(), request).unwrap();
        let shown: Vec<_> = lines
            .next()
            .map(|(_, line)| line.clone())
            .into_iter()
            .collect();
        if !document::matches(&shown, &answer) {
            differences.push(Difference {
                line: fence.line + offset + 1,
                what: request.clone(),
                shown,
                given: vec![answer],
            });
        }
    }
    differences
}

/// Looks whether each question of a `promql` block can be answered.
fn faults(fence: &Fence, job: &MainJob) -> Vec<Difference> {
    let (_, samples) = get(job.address(), "/metrics");
    let question = |line: &str| line.split("   ").next().unwrap_or(line).to_owned();
    let fault = |(offset, line): (usize, &String)| {
        promql::fault(&question(line), &samples).map(|fault| Difference {
            line: fence.line + offset,
            what: question(line),
            shown: vec![line.clone()],
            given: vec![format!("… {fault}")],
        })
    };
    fence.lines.iter().enumerate().filter_map(fault).collect()
}

/// Compares with a file that is compiled or used, whatever white space is between.
fn differs_from(fence: &Fence, path: &str) -> Option<Difference> {
    let file = std::fs::read_to_string(project(path))
        .unwrap_or_else(|error| panic!("{}: `{path}`: {error}", fence.at()));
    let without_space = |text: &str| text.split_whitespace().collect::<String>();
    let same = without_space(&file).contains(&without_space(&fence.lines.join("\n")));
    (!same).then(|| Difference {
        line: fence.line,
        what: format!("the lines of `{path}`"),
        shown: fence.lines.clone(),
        given: vec![format!("… no such lines stand in `{path}`")],
    })
}

#[test]
fn readme() {
    check("README.md");
}

#[test]
fn guests() {
    check("guests/README.md");
}

#[test]
fn commands_and_configuration() {
    check("docs/cli.md");
}

#[test]
fn json_rpc() {
    check("docs/rpc.md");
}

/// Those with few examples, and whatever is added.
#[test]
fn all_others() {
    const ABOVE: [&str; 4] = [
        "README.md",
        "guests/README.md",
        "docs/cli.md",
        "docs/rpc.md",
    ];
    let mut names = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(project(folder)).unwrap() {
            let name = PathBuf::from(folder).join(entry.unwrap().file_name());
            if name.extension().is_some_and(|extension| extension == "md") {
                names.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    assert!(names.len() > ABOVE.len(), "{names:?}");
    names.retain(|name| !ABOVE.contains(&name.as_str()));
    for name in &names {
        check(name);
    }
}

//! `metashrew inspect`: what a guest is.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use metashrew_runtime::{Import, ModuleReport};
use serde_json::{Value, json};

use super::{Output, database, described, inspect_database};
use crate::cli::Inspect;
use crate::printable;

const PAGE: u64 = 64 * 1024;

pub(super) fn run(args: &Inspect) -> Result<()> {
    let text = match (&args.indexer, &args.db) {
        (Some(path), _) => of_guest(path, args.json)?,
        (None, Some(path)) => inspect_database::run(path, args.json)?,
        (None, None) => bail!("neither a guest nor --db is given"),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}

fn of_guest(path: &Path, json: bool) -> Result<String> {
    let wasm = database::read_guest(path)?;
    let report = metashrew_runtime::inspect(&wasm)
        // As text: the advice for other commands is to run this one.
        .map_err(|error| Error::msg(error.to_string()))
        .with_context(|| format!("`{}` is no guest", path.display()))?;
    Ok(if json {
        printable::json(&format!("{:#}\n", as_json(&report))).into_owned()
    } else {
        as_text(&report)
    })
}

fn as_json(report: &ModuleReport) -> Value {
    let imports: Vec<_> = report
        .imports
        .iter()
        .map(|import| {
            json!({
                "module": import.module,
                "name": import.name,
                "type": import.ty,
                "provided": import.provided,
            })
        })
        .collect();
    let exports: Vec<_> = report
        .exports
        .iter()
        .map(|export| json!({ "name": export.name, "type": export.ty }))
        .collect();
    let memory = report.memory.map(|memory| {
        json!({
            "minimum": memory.minimum * PAGE,
            "maximum": memory.maximum.map(|pages| pages * PAGE),
        })
    });
    let meta = report.meta.as_ref().map(|meta| match meta {
        Ok(meta) => described::as_json(meta),
        Err(error) => json!({ "error": error }),
    });
    json!({
        "indexes": report.indexes,
        "imports": imports,
        "exports": exports,
        "views": report.views,
        "height_independent": report.height_independent,
        "answers_from_memory": report.answers_from_memory,
        "optional_imports": report.optional_imports().map(full_name).collect::<Vec<_>>(),
        "optional_exports": report.optional_exports().collect::<Vec<_>>(),
        "memory": memory,
        "meta": meta,
    })
}

/// Sections, each with a line an entry.
fn as_text(report: &ModuleReport) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        // Names are the module's.
        text.push_str(&printable::line(&line));
        text.push('\n');
    };
    line(format!(
        "indexes: {}",
        if report.indexes {
            "yes"
        } else {
            "no, `_start: () -> ()` is missing"
        }
    ));
    line(match report.memory {
        Some(memory) => format!(
            "memory: {} MiB at first, {} MiB at most",
            in_mib(memory.minimum),
            in_mib(memory.maximum.unwrap_or(65_536))
        ),
        None => "memory: none is exported, so it is no guest".to_owned(),
    });
    let needs = report
        .optional_imports()
        .map(|import| format!("`{}`", full_name(import)))
        .collect::<Vec<_>>()
        .join(", ");
    line(if needs.is_empty() {
        "hosts: runs on any Metashrew host".to_owned()
    } else {
        format!("hosts: needs {needs}")
    });
    let used = report.optional_exports().collect::<Vec<_>>().join(", ");
    line(format!(
        "optional exports: {}",
        if used.is_empty() { "none" } else { &used }
    ));
    line("imports:".to_owned());
    for import in &report.imports {
        let remark = if import.provided {
            ""
        } else {
            "  not provided: a call of it fails"
        };
        line(format!(
            "  {}.{} {}{remark}",
            import.module, import.name, import.ty
        ));
    }
    line("views:".to_owned());
    for view in &report.views {
        line(format!("  {view}{}", said_of(report, view)));
    }
    line("other exports:".to_owned());
    for export in &report.exports {
        if !report.views.contains(&export.name) {
            line(format!("  {} {}", export.name, export.ty));
        }
    }
    text.push_str(&meta(report));
    text
}

/// What the guest says of a view's answers.
fn said_of(report: &ModuleReport, view: &String) -> String {
    let mut said = String::new();
    for (views, remark) in [
        (
            &report.height_independent,
            "  answers from state and input, whatever the height",
        ),
        (
            &report.answers_from_memory,
            "  answers from what earlier calls left in its memory",
        ),
    ] {
        if views.contains(view) {
            said.push_str(remark);
        }
    }
    said
}

fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.name)
}

fn meta(report: &ModuleReport) -> String {
    match &report.meta {
        None => "__meta: none\n".to_owned(),
        Some(Err(error)) => format!("__meta: fails: {}\n", printable::lines(error)),
        Some(Ok(meta)) => described::as_text(meta),
    }
}

/// Pages as MiB, with a fraction only where there is one.
fn in_mib(pages: u64) -> String {
    let sixteenths = pages % 16;
    if sixteenths == 0 {
        (pages / 16).to_string()
    } else {
        format!("{}.{:04}", pages / 16, sixteenths * 625)
            .trim_end_matches('0')
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_sixteenths_of_a_mib() {
        assert_eq!(in_mib(0), "0");
        assert_eq!(in_mib(1), "0.0625");
        assert_eq!(in_mib(24), "1.5");
        assert_eq!(in_mib(65_536), "4096");
    }
}

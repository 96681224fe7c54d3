//! Embeds the templates of new projects: for each language, the paths and contents of its files.
//!
//! A language is a folder in `templates/`; the files of `shared/` go into each. A file
//! `NAME.in` is written as `NAME`: so tools that read such files leave the template alone.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The files of one template: where each is written, and where it lies here.
type Files = BTreeMap<String, PathBuf>;

/// Writes a constant, `TEMPLATES`, with all files of all languages.
pub(crate) fn embed(templates: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut shared = Files::new();
    collect(&templates.join("shared"), "", &mut shared)?;
    let mut code = String::from("pub(crate) const TEMPLATES: &[(&str, Files)] = &[\n");
    for (language, folder) in sorted(templates)? {
        if language == "shared" {
            continue;
        }
        let mut files = shared.clone();
        collect(&folder, "", &mut files)?;
        writeln!(code, "    ({language:?}, &[")?;
        for (name, path) in files {
            let path = path.to_str();
            let path = path.ok_or_else(|| format!("the path of `{name}` is not UTF-8"))?;
            writeln!(code, "        ({name:?}, include_bytes!({path:?})),")?;
        }
        code.push_str("    ]),\n");
    }
    code.push_str("];\n");
    Ok(std::fs::write(out, code)?)
}

/// Adds what lies in a folder and in those within, symlinks followed.
fn collect(folder: &Path, below: &str, files: &mut Files) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for (name, path) in sorted(folder)? {
        let name = format!("{below}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
            continue;
        }
        let name = name.strip_suffix(".in").unwrap_or(&name).to_owned();
        if files.insert(name, path.clone()).is_some() {
            return Err(format!("`{}` is in the template already", path.display()).into());
        }
    }
    Ok(())
}

/// The names in a folder, in order, with their paths.
fn sorted(folder: &Path) -> Result<BTreeMap<String, PathBuf>, Box<dyn Error>> {
    let mut entries = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|name| format!("{}: not UTF-8", name.display()))?;
        entries.insert(name, entry.path());
    }
    Ok(entries)
}

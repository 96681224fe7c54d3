//! `metashrew new`: a project from a template.

mod directory;
#[cfg(test)]
#[path = "../../build/sdk_address.rs"]
mod sdk_address;

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Output;
use crate::cli::{New, Sdk};
use crate::template;

pub(super) fn run(args: &New) -> Result<()> {
    let given = match &args.sdk {
        Some(Sdk::Checkout(path)) => Some(Sdk::Checkout(checkout(path)?)),
        given => given.clone(),
    };
    // Looked up only for templates that have it in their files.
    let built = OnceCell::new();
    let sdk = || {
        let of_build = || of_this_build(env!("METASHREW_SDK_ADDRESS"));
        // One that cannot be had is told of below.
        given
            .as_ref()
            .or_else(|| built.get_or_init(of_build).as_ref().ok())
    };
    let (name, identifier) = (args.name.as_str(), args.name.identifier());
    let value = |placeholder: &str| match placeholder {
        "name" => Some(name.to_owned()),
        "crate" => Some(identifier.clone()),
        "metashrew" => Some(this_command()),
        other => {
            let folder = other.strip_prefix("sdk:")?;
            Some(dependency(sdk()?, folder))
        }
    };
    let project = template::project(&args.lang, value);
    let project = project.with_context(|| format!("there is no template for `{}`", args.lang))?;
    built.into_inner().transpose()?;
    directory::write(name, &project.files)?;
    let text = format!("created `{name}`\n\n{}", project.next);
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}

/// How this command is run from elsewhere: by its name where a shell finds that, else by its path.
fn this_command() -> String {
    const NAME: &str = "metashrew";
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_found = std::env::split_paths(&folders).any(|folder| folder.join(NAME).is_file());
    let path = std::env::current_exe().ok();
    let path = path.and_then(|path| path.into_os_string().into_string().ok());
    // A shell takes other characters for its own.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    match path {
        Some(path) if !is_found && path.bytes().all(is_plain) => path,
        _ => NAME.to_owned(),
    }
}

/// The SDK that belongs to this command.
fn of_this_build(address: &str) -> Result<Sdk> {
    let sdk = address.parse().map_err(anyhow::Error::msg)?;
    match sdk {
        Sdk::Checkout(path) => checkout(&path).map(Sdk::Checkout).context(
            "the SDK is not where this command was built; say with --sdk where it is: a checkout of metashrew's repository, or its git URL",
        ),
        Sdk::Git { .. } => Ok(sdk),
    }
}

/// The full path of a checkout, which is one and can be written into a file.
fn checkout(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let full = path
        .canonicalize()
        .with_context(|| format!("`{shown}` cannot be used as the SDK"))?;
    if !full.join("crates/metashrew-core/Cargo.toml").is_file() {
        bail!("`{shown}` is no checkout of metashrew: it has no `crates/metashrew-core`");
    }
    match full.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(full),
        _ => bail!("`{shown}` cannot be written into a project's files: move the checkout"),
    }
}

/// What stands in a `Cargo.toml` to depend on the crate in a folder of the SDK.
fn dependency(sdk: &Sdk, folder: &str) -> String {
    match sdk {
        Sdk::Checkout(path) => format!("path = {}", quoted(&path.join(folder).to_string_lossy())),
        Sdk::Git { url, revision } => {
            let revision = revision.as_ref();
            let revision = revision.map(|revision| format!(", rev = {}", quoted(revision)));
            format!("git = {}{}", quoted(url), revision.unwrap_or_default())
        }
    }
}

/// A text without control characters, as TOML and JSON have it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_written_as_toml_has_them() {
        let git = |revision: Option<&str>| Sdk::Git {
            url: "https://example.org/m".to_owned(),
            revision: revision.map(str::to_owned),
        };
        for (sdk, expect) in [
            (
                Sdk::Checkout("/a \"b\\c".into()),
                r#"path = "/a \"b\\c/crates/x""#,
            ),
            (git(None), r#"git = "https://example.org/m""#),
            (
                git(Some("0f")),
                r#"git = "https://example.org/m", rev = "0f""#,
            ),
        ] {
            let written = dependency(&sdk, "crates/x");
            assert_eq!(written, expect);
            let read: toml::Table = written.replace(", ", "\n").parse().unwrap();
            assert!(!read.is_empty());
        }
    }

    #[test]
    fn a_build_tells_where_its_sdk_is() {
        let checkout = Path::new("/here");
        let of = |repository, commit, origin| {
            sdk_address::of_build(repository, commit, origin, checkout)
        };
        let named = "https://example.org/named";
        // A tarball; a commit that nobody else has; one that the origin has.
        assert_eq!(of(named, None, None), named);
        assert_eq!(of("", None, None), "/here");
        assert_eq!(of(named, Some("0f"), None), "/here");
        assert_eq!(of(named, Some("0f"), Some("/o")), format!("{named}#0f"));
        for (origin, expect) in [
            (
                "https://u:secret@example.org/a/b@c.git",
                "https://example.org/a/b@c.git",
            ),
            ("https://example.org", "https://example.org/"),
            ("ssh://git@example.org/a", "ssh://git@example.org/a"),
            ("git@example.org:a/b.git", "ssh://git@example.org/a/b.git"),
            ("/srv/m:x.git", "file:///srv/m:x.git"),
        ] {
            let address = of("", Some("0f"), Some(origin));
            assert_eq!(address, format!("{expect}#0f"));
            assert!(matches!(address.parse(), Ok(Sdk::Git { .. })), "{address}");
        }
    }

    #[test]
    fn a_build_whose_checkout_is_gone_asks_for_the_sdk() {
        let error = of_this_build("/not/there").unwrap_err();
        assert!(error.to_string().contains("--sdk"), "{error}");
        let git = of_this_build("https://example.org/m#0f").unwrap();
        assert!(matches!(git, Sdk::Git { .. }));
    }
}

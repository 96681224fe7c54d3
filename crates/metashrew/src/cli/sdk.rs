//! Where the guest SDK is.

use std::path::PathBuf;
use std::str::FromStr;

/// Where a project finds the SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// In a checkout of the repository.
    Checkout(PathBuf),
    /// In the repository at an address, which cargo clones.
    Git {
        /// Its URL.
        url: String,
        /// The revision, if it is not the newest.
        revision: Option<String>,
    },
}

impl FromStr for Sdk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("expected a path or a git URL".to_owned());
        }
        // They have no place in a project's files.
        if text.contains(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return match scp_address(text) {
                Some(url) => Err(format!("cargo takes URLs; did you mean `{url}`?")),
                None => Ok(Self::Checkout(text.into())),
            };
        };
        if !["file", "git", "http", "https", "ssh"].contains(&scheme) {
            return Err(format!(
                "expected a path, or a git URL that begins with https://, ssh:// or file://, and not `{scheme}://`"
            ));
        }
        let (url, revision) = match text.split_once('#') {
            Some((_, "")) => return Err("expected a revision behind `#`".to_owned()),
            Some((url, revision)) => (url, Some(revision.to_owned())),
            None => (text, None),
        };
        let url = url.to_owned();
        Ok(Self::Git { url, revision })
    }
}

/// The URL of `USER@HOST:PATH`, as git takes it beside URLs.
fn scp_address(text: &str) -> Option<String> {
    let (login, path) = text.split_once(':')?;
    let is_login = login.contains('@') && !login.contains('/');
    is_login.then(|| format!("ssh://{login}/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls() {
        let git = |url: &str, revision: Option<&str>| Sdk::Git {
            url: url.to_owned(),
            revision: revision.map(str::to_owned),
        };
        for (text, expect) in [
            ("..", Sdk::Checkout("..".into())),
            ("/a b/c", Sdk::Checkout("/a b/c".into())),
            ("a#b", Sdk::Checkout("a#b".into())),
            (
                "https://example.org/m.git",
                git("https://example.org/m.git", None),
            ),
            (
                "https://example.org/m#v1",
                git("https://example.org/m", Some("v1")),
            ),
            ("file:///a/b#0f", git("file:///a/b", Some("0f"))),
            (
                "ssh://git@example.org/m",
                git("ssh://git@example.org/m", None),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expect), "{text}");
        }
        for (text, expect) in [
            ("", "expected a path or a git URL"),
            ("ftp://example.org/m", "and not `ftp://`"),
            ("https://example.org/m#", "expected a revision"),
            (
                "git@example.org:a/m.git",
                "did you mean `ssh://git@example.org/a/m.git`?",
            ),
            ("a\nb", "control characters"),
        ] {
            let error = text.parse::<Sdk>().unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}

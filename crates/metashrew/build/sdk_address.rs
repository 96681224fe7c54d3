//! Where guests find the SDK that belongs to this build, as `metashrew new --sdk` takes it.

use std::path::Path;

use crate::checkout::Commit;

/// The repository that the package names, or else the one it was cloned from, at the commit
/// that is built; the checkout's folder where neither is known to have that commit.
pub(crate) fn of_build(repository: &str, commit: Option<&Commit>, manifest: &Path) -> String {
    let named = (!repository.is_empty()).then(|| repository.to_owned());
    match commit {
        None => named,
        Some(Commit { id, origin, .. }) => {
            let address = origin
                .as_deref()
                .map(|origin| named.unwrap_or_else(|| public(origin)));
            address.map(|address| format!("{address}#{id}"))
        }
    }
    .unwrap_or_else(|| {
        let checkout = manifest.join("../..");
        checkout
            .canonicalize()
            .unwrap_or(checkout)
            .display()
            .to_string()
    })
}

/// A remote's address as a URL, without a login that is only the builder's.
fn public(origin: &str) -> String {
    match (origin.split_once("://"), origin.split_once(':')) {
        (Some((scheme @ ("http" | "https"), rest)), _) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        (Some(_), _) => origin.to_owned(),
        // `git@host:path`, which cargo does not take.
        (None, Some((host, path))) if !host.contains('/') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        (None, _) => format!("file://{origin}"),
    }
}

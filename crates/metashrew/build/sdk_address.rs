//! Where guests find the SDK that belongs to this build, as `metashrew new --sdk` takes it.

use std::path::Path;

/// The repository that the package names, or else the `origin` it was cloned from, at the
/// commit that is built. The checkout's folder, where the origin is not known to have that
/// commit; without a checkout, as in a tarball, the repository as it is.
pub(crate) fn of_build(
    repository: &str,
    commit: Option<&str>,
    origin: Option<&str>,
    checkout: &Path,
) -> String {
    let repository = (!repository.is_empty()).then_some(repository);
    let address = match (commit, origin) {
        (None, _) => repository.map(str::to_owned),
        (Some(_), None) => None,
        (Some(commit), Some(origin)) => {
            let address = repository.map_or_else(|| public(origin), str::to_owned);
            Some(format!("{address}#{commit}"))
        }
    };
    address.unwrap_or_else(|| checkout.display().to_string())
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

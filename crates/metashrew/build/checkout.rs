//! What git says of the checkout that is built, where there is one and git is at hand.
//! Without either a tarball is built the same everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The commit that is checked out.
pub(crate) struct Commit {
    /// Its first 12 digits.
    pub(crate) short: String,
    /// All of them.
    pub(crate) id: String,
    /// Where the checkout was cloned from, if the commit has been seen there.
    pub(crate) origin: Option<String>,
}

/// The commit that is checked out.
pub(crate) fn commit() -> Option<Commit> {
    // A tarball may lie within another project's checkout, which does not know it.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let id = git(&["rev-parse", "HEAD"])?;
    let short = git(&["rev-parse", "--short=12", "HEAD"])?;
    // They change with the commit, and with what is known of the origin. A path that is not
    // there would mean a build each time.
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "refs/remotes"]
        .into_iter()
        .chain(reference.as_deref())
    {
        let path = git(&["rev-parse", "--git-path", name]).map(PathBuf::from);
        if let Some(path) = path.filter(|path| Path::exists(path)) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let seen = git(&[
        "branch",
        "--remotes",
        "--contains",
        &id,
        "--list",
        "origin/*",
    ]);
    let is_seen = seen.is_some_and(|branches| !branches.is_empty());
    let origin = is_seen.then(|| git(&["remote", "get-url", "origin"]));
    Some(Commit {
        short,
        id,
        origin: origin.flatten(),
    })
}

/// What git says, run in the package's directory; none if it fails or is not there.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

//! Where `bitcoind` is. Where there is none yet, it is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Finds or builds the node, and prints the folder it is in.
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../scripts/setup-bitcoind.sh"
);

/// The program: what `BITCOIND_EXE` names, else what the script finds or builds.
/// All tests of a process wait for one run of the script.
///
/// # Panics
/// If there is none and none can be built.
pub(super) fn path() -> PathBuf {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let path = PATH.get_or_init(|| match env::var_os("BITCOIND_EXE") {
        Some(given) => Ok(given.into()),
        None => set_up(),
    });
    path.clone().unwrap_or_else(|why| panic!("{why}"))
}

/// What the script says goes to the real standard error, past the test harness, which
/// would keep it back until the test has ended: a build takes minutes.
fn set_up() -> Result<PathBuf, String> {
    let output = Command::new("bash")
        .arg(SCRIPT)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`bash {SCRIPT}` does not run: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    match folder.trim() {
        folder if output.status.success() && !folder.is_empty() => {
            Ok(Path::new(folder).join("bitcoind"))
        }
        _ => Err(format!(
            "there is no Bitcoin node: `{SCRIPT}` ended with {} and says above why",
            output.status
        )),
    }
}

//! Where the program `bitcoind` is.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};

const NAME: &str = "bitcoind";

/// The folder in the user's cache where `scripts/setup-bitcoind.sh` builds it.
const BUILT: &str = "bitcoind-0.2.0";

/// The program that `BITCOIND_EXE` names, else the one on PATH, else the one that was built.
///
/// # Errors
/// If there is none.
pub(super) fn find() -> Result<PathBuf> {
    if let Some(given) = env::var_os("BITCOIND_EXE").filter(|given| !given.is_empty()) {
        return Ok(given.into());
    }
    let variable = |name| env::var_os(name).map(PathBuf::from);
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    let built = variable("BITCOIND_DIR").or_else(|| Some(cache()?.join(BUILT)));
    let built = built.map(|folder| folder.join("bin"));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&on_path).chain(built.clone());
    let mut programs = folders.map(|folder| folder.join(NAME));
    if let Some(program) = programs.find(|program| program.is_file()) {
        return Ok(program);
    }
    let built = built.unwrap_or_default();
    bail!(
        "there is no Bitcoin node: BITCOIND_EXE is not set, and there is no `{NAME}` on PATH nor in `{}`; install Bitcoin Core, or run `scripts/setup-bitcoind.sh`, which finds or builds one",
        built.display()
    );
}

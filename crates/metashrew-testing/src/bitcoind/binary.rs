//! Where `bitcoind` is.

use std::env;
use std::path::{Path, PathBuf};

/// What `scripts/setup-bitcoind.sh` calls its folder.
const FOLDER: &str = "bitcoind-0.2.0";

/// The program.
///
/// # Panics
/// If there is none.
pub(super) fn path() -> PathBuf {
    if let Some(given) = env::var_os("BITCOIND_EXE") {
        return given.into();
    }
    let on_path = env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join("bitcoind"))
        .find(|path| path.is_file());
    on_path.or_else(built).expect(
        "there is no `bitcoind`: neither BITCOIND_EXE nor PATH names one; run `scripts/setup-bitcoind.sh` first",
    )
}

/// The one the script built.
fn built() -> Option<PathBuf> {
    let folder = env::var_os("BITCOIND_DIR").map(PathBuf::from).or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")));
        Some(cache?.join(FOLDER))
    });
    folder
        .map(|folder| folder.join("bin/bitcoind"))
        .filter(|path| path.is_file())
}

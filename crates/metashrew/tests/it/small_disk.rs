//! A test in a process of its own, which has a small file system to fill.

use std::process::Command;

use tempfile::TempDir;

use crate::harness::succeed;

/// Runs a test in a process that has a file system of so many MiB, which `variable` names. Does
/// nothing where this user may not mount one.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn on_a_small_disk(mib: u32, variable: &str, child: &str) {
    let directory = TempDir::new().unwrap();
    let target = directory.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs {target}");
    let mut tried = Command::new("unshare");
    if !tried
        .args(["-m", "sh", "-c", &mount])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped: this user may not mount a file system");
        return;
    }
    let script = format!("{mount} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture"])
        .env(variable, directory.path());
    succeed(&mut command);
}

//! How much memory the process has.

/// Bytes of physical memory; none where the system does not tell.
pub(crate) fn resident() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmRSS:     12345 kB`.
fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "VmHWM:\t  20000 kB\nVmRSS:\t  12345 kB\nThreads:\t3\n";
        assert_eq!(parse(status), Some(12_345 * 1024));
        assert_eq!(parse("VmRSS: many kB\n"), None);
    }
}

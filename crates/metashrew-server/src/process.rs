//! What the operating system knows about this process.

/// Bytes of physical memory that the process has; none where that is not told.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_resident(&status)
}

/// The line `VmRSS:     12345 kB`.
fn parse_resident(status: &str) -> Option<u64> {
    let rest = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tmetashrew\nVmHWM:\t  20000 kB\nVmRSS:\t  12345 kB\nThreads:\t3\n";
        assert_eq!(parse_resident(status), Some(12_345 * 1024));
        assert_eq!(parse_resident("VmRSS: many kB\n"), None);
        assert_eq!(parse_resident(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 100 * 1024));
    }
}

//! Sizes on the command line.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl Size {
    pub(crate) fn bytes(self) -> u64 {
        self.0 as u64
    }
}

/// The suffixes, and how many bytes each stands for.
const UNITS: [(&str, usize); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseSizeError;

impl std::fmt::Display for ParseSizeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("expected bytes, such as 1048576, or KiB, MiB or GiB, such as 512MiB")
    }
}

impl std::error::Error for ParseSizeError {}

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))
            .unwrap_or((text, 1));
        let digits = digits.trim_end();
        // `parse` would take a plus sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseSizeError);
        }
        digits
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or(ParseSizeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        let check = |text: &str, expect: Option<usize>| {
            assert_eq!(text.parse().ok(), expect.map(Size), "{text}");
        };
        check("0", Some(0));
        check("1048576", Some(1 << 20));
        check("512MiB", Some(512 << 20));
        check("1 GiB", Some(1 << 30));
        check("7KiB", Some(7 << 10));
        check("7B", Some(7));
        for bad in ["", "MiB", "-1", "+1", "1.5GiB", "1MB", "99999999999GiB"] {
            check(bad, None);
        }
    }
}

//! Counts requests by their method.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::method;

/// Calls received, by method; the last counter is that of unknown methods.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts([AtomicU64; method::NAMES.len() + 1]);

impl RequestCounts {
    pub(crate) fn count(&self, name: &str) {
        let index = method::NAMES.iter().position(|known| *known == name);
        if let Some(count) = self.0.get(index.unwrap_or(method::NAMES.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each method's name and count; `unknown` comes last.
    pub(crate) fn by_method(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = method::NAMES.into_iter().chain(["unknown"]);
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        names.zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_counter() {
        let counts = RequestCounts::default();
        for name in method::NAMES {
            counts.count(name);
        }
        counts.count("no_such_method");
        counts.count("");
        let counted: Vec<_> = counts.by_method().collect();
        let (unknown, known) = counted.split_last().unwrap();
        assert_eq!(*unknown, ("unknown", 2));
        assert_eq!(known, method::NAMES.map(|name| (name, 1)));
    }
}

//! The one place that reads the clock for views: it can end a call, order two of them, or
//! be counted; no answer and no state depends on it.

use std::sync::OnceLock;
use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "it ends, orders and counts calls, and reaches no answer"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds from the first time anybody asked to `moment`.
pub(crate) fn nanos(moment: Instant) -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| moment);
    u64::try_from(moment.saturating_duration_since(first).as_nanos()).unwrap_or(u64::MAX)
}

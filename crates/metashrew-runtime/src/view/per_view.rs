//! What each view was asked, for a bounded number of views: a view is an export of the
//! guest, and there may be any number of them.

use std::sync::Arc;

use super::check::CheckCounts;
use super::latency::LatencyHistogram;
use super::stats::End;

/// So many views are counted apart.
const MAX_APART: usize = 64;

/// A view with a longer name, in bytes, is not counted apart.
const MAX_NAME: usize = 128;

/// The name under which all others are counted.
pub(super) const OTHER: &str = "other";

/// What a view was asked since the runtime was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewCount {
    /// The view's name; `other` for all that are not counted apart.
    pub view: String,
    /// Calls that were answered, previews included.
    pub answered: u64,
    /// Calls that failed, or whose caller went away.
    pub failed: u64,
    /// How long calls took that were answered, all waits included.
    pub latency: LatencyHistogram,
    /// What came of the checks of its answers.
    pub checks: CheckCounts,
}

/// A count for each of the first views by name, and one for all others.
#[derive(Debug, Default, Clone)]
pub(super) struct PerView {
    counts: Vec<ViewCount>,
    /// The count of each view, by the view's number.
    count_of: Arc<[usize]>,
}

impl PerView {
    /// Counts for views of these names, in the order of their numbers.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let count = |view: &str| ViewCount {
            view: view.to_owned(),
            answered: 0,
            failed: 0,
            latency: LatencyHistogram::default(),
            checks: CheckCounts::default(),
        };
        let mut counts = Vec::new();
        let mut apart = Vec::new();
        for name in names {
            let is_apart = counts.len() < MAX_APART && name.len() <= MAX_NAME && name != OTHER;
            apart.push(is_apart.then_some(counts.len()));
            if is_apart {
                counts.push(count(name));
            }
        }
        let other = counts.len();
        if apart.contains(&None) {
            counts.push(count(OTHER));
        }
        let count_of = apart.into_iter().map(|apart| apart.unwrap_or(other));
        Self {
            count_of: count_of.collect(),
            counts,
        }
    }

    /// Counts the end of a call of the view of that number.
    pub(super) fn count(&mut self, number: usize, end: End) {
        let count = self.count_of.get(number);
        let Some(count) = count.and_then(|count| self.counts.get_mut(*count)) else {
            return;
        };
        match end {
            End::Answered { latency, .. } => {
                count.answered += 1;
                count.latency.record(latency);
            }
            End::Failed(_) => count.failed += 1,
        }
    }

    /// Adds what was counted elsewhere for the same views.
    pub(super) fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            count.answered += more.answered;
            count.failed += more.failed;
            count.latency.add(&more.latency);
        }
    }

    pub(super) fn into_counts(self) -> Vec<ViewCount> {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::stats::ErrorKind;

    fn names(per_view: &PerView) -> Vec<&str> {
        let counts = per_view.counts.iter();
        counts.map(|count| count.view.as_str()).collect()
    }

    #[test]
    fn each_view_has_its_count_up_to_a_number() {
        let mut few = PerView::of(["a", "b"]);
        assert_eq!(names(&few), ["a", "b"]);
        few.count(1, End::Failed(ErrorKind::Cancelled));
        few.count(2, End::Failed(ErrorKind::Cancelled));
        assert_eq!((few.counts[0].failed, few.counts[1].failed), (0, 1));

        let many: Vec<String> = (0..1_000).map(|number| format!("view{number}")).collect();
        let mut many = PerView::of(many.iter().map(String::as_str));
        assert_eq!(many.counts.len(), MAX_APART + 1);
        assert_eq!(names(&many).last(), Some(&OTHER));
        for number in 0..1_000 {
            many.count(number, End::Failed(ErrorKind::Cancelled));
        }
        let failed: Vec<u64> = many.counts.iter().map(|count| count.failed).collect();
        assert_eq!(failed[..MAX_APART], [1; MAX_APART]);
        assert_eq!(failed[MAX_APART], 1_000 - 64);
    }

    #[test]
    fn a_view_of_the_others_name_is_one_of_them() {
        let long = "x".repeat(MAX_NAME + 1);
        let mut per_view = PerView::of(["a", "other", "z", long.as_str()]);
        assert_eq!(names(&per_view), ["a", "z", "other"]);
        for number in 0..4 {
            per_view.count(number, End::Failed(ErrorKind::Cancelled));
        }
        let failed: Vec<u64> = per_view.counts.iter().map(|count| count.failed).collect();
        assert_eq!(failed, [1, 1, 2]);
    }
}

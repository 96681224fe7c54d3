use super::*;

/// A policy for one view, and what is due of a call of it.
struct Asked {
    policy: Arc<Policy>,
    meter: Meter,
}

impl Asked {
    fn new(enforces: bool) -> Self {
        let policy = Policy::new([("view", None)], enforces);
        Self {
            policy: Arc::new(policy),
            meter: Meter::default(),
        }
    }

    fn due(&mut self, key: u64, ran: Duration) -> Option<Due> {
        Policy::due(&self.policy, 0, ran, &mut self.meter, |_| key)
    }

    fn counts(&self) -> CheckCounts {
        let counts = self.policy.counts().next();
        counts.unwrap().1
    }
}

const SHORT: Duration = Duration::from_micros(1);

#[test]
fn the_first_calls_are_those_that_differ_and_one_repeat_of_each() {
    let mut asked = Asked::new(false);
    let mut checked = Vec::new();
    for call in 0..100 {
        if let Some(due) = asked.due(call / 3, SHORT) {
            due.settle(Verdict::Same, SHORT);
            checked.push(call);
        }
    }
    let expected: Vec<u64> = (0..48).filter(|call| call % 3 < 2).collect();
    assert_eq!(checked, expected);
    assert_eq!((asked.counts().run, asked.counts().skipped), (32, 0));
}

#[test]
fn skipped_first_calls_are_taken_again_and_undecided_ones_count_for_several() {
    let mut asked = Asked::new(false);
    for call in 0..100 {
        drop(asked.due(call, SHORT).unwrap());
    }
    for call in 0..4 {
        let due = asked.due(call, SHORT).unwrap();
        due.settle(Verdict::Undecided, SHORT);
    }
    assert!(asked.due(200, SHORT).is_none());
    assert_eq!((asked.counts().run, asked.counts().skipped), (0, 104));
}

#[test]
fn no_more_first_calls_are_under_way_than_are_left_unless_answers_wait() {
    for (enforces, expected) in [(false, 32), (true, 50)] {
        let mut asked = Asked::new(enforces);
        let under_way: Vec<_> = (0..50).filter_map(|call| asked.due(call, SHORT)).collect();
        assert_eq!(under_way.len(), expected);
    }
    let mut enforcing = Asked::new(true);
    let under_way: Vec<_> = (0..50).filter_map(|_| enforcing.due(7, SHORT)).collect();
    assert_eq!(under_way.len(), 50);
}

#[test]
fn what_was_looked_at_often_enough_is_paid_by_time() {
    let mut asked = Asked::new(false);
    for _ in 0..2 {
        asked
            .due(1, SHORT)
            .unwrap()
            .settle(Verdict::Same, 50 * SHORT);
    }
    let mut calls = 0u32;
    let mut checks = 0u32;
    while calls < 1_000_000 {
        calls += 1;
        if let Some(due) = asked.due(1, SHORT) {
            due.settle(Verdict::Same, 50 * SHORT);
            checks += 1;
        }
    }
    // A second of calls pays for 10 ms of checks, of 50 us each.
    assert!((190..=200).contains(&checks), "{checks}");
    assert!(asked.due(2, SHORT).is_none(), "the first calls are over");
}

#[test]
fn a_check_that_took_longer_than_it_was_thought_to_is_paid_for_later() {
    let mut asked = Asked::new(false);
    for _ in 0..2 {
        asked.due(1, SHORT).unwrap().settle(Verdict::Same, SHORT);
    }
    let second = Duration::from_secs(1);
    let due = asked.due(1, second).unwrap();
    due.settle(Verdict::Same, second);
    // What follows is thought to take a second, too.
    let until = (0..1_000).find(|_| asked.due(1, second).is_some());
    assert_eq!(until, Some(198));
}

#[test]
fn a_view_that_differs_is_watched_no_more() {
    for enforces in [false, true] {
        let mut asked = Asked::new(enforces);
        let two = [asked.due(1, SHORT).unwrap(), asked.due(2, SHORT).unwrap()];
        for due in two {
            due.differs(difference(), SHORT);
        }
        assert_eq!(asked.policy.differences(), [difference()]);
        assert_eq!(asked.counts().differed, 2);
        assert!(!asked.policy.watches(0) && asked.due(3, SHORT).is_none());
        assert_eq!(asked.policy.is_fresh(0), enforces);
    }
}

fn difference() -> ViewDifference {
    let hash = metashrew_store::BlockHash::from_bytes([1; 32]);
    let block = metashrew_store::BlockRef::new(7, hash, hash);
    let store = metashrew_store::Store::in_memory();
    let block = store.commit(&block, &metashrew_store::WriteSet::default());
    ViewDifference {
        view: "view".to_owned(),
        block: block.unwrap(),
        pending: None,
        input_sha256: [2; 32],
        error: None,
    }
}

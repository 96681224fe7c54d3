//! Operations that fail, kills and power cuts in any order, against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::sim::Sim;
use super::{Found, Known, Log, append, batch, replayed};
use crate::backend::Durability::{self, Buffered, Synced};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>, Durability),
    Rotate,
    Sync,
    /// Some trees take over what there is.
    BeginFlush,
    /// All trees hold what some did, and the log behind it is removed.
    EndFlush,
    /// So many operations later, so many fail.
    Fail(u32, u32),
    Kill,
    CutPower(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let content = proptest::collection::vec(any::<u8>(), 0..80);
    let durability = prop_oneof![Just(Synced), Just(Buffered)];
    prop_oneof![
        8 => (content, durability).prop_map(|(content, durability)| Step::Append(content, durability)),
        2 => Just(Step::Rotate),
        1 => Just(Step::Sync),
        1 => Just(Step::BeginFlush),
        1 => Just(Step::EndFlush),
        2 => (0..12_u32, 1..4_u32).prop_map(|(after, count)| Step::Fail(after, count)),
        2 => Just(Step::Kill),
        2 => any::<u8>().prop_map(Step::CutPower),
    ]
}

/// The log with what it must hold.
struct Model {
    sim: Sim,
    log: Option<Log>,
    batches: BTreeMap<u64, Vec<u8>>,
    last: u64,
    /// Somebody was told that the batches up to here are durable.
    synced: u64,
    /// The contents of the next batch whose appending failed.
    in_doubt: Vec<Vec<u8>>,
    trees: (u64, u64),
}

impl Model {
    fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let log = Log::create_in(sim.boxed(), 0, None).unwrap();
        Self {
            sim,
            log: Some(log),
            batches: BTreeMap::new(),
            last: 0,
            synced: 0,
            in_doubt: Vec::new(),
            trees: (0, 0),
        }
    }

    fn take(&mut self, step: Step) {
        let Some(log) = &self.log else { return };
        match step {
            Step::Append(content, durability) => {
                let number = self.last + 1;
                if log.append(number, &batch(&content)).is_err() {
                    self.in_doubt.push(content);
                    return;
                }
                self.in_doubt.clear();
                self.batches.insert(number, content);
                self.last = number;
                if durability == Synced {
                    self.take(Step::Sync);
                }
            }
            Step::Rotate => drop(log.rotate()),
            Step::Sync => {
                if let Ok(synced) = log.sync() {
                    assert_eq!(synced, self.last);
                    self.synced = synced;
                }
            }
            Step::BeginFlush => {
                if log.rotate().is_ok() && log.sync().is_ok() {
                    self.synced = self.last;
                    self.trees.1 = self.last;
                }
            }
            Step::EndFlush => {
                self.trees.0 = self.trees.1;
                log.remove_through(self.trees.0).ok();
            }
            Step::Fail(after, count) => self.sim.fail(after, count),
            Step::Kill => self.reopen(None),
            Step::CutPower(share) => self.reopen(Some(share)),
        }
    }

    fn reopen(&mut self, power_cut: Option<u8>) {
        self.log = None;
        let mut durable = self.synced;
        if let Some(share) = power_cut {
            self.sim.cut_power();
            durable = durable * u64::from(share) / 255;
        }
        self.sim.heal();
        let known = Known {
            trees: self.trees.0..=self.trees.1,
            durable,
            accept_lost: false,
        };
        let found = Found::look_at(self.sim.boxed(), &known).unwrap();
        let at_least = if power_cut.is_some() {
            self.synced
        } else {
            self.last
        };
        let last = found.last();
        assert!(
            (at_least..=self.last + 1).contains(&last),
            "{last} of {at_least}"
        );
        for (number, operations) in replayed(&found).unwrap() {
            let expect = |content: &Vec<u8>| batch(content).into_operations() == operations;
            if number > self.last {
                let arrived = self
                    .in_doubt
                    .iter()
                    .find(|content| expect(content))
                    .unwrap();
                self.batches.insert(number, arrived.clone());
            } else {
                assert!(expect(&self.batches[&number]), "batch {number}");
            }
        }
        assert_eq!(replayed(&found).unwrap().len() as u64, last - self.trees.0);
        let log = found.open(None).unwrap();
        // What is shown from now on is durable.
        assert_eq!((log.last(), log.synced()), (last, last));
        (self.last, self.synced) = (last, last);
        self.in_doubt.clear();
        self.log = Some(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_durable_is_lost_and_nothing_is_wrong(
        steps in proptest::collection::vec(step(), 1..60),
        seed: u64,
    ) {
        let mut model = Model::new(seed);
        for step in steps {
            model.take(step);
        }
        model.reopen(None);
        model.reopen(Some(0));
    }
}

#[test]
fn a_log_goes_on_after_any_operation_failed() {
    for (after, count) in (0..40).flat_map(|after| (1..6).map(move |count| (after, count))) {
        let mut model = Model::new(u64::from(after + count));
        model.take(Step::Append(vec![1; 50], Buffered));
        model.take(Step::Append(vec![2; 50], Synced));
        model.take(Step::Fail(after, count));
        for content in 0..40 {
            model.take(Step::Append(
                vec![content; 30],
                if content % 3 == 0 { Synced } else { Buffered },
            ));
            if content % 7 == 0 {
                model.take(Step::Rotate);
            }
        }
        assert!(model.last > 30, "{}", model.last);
        assert!(model.in_doubt.is_empty());
        model.reopen(Some(u8::MAX));
    }
}

#[test]
fn a_segment_whose_name_may_not_be_durable_is_not_gone_on_with() {
    for (after, seed) in (0..12).flat_map(|after| (0..8).map(move |seed| (after, seed))) {
        let mut model = Model::new(seed);
        model.take(Step::Append(Vec::new(), Synced));
        model.take(Step::Fail(after, 1));
        model.take(Step::Rotate);
        model.take(Step::Kill);
        model.take(Step::Append(Vec::new(), Synced));
        model.reopen(Some(0));
    }
}

#[test]
fn opening_goes_on_while_nothing_can_be_written() {
    let mut model = Model::new(3);
    model.take(Step::Append(vec![1; 50], Buffered));
    model.log = None;
    model.sim.fail(0, u32::MAX);
    let known = super::known(0, 0);
    let found = Found::look_at(model.sim.boxed(), &known).unwrap();
    let log = found.open(None).unwrap();
    assert_eq!((log.last(), log.synced()), (1, 0));
    assert!(append(&log, 2, b"2", Buffered).is_err());
    model.sim.heal();
    append(&log, 2, b"2", Synced).unwrap();
    model.sim.cut_power();
    let found = Found::look_at(model.sim.boxed(), &known).unwrap();
    assert_eq!(found.last(), 2);
}

//! Any calls in any order, in one memory that persists: every read is what the
//! state says, and every block writes what it would write from a fresh memory.

use super::*;
use std::panic::AssertUnwindSafe;

/// What a guest does in a call.
#[derive(Debug, Clone)]
enum Step {
    Get(u8),
    Set(u8, Vec<u8>),
    Flush,
    FlushToLru,
    Reset,
    LookAtInput,
    Answer,
    Clear,
    SetViewForHeight(u32),
    ClearViewCache,
    Mode(CacheAllocationMode),
    Limit(usize),
    Keep(u8, Vec<u8>),
    Kept(u8),
    Drop(u8),
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
struct How {
    /// Its export was not made by the SDK.
    by_hand: bool,
    /// The host says that it begins.
    announced: bool,
    /// It panics in the end.
    panics: bool,
}

#[derive(Debug, Clone)]
enum Act {
    Index {
        how: How,
        steps: Vec<Step>,
    },
    View {
        how: How,
        back: u32,
        steps: Vec<Step>,
    },
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop::collection::vec(any::<u8>(), 0..60);
    let mode = prop_oneof![
        Just(CacheAllocationMode::Indexer),
        Just(CacheAllocationMode::View)
    ];
    prop_oneof![
        12 => (0..12u8).prop_map(Step::Get),
        6 => (0..12u8, value()).prop_map(|(key, value)| Step::Set(key, value)),
        2 => Just(Step::Flush),
        1 => Just(Step::FlushToLru),
        1 => Just(Step::Reset),
        2 => Just(Step::LookAtInput),
        1 => Just(Step::Answer),
        1 => Just(Step::Clear),
        1 => (0..4u32).prop_map(Step::SetViewForHeight),
        1 => Just(Step::ClearViewCache),
        1 => mode.prop_map(Step::Mode),
        1 => (0..3000usize).prop_map(Step::Limit),
        1 => (0..4u8, value()).prop_map(|(name, value)| Step::Keep(name, value)),
        1 => (0..4u8).prop_map(Step::Kept),
        1 => (0..4u8).prop_map(Step::Drop),
    ]
}

prop_compose! {
    fn how()(by_hand: bool, announced: bool, panics in prop::bool::weighted(0.1)) -> How {
        How { by_hand, announced, panics }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let steps = || prop::collection::vec(step(), 0..20);
    prop_oneof![
        6 => (how(), steps()).prop_map(|(how, steps)| Act::Index { how, steps }),
        8 => (how(), 0..4u32, steps()).prop_map(|(how, back, steps)| Act::View { how, back, steps }),
        1 => Just(Act::Clear),
    ]
}

/// What the guest must see, as maps.
#[derive(Default)]
struct Model {
    /// The state that the call stands on.
    base: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the call set.
    set: BTreeMap<Vec<u8>, Vec<u8>>,
    waiting: BTreeMap<Vec<u8>, Vec<u8>>,
    flushed: BTreeMap<Vec<u8>, Vec<u8>>,
    kept: BTreeMap<u8, Vec<u8>>,
    /// Look-ups since the memory was last cleared.
    lookups: u64,
    /// Whether the call is a view.
    is_view: bool,
    /// Whether `set_view_for_height` begins another call.
    bounded: bool,
    /// Calls so far.
    calls: u32,
}

impl Model {
    fn enter(&mut self, base: BTreeMap<Vec<u8>, Vec<u8>>) {
        self.base = base;
        self.set.clear();
        self.waiting.clear();
        self.flushed.clear();
    }

    /// What a memory that was just made knows.
    fn forget(&mut self) {
        self.set.clear();
        self.waiting.clear();
        self.kept.clear();
        self.lookups = 0;
    }

    fn flush(&mut self) {
        self.flushed.append(&mut self.waiting);
    }

    /// Does a step, checks what it answers, and answers what a guest sees of it:
    /// its reads, and nothing of its caches.
    fn step(&mut self, step: &Step) {
        let name = |name: u8| format!("name {name}");
        match step {
            Step::Get(key) => {
                self.lookups += 1;
                let found = get(Arc::new(vec![b'k', *key]));
                let expect = self.set.get(&[b'k', *key][..]);
                let expect = expect.or_else(|| self.base.get(&[b'k', *key][..]));
                assert_eq!(*found, expect.cloned().unwrap_or_default());
            }
            Step::Set(key, value) => {
                set(Arc::new(vec![b'k', *key]), Arc::new(value.clone()));
                self.set.insert(vec![b'k', *key], value.clone());
                self.waiting.insert(vec![b'k', *key], value.clone());
            }
            Step::Flush => {
                flush();
                self.flush();
            }
            Step::FlushToLru => flush_to_lru(),
            Step::Reset => {
                reset();
                self.waiting.clear();
            }
            Step::LookAtInput => drop(input()),
            Step::Answer => drop(metashrew_support::compat::export_bytes(vec![])),
            Step::Clear => {
                forget();
                self.forget();
            }
            Step::SetViewForHeight(height) if self.is_view => {
                set_view_for_height(*height);
                if !self.bounded {
                    self.set.clear();
                }
            }
            Step::ClearViewCache if self.is_view => {
                clear_view_cache();
                self.set.clear();
            }
            Step::SetViewForHeight(_) | Step::ClearViewCache => (),
            Step::Mode(mode) => set_cache_mode(*mode),
            Step::Limit(limit) => set_cache_memory_limit(*limit),
            Step::Keep(key, value) => {
                cache_set(name(*key), Arc::new(value.clone()));
                self.kept.insert(*key, value.clone());
            }
            Step::Kept(key) => {
                self.lookups += 1;
                if let Some(found) = cache_get(&name(*key)) {
                    assert_eq!(Some(&*found), self.kept.get(key));
                }
            }
            Step::Drop(key) => {
                let gone = cache_remove(&name(*key));
                assert!(gone.is_none_or(|gone| Some(&*gone) == self.kept.get(key)));
                self.kept.remove(key);
            }
        }
        let stats = lru_cache_stats();
        assert!(stats.memory_usage <= get_actual_cache_memory_limit());
        assert_eq!(stats.hits + stats.misses, self.lookups);
    }
}

/// Makes a call that does the steps, and more at its end. Where nobody says that it
/// begins, its input does, which no other call has.
fn call(model: &mut Model, height: u32, how: How, steps: &[Step], is_view: bool) {
    model.calls += 1;
    model.is_view = is_view;
    model.bounded = how.announced || !how.by_hand;
    test_utils::host::with(|host| host.silent = !how.announced);
    let payload = if how.announced {
        [0; 4]
    } else {
        model.calls.to_le_bytes()
    };
    let model = RefCell::new(model);
    let run = || {
        for step in steps {
            model.borrow_mut().step(step);
        }
        assert!(!how.panics, "as a guest does");
    };
    let answer = || metashrew_support::compat::export_bytes(vec![]);
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match (is_view, how.by_hand) {
        (true, true) => drop(test_utils::view_export(height, &payload, || {
            input();
            run();
            answer()
        })),
        (true, false) => drop(test_utils::view(height, &payload, |_, _| {
            run();
            Ok::<_, Infallible>(vec![])
        })),
        (false, true) => test_utils::index_export(height, &payload, || {
            input();
            run();
            flush();
        }),
        (false, false) => test_utils::index_block(height, &payload, |_, _| {
            run();
            Ok::<_, Infallible>(())
        }),
    }));
    match outcome {
        Ok(()) => assert!(!how.panics),
        Err(payload) => {
            let meant = payload.downcast_ref() == Some(&"as a guest does");
            if !(how.panics && meant) {
                std::panic::resume_unwind(payload);
            }
            model.borrow_mut().forget();
        }
    }
}

/// Indexes a block, and once more if that panicked.
fn index(model: &mut Model, height: u32, how: How, steps: &[Step]) {
    let panics = [true, false]
        .into_iter()
        .filter(|panics| how.panics || !panics);
    for panics in panics {
        model.enter(test_utils::state(height - 1));
        // A block that panicked flushed nothing: the host has no way to take it back.
        let steps: Vec<_> = steps
            .iter()
            .filter(|step| !panics || !matches!(step, Step::Flush))
            .cloned()
            .collect();
        call(model, height, How { panics, ..how }, &steps, false);
    }
    model.flush();
    assert_eq!(test_utils::written(height), model.flushed);
}

fn view(model: &mut Model, height: u32, how: How, steps: &[Step]) {
    model.enter(test_utils::state(height));
    call(model, height, how, steps, true);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_read_is_what_the_state_says(acts in prop::collection::vec(act(), 1..30)) {
        test_utils::reset();
        set_cache_memory_limit(1500);
        let mut model = Model::default();
        let mut tip = 0;
        for act in acts {
            match act {
                Act::Index { how, steps } => {
                    tip += 1;
                    index(&mut model, tip, how, &steps);
                }
                Act::View { how, back, steps } => {
                    view(&mut model, tip.saturating_sub(back), how, &steps);
                }
                Act::Clear => {
                    forget();
                    model.forget();
                }
            }
        }
        set_cache_memory_limit(1 << 30);
    }
}

/// A guest whose writes depend on what it reads: its own values of this block and
/// of earlier ones.
fn accumulate(height: u32, block: &[u8]) -> Result<(), Infallible> {
    for &byte in block {
        let key = Arc::new(vec![b'k', byte % 5]);
        let mut value = get(key.clone()).to_vec();
        value.push(byte ^ height.to_le_bytes()[0]);
        set(
            key,
            Arc::new(value.split_off(value.len().saturating_sub(8))),
        );
        if byte > 200 {
            flush();
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn restarts_anywhere_leave_the_same_state(
        blocks in prop::collection::vec((any::<Vec<u8>>(), any::<bool>()), 1..20),
        limit in 0..2000usize,
    ) {
        let run = |restarts: &dyn Fn(bool) -> bool| {
            test_utils::reset();
            set_cache_memory_limit(limit);
            for (height, (block, restart)) in (1..).zip(&blocks) {
                if restarts(*restart) {
                    forget();
                }
                test_utils::index_block(height, block, accumulate);
            }
            set_cache_memory_limit(1 << 30);
            (1..=20).map(test_utils::written).collect::<Vec<_>>()
        };
        let expect = run(&|_| true);
        prop_assert_eq!(run(&|_| false), expect.clone());
        prop_assert_eq!(run(&|restart| restart), expect);
    }
}

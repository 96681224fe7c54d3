//! What a call leaves in its statics is in no other call.

use crate::test_utils;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;

thread_local! {
    static MADE: Cell<u32> = const { Cell::new(0) };
    static DROPPED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Says when it goes.
struct Told(u32);

impl Drop for Told {
    fn drop(&mut self) {
        // The last one goes with its thread.
        let _ = DROPPED.try_with(|dropped| dropped.borrow_mut().push(self.0));
    }
}

crate::call_local! {
    /// A flag.
    static FLAG: Cell<bool> = Cell::new(false);
    pub(super) static LIST: RefCell<Vec<u8>> = RefCell::new(vec![1]);
    static TOLD: Told = {
        MADE.set(MADE.get() + 1);
        Told(MADE.get())
    };
    static AFTER: Told = Told(100 + TOLD.with(|told| told.0))
}

fn view(run: impl FnOnce()) {
    test_utils::view(1, b"", |_, _| {
        run();
        Ok::<_, Infallible>(vec![])
    });
}

#[test]
fn every_call_finds_the_initial_values() {
    for _ in 0..3 {
        view(|| {
            assert!(!FLAG.get());
            FLAG.set(true);
            assert!(FLAG.replace(true) && FLAG.take() && !FLAG.get());
            LIST.with_borrow_mut(|list| list.push(2));
            LIST.with_borrow(|list| assert_eq!(list, &[1, 2]));
            assert_eq!(LIST.take(), [1, 2]);
            LIST.set(vec![3]);
            assert_eq!(LIST.replace(vec![]), [3]);
        });
    }
}

#[test]
fn values_are_made_when_first_used_and_dropped_when_the_next_call_begins() {
    view(|| ());
    assert_eq!(MADE.get(), 0);
    view(|| TOLD.with(|told| assert_eq!(told.0, 1)));
    assert!(DROPPED.take().is_empty());
    view(|| {
        assert_eq!(DROPPED.take(), [1]);
        // The last one made goes first.
        AFTER.with(|after| assert_eq!(after.0, 102));
    });
    view(|| assert_eq!(DROPPED.take(), [102, 2]));
    assert_eq!(MADE.get(), 2);
}

#[test]
fn statics_may_be_used_inside_one_another() {
    view(|| {
        LIST.with(|outer| {
            LIST.with_borrow_mut(|list| list.push(2));
            FLAG.with(|flag| flag.set(outer.borrow().len() == 2));
        });
        assert!(FLAG.get());
        // A value in use outlives its call.
        TOLD.with(|told| {
            view(|| TOLD.with(|next| assert_eq!(next.0, told.0 + 1)));
            assert!(DROPPED.take().is_empty());
        });
        assert_eq!(DROPPED.take(), [1]);
    });
}

#[test]
fn a_call_that_panicked_leaves_nothing() {
    let failed = std::panic::catch_unwind(|| {
        view(|| {
            FLAG.set(true);
            TOLD.with(|_| panic!("as a guest does"));
        });
    });
    assert!(failed.is_err());
    assert_eq!(DROPPED.take(), [1]);
    view(|| assert!(!FLAG.get()));
}

#[test]
fn a_destructor_may_use_statics_and_leaves_nothing_either() {
    struct Uses;
    impl Drop for Uses {
        fn drop(&mut self) {
            LIST.with_borrow_mut(|list| list.push(9));
            crate::set(vec![b'k'].into(), vec![b'v'].into());
        }
    }
    crate::call_local! {
        static USES: Uses = Uses;
    }
    view(|| USES.with(|_| ()));
    view(|| {
        LIST.with_borrow(|list| assert_eq!(list, &[1]));
        assert!(crate::get(vec![b'k'].into()).is_empty());
    });
}

#[test]
fn where_nobody_says_that_a_call_begins_another_input_does() {
    test_utils::reset();
    test_utils::host::with(|host| host.silent = true);
    let by_hand = |input: &[u8], flag: bool| {
        test_utils::view_export(1, input, || {
            crate::input();
            assert_eq!(FLAG.get(), flag);
            FLAG.set(true);
            metashrew_support::compat::export_bytes(vec![])
        });
    };
    by_hand(b"a", false);
    by_hand(b"b", false);
    // The same input: nothing tells that this is another call.
    by_hand(b"b", true);
    // The SDK's own exports say so themselves.
    view(|| assert!(!FLAG.get()));
    view(|| assert!(!FLAG.get()));
}

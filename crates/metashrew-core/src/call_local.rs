//! Statics of one call: [`call_local!`](crate::call_local!).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::thread::LocalKey;

/// Declares statics that every call finds at their initial values, as
/// [`thread_local!`](std::thread_local) declares those of a thread.
///
/// A host may keep a guest's memory from one call to the next, so what a call left in
/// an ordinary static is there in the next one: another caller's. A flag, a count or a
/// collection that belongs to the call goes here.
///
/// The expression is evaluated when the call first uses the static. The value is
/// dropped when the next call begins.
///
/// ```
/// use metashrew_core::test_utils;
/// use std::cell::{Cell, RefCell};
///
/// metashrew_core::call_local! {
///     /// Whether the caller asked for no details.
///     static BRIEF: Cell<bool> = Cell::new(false);
///     static SEEN: RefCell<Vec<u8>> = RefCell::new(Vec::new());
/// }
///
/// fn view(_height: u32, input: &[u8]) -> Result<Vec<u8>, std::convert::Infallible> {
///     if input == b"brief" {
///         BRIEF.set(true);
///     }
///     SEEN.with_borrow_mut(|seen| seen.extend(input));
///     Ok(if BRIEF.get() { vec![] } else { SEEN.take() })
/// }
///
/// assert_eq!(test_utils::view(1, b"brief", view), b"");
/// assert_eq!(test_utils::view(1, b"all", view), b"all");
/// ```
///
/// Where a call begins is said by the host, if it knows how
/// ([`__metashrew_begin`](crate::__metashrew_begin)), and by the exports of
/// [`export!`](crate::export!) and [`declare_indexer!`](crate::declare_indexer!). On a
/// host that does not, hand-written exports begin a call where
/// [`input`](crate::input) finds another input than before.
#[macro_export]
macro_rules! call_local {
    () => {};
    (
        $(#[$attribute:meta])*
        $visibility:vis static $name:ident: $type:ty = $initial:expr $(; $($rest:tt)*)?
    ) => {
        $(#[$attribute])*
        $visibility static $name: $crate::call_local::CallLocal<$type> = {
            ::std::thread_local! {
                static SLOT: $crate::call_local::Slot<$type> = const {
                    $crate::call_local::Slot::new()
                };
            }
            fn initial() -> $type {
                $initial
            }
            $crate::call_local::CallLocal::new(&SLOT, initial)
        };
        $($crate::call_local! { $($rest)* })?
    };
}

/// A static of one call, declared by [`call_local!`](crate::call_local!).
///
/// ```
/// # use std::cell::{Cell, RefCell};
/// # use metashrew_core::call_local::CallLocal;
/// metashrew_core::call_local! {
///     static CALLS: Cell<u32> = Cell::new(0);
/// }
/// fn next(count: &'static CallLocal<Cell<u32>>) -> u32 {
///     count.set(count.get() + 1);
///     count.get()
/// }
/// assert_eq!([next(&CALLS), next(&CALLS)], [1, 2]);
/// ```
pub struct CallLocal<T: 'static> {
    slot: &'static LocalKey<Slot<T>>,
    initial: fn() -> T,
}

/// Where a value is while its call lasts.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<T>(RefCell<Option<Rc<T>>>);

impl<T> Slot<T> {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

/// What the call under way has a value in.
trait InUse {
    fn drop_value(&'static self);
}

thread_local! {
    static IN_USE: RefCell<Vec<&'static dyn InUse>> = const { RefCell::new(Vec::new()) };
}

/// Drops the values of the call that ended, the one made last first. What destructors
/// make anew is dropped too.
pub(crate) fn drop_all() {
    while let Some(last) = IN_USE.with_borrow_mut(Vec::pop) {
        last.drop_value();
    }
}

impl<T> InUse for CallLocal<T> {
    fn drop_value(&'static self) {
        // The destructor may use the static: by then nothing is borrowed.
        let value = self.slot.with(|slot| slot.0.take());
        drop(value);
    }
}

impl<T> CallLocal<T> {
    #[doc(hidden)]
    pub const fn new(slot: &'static LocalKey<Slot<T>>, initial: fn() -> T) -> Self {
        Self { slot, initial }
    }

    /// Calls `f` with the value, which is made first if the call has none yet.
    ///
    /// `f` may use this static and others.
    ///
    /// ```
    /// metashrew_core::call_local! { static NAME: String = "ann".to_owned(); }
    /// assert_eq!(NAME.with(|name| name.len()), 3);
    /// ```
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.value())
    }

    fn value(&'static self) -> Rc<T> {
        if let Some(value) = self.slot.with(|slot| slot.0.borrow().clone()) {
            return value;
        }
        let value = Rc::new((self.initial)());
        self.slot.with(|slot| slot.0.replace(Some(value.clone())));
        IN_USE.with_borrow_mut(|statics| statics.push(self));
        value
    }
}

impl<T> CallLocal<Cell<T>> {
    /// Sets the value.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static DEPTH: Cell<u32> = Cell::new(0); }
    /// DEPTH.set(3);
    /// assert_eq!(DEPTH.get(), 3);
    /// ```
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// The value.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static DEPTH: Cell<u32> = Cell::new(5); }
    /// assert_eq!(DEPTH.get(), 5);
    /// ```
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static LABEL: Cell<&'static str> = Cell::new("ann"); }
    /// assert_eq!((LABEL.take(), LABEL.take()), ("ann", ""));
    /// ```
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value: the one before.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static DEPTH: Cell<u32> = Cell::new(1); }
    /// assert_eq!((DEPTH.replace(2), DEPTH.get()), (1, 2));
    /// ```
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T> CallLocal<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static SEEN: RefCell<Vec<u8>> = RefCell::new(vec![7]); }
    /// assert!(SEEN.with_borrow(|seen| seen.contains(&7)));
    /// ```
    ///
    /// # Panics
    /// If it is borrowed mutably.
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value borrowed mutably.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static SEEN: RefCell<Vec<u8>> = RefCell::default(); }
    /// SEEN.with_borrow_mut(|seen| seen.push(7));
    /// assert_eq!(SEEN.take(), [7]);
    /// ```
    ///
    /// # Panics
    /// If it is borrowed.
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static SEEN: RefCell<Vec<u8>> = RefCell::default(); }
    /// SEEN.set(vec![1, 2]);
    /// assert_eq!(SEEN.with_borrow(Vec::len), 2);
    /// ```
    ///
    /// # Panics
    /// If it is borrowed.
    pub fn set(&'static self, value: T) {
        drop(self.replace(value));
    }

    /// Takes the value and leaves the default.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static SEEN: RefCell<Vec<u8>> = RefCell::new(vec![7]); }
    /// assert_eq!((SEEN.take(), SEEN.take()), (vec![7], vec![]));
    /// ```
    ///
    /// # Panics
    /// If it is borrowed.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the value: the one before.
    ///
    /// ```
    /// # use std::cell::{Cell, RefCell};
    /// metashrew_core::call_local! { static SEEN: RefCell<Vec<u8>> = RefCell::new(vec![7]); }
    /// assert_eq!(SEEN.replace(vec![8, 9]), [7]);
    /// ```
    ///
    /// # Panics
    /// If it is borrowed.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T> fmt::Debug for CallLocal<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CallLocal").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "call_local_tests.rs"]
mod tests;

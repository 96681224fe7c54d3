//! Telling whoever asked that readers see something new.
//!
//! They are told by the thread that commits or rolls back, after it has let go of the lock
//! that it writes under. So they may read the store, and even write to it.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::store::{Store, Writer};

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Those who want to be told.
#[derive(Default)]
pub(crate) struct Listeners {
    registered: Mutex<Registered>,
}

#[derive(Default)]
struct Registered {
    /// How many there ever were.
    count: u64,
    callbacks: Vec<(u64, Callback)>,
}

impl Listeners {
    /// Calls each of them, without a lock: they may come and go meanwhile.
    fn tell(&self) {
        let callbacks: Vec<_> = {
            let registered = self.registered.lock();
            let callbacks = registered.callbacks.iter();
            callbacks.map(|(_, callback)| callback.clone()).collect()
        };
        for callback in callbacks {
            callback();
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.registered.lock().callbacks.len();
        formatter.debug_tuple("Listeners").field(&count).finish()
    }
}

/// Ends what [`Store::on_publish`] began when it is dropped. It does not keep the database open.
#[must_use = "nobody is told any more once this is dropped"]
#[derive(Debug)]
pub struct Registration {
    listeners: Weak<Listeners>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(listeners) = self.listeners.upgrade() else {
            return;
        };
        let mut registered = listeners.registered.lock();
        let is_it = |(number, _): &(u64, Callback)| *number == self.number;
        let position = registered.callbacks.iter().position(is_it);
        let removed = position.map(|position| registered.callbacks.remove(position));
        // What it owns may be a registration, too.
        drop(registered);
        drop(removed);
    }
}

impl Store {
    /// Has `callback` called after each change of what [`snapshot`](Self::snapshot) gives: after
    /// each commit, each rollback, and when [`follow`](Self::follow) found something. It is told
    /// nothing: it has to look. A rollback in several batches is told once, at its end.
    ///
    /// It is called by the thread that made the change, before that call returns, and with no
    /// lock held. So it may use the store as it likes, and drop its own registration. But
    /// whoever commits waits for it: it should do no more than wake somebody. When it is called,
    /// more may have changed already, and calls for different changes may be under way at once.
    /// One that is under way when the [`Registration`] is dropped goes on to its end.
    ///
    /// The store owns the callback: one that owns the store in turn keeps the database open as
    /// long as it is registered.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use metashrew_store::{BlockHash, BlockRef, Store, WriteSet};
    ///
    /// let store = Store::in_memory();
    /// let changes = Arc::new(AtomicU32::new(0));
    /// let counted = Arc::clone(&changes);
    /// let registration = store.on_publish(move || {
    ///     counted.fetch_add(1, Ordering::Relaxed);
    /// });
    /// let hash = |number| BlockHash::from_bytes([number; 32]);
    /// store.commit(&BlockRef::new(7, hash(7), hash(6)), &WriteSet::default())?;
    /// assert_eq!(changes.load(Ordering::Relaxed), 1);
    /// drop(registration);
    /// store.rollback(None)?;
    /// assert_eq!(changes.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_publish(&self, callback: impl Fn() + Send + Sync + 'static) -> Registration {
        let listeners = &self.inner.listeners;
        let mut registered = listeners.registered.lock();
        registered.count += 1;
        let number = registered.count;
        registered.callbacks.push((number, Arc::new(callback)));
        Registration {
            listeners: Arc::downgrade(listeners),
            number,
        }
    }
}

/// What whoever changes the store holds.
#[derive(Debug)]
pub(crate) struct WriteGuard<'a> {
    // Let go before anybody is told.
    pub(crate) writer: MutexGuard<'a, Writer>,
    telling: Telling<'a>,
}

/// When it is dropped, those who asked are told if anything was published.
#[derive(Debug)]
struct Telling<'a> {
    listeners: &'a Listeners,
    has_published: bool,
}

impl<'a> WriteGuard<'a> {
    pub(crate) fn new(writer: MutexGuard<'a, Writer>, listeners: &'a Listeners) -> Self {
        Self {
            writer,
            telling: Telling {
                listeners,
                has_published: false,
            },
        }
    }

    /// Notes that readers see something new.
    pub(crate) fn note_published(&mut self) {
        self.telling.has_published = true;
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if self.has_published {
            self.listeners.tell();
        }
    }
}

//! Subscriptions through the real binary: kills and caches.

mod caches;
mod killed;

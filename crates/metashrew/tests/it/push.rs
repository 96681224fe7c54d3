//! Subscriptions through the real binary: kills, clients that do not read, and caches.

mod caches;
mod connection;
mod killed;
mod stalled;
mod tails;

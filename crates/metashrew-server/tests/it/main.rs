//! The server, asked over HTTP, with real guests over a real store.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod anchors;
mod batch;
mod cancel;
mod compressed;
mod connections;
mod discovery;
mod errors;
mod feed;
mod harness;
mod hosts;
mod http_views;
mod http_views_cache;
mod http_views_hostile;
mod json_and_text;
mod memory;
mod methods;
mod metrics;
mod multicall;
mod pending;
mod previews;
mod probes;
mod protocol;
mod push;
mod pushed;
mod sessions;
mod snapshots;
mod stats;
mod transport;
mod uploads;
mod web;

//! A range read step by step: what the host has, under what the call itself wrote.
//!
//! The host's state stays the same for the whole call, so what it answered is good until it is
//! used up. The call's own writes are looked up anew at each step.

use super::window::Window;
use super::{Entry, RangeError, counted};
use crate::host::{self, RangeRequest};
use metashrew_abi::range::End;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

type Bytes = Arc<Vec<u8>>;
/// A key and its value.
type Pair = (Bytes, Bytes);

/// What a call wrote.
pub(crate) trait Own {
    /// The first of its keys in a window that is not empty, in the window's order, with its
    /// value: an empty one hides what the host has.
    fn first(&self, window: &Window) -> Option<Pair>;
}

impl Own for BTreeMap<Bytes, Bytes> {
    fn first(&self, window: &Window) -> Option<Pair> {
        let mut pairs = self.range::<Vec<u8>, _>(window.bounds());
        let (key, value) = if window.descending {
            pairs.next_back()
        } else {
            pairs.next()
        }?;
        Some((key.clone(), value.clone()))
    }
}

/// How much to ask the host for, in pairs and in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Want {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// The next entry is the host's, and has more bytes than were wanted.
#[derive(Debug)]
pub(crate) struct TooLarge {
    key: Vec<u8>,
    bytes: usize,
}

impl TooLarge {
    pub(crate) fn error(self, max_bytes: usize) -> RangeError {
        RangeError::EntryTooLarge {
            key: self.key,
            bytes: self.bytes,
            max_bytes,
        }
    }
}

/// A range half read.
#[derive(Debug)]
pub(crate) struct Merge {
    /// What is still to come.
    window: Window,
    keys_only: bool,
    /// What the host has next, as far as it is known.
    theirs: VecDeque<Theirs>,
    /// Whether the host has more than that.
    more: bool,
    /// What own writes hid of the host's so far: as much is asked for in addition, so that a
    /// range whose beginning was removed takes few calls.
    hidden: Want,
}

/// A pair of the host.
#[derive(Debug)]
struct Theirs {
    key: Vec<u8>,
    /// `None`: it is too large to be handed over.
    value: Option<Vec<u8>>,
    counted: usize,
}

impl Merge {
    pub(crate) fn new(window: Window, keys_only: bool) -> Self {
        Self {
            window,
            keys_only,
            theirs: VecDeque::new(),
            more: true,
            hidden: Want::default(),
        }
    }

    /// The next entry, if there is one.
    pub(crate) fn next(&mut self, own: &impl Own, want: Want) -> Result<Option<Entry>, TooLarge> {
        while !self.window.is_empty() {
            if self.more && self.theirs.is_empty() {
                self.ask(want);
            }
            let Some((key, value)) = own.first(&self.window) else {
                return self.take_theirs();
            };
            if let Some(theirs) = self.theirs.front() {
                if self.window.is_before(&theirs.key, &key) {
                    return self.take_theirs();
                }
                if theirs.key == *key {
                    self.hidden.count += 1;
                    self.hidden.bytes = self.hidden.bytes.saturating_add(theirs.counted);
                    self.theirs.pop_front();
                }
            }
            self.window.pass(&key);
            if !value.is_empty() {
                let value = if self.keys_only {
                    Vec::new()
                } else {
                    value.to_vec()
                };
                let key = key.to_vec();
                return Ok(Some(Entry { key, value }));
            }
        }
        Ok(None)
    }

    fn ask(&mut self, want: Want) {
        let number = |wanted: usize, hidden: usize| {
            u32::try_from(wanted.saturating_add(hidden)).unwrap_or(u32::MAX)
        };
        let request = RangeRequest {
            descending: self.window.descending,
            keys_only: self.keys_only,
            max_count: number(want.count, self.hidden.count),
            max_bytes: number(want.bytes, self.hidden.bytes),
            start: &self.window.start,
            end: self.window.end.as_deref().unwrap_or_default(),
        };
        self.more = host::read_range(&request, |answer| {
            let end = answer.end();
            self.theirs.extend(answer.pairs().map(|pair| {
                let value_len = if request.keys_only { 0 } else { pair.value_len };
                let value_len = usize::try_from(value_len).unwrap_or(usize::MAX);
                Theirs {
                    key: pair.key.to_vec(),
                    value: (end != End::TooLarge).then(|| pair.value.to_vec()),
                    counted: counted(pair.key.len(), value_len),
                }
            }));
            end != End::Range
        });
    }

    /// The host's next pair, if it has one: the next entry.
    fn take_theirs(&mut self) -> Result<Option<Entry>, TooLarge> {
        let Some(Theirs {
            key,
            value,
            counted,
        }) = self.theirs.pop_front()
        else {
            return Ok(None);
        };
        // One that is too large is not passed: who wants more may ask for it again.
        let Some(value) = value else {
            return Err(TooLarge {
                key,
                bytes: counted,
            });
        };
        self.window.pass(&key);
        Ok(Some(Entry { key, value }))
    }
}

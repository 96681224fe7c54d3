//! Reads of many keys in one call: those that are not at hand are read together, some at a
//! time.

use metashrew_store::{HashedKey, MAX_KEY_LEN, ManyReads, MemoPlace, Version};

use super::{Call, Last, Role, value_of};
use crate::deadline::Pace;
use crate::error::GuestBacktrace;
use crate::fault::Fault;
use crate::limits::Allowance;
use crate::observe::Event;
use crate::read_time::CallReads;

/// Keys that are read together at most. To look for so many in memory takes less than a tick.
const MAX_KEYS: usize = 4096;

/// Bytes that keys, and values, that are read together may have, but for the last one. The
/// host holds as much beside the answer: it is [counted](HeldReads).
const MAX_BYTES: usize = 1 << 20;

/// Bytes that each key of a group takes beside its value, while it is read and until it is in
/// the answer.
const KEY_BYTES: usize =
    ManyReads::KEY_BYTES + size_of::<HashedKey<'_>>() + 2 * size_of::<Option<Last>>();

/// How many keys are to be read together.
pub(crate) struct GroupSize(usize);

impl Default for GroupSize {
    fn default() -> Self {
        Self(MAX_KEYS)
    }
}

impl GroupSize {
    /// After `keys` keys had values of `bytes` bytes: so many that others of that size would
    /// have half of what they may. What a group has no room for is read again.
    fn after(keys: usize, bytes: usize) -> Self {
        let fitting = keys.saturating_mul(MAX_BYTES / 2).checked_div(bytes);
        Self(fitting.map_or(MAX_KEYS, |keys| keys.clamp(1, MAX_KEYS)))
    }
}

/// What the host holds of the keys that are read in one call, as it is counted for the call.
pub(crate) struct HeldReads<'a> {
    allowance: &'a mut Allowance,
    /// Bytes that it takes to know which keys are asked for.
    keys: usize,
    /// Bytes of those that are read together, and of their values.
    group: usize,
    /// Bytes of the answer.
    answer: usize,
}

impl<'a> HeldReads<'a> {
    /// Of a request whose keys take so many bytes.
    pub(crate) fn new(allowance: &'a mut Allowance, keys: usize) -> Result<Self, Fault> {
        let mut held = Self {
            allowance,
            keys,
            group: 0,
            answer: 0,
        };
        held.hold()?;
        Ok(held)
    }

    fn hold(&mut self) -> Result<(), Fault> {
        let beside = self.keys.saturating_add(self.group);
        self.allowance
            .hold_for_reads(self.answer.saturating_add(beside))
    }

    fn hold_group(&mut self, bytes: usize) -> Result<(), Fault> {
        self.group = bytes;
        self.hold()
    }

    /// The answer is to take so many bytes.
    pub(crate) fn hold_answer(&mut self, bytes: usize) -> Result<(), Fault> {
        self.answer = bytes;
        self.hold()
    }

    /// What a block wrote and read takes so many bytes.
    pub(crate) fn hold_for_block(&mut self, bytes: usize) -> Result<(), Fault> {
        self.allowance.hold(bytes)
    }

    /// Only the answer is left.
    pub(crate) fn keep_answer(self) {
        self.allowance.keep_reads(self.answer);
    }
}

impl Call {
    /// The values of the first of `keys`: at least one, unless there are no keys. The guest may
    /// have one after it was [told](Self::told).
    pub(crate) async fn find_many(
        &mut self,
        keys: &[&[u8]],
        size: &mut GroupSize,
        pace: &mut Pace<'_>,
        held: &mut HeldReads<'_>,
    ) -> Result<Vec<Last>, Fault> {
        let count = keys.len().min(size.0);
        held.hold_group(count * KEY_BYTES)?;
        let mut at_hand = Vec::with_capacity(count);
        let (mut missing, mut bytes) = (Vec::new(), 0);
        for key in keys.iter().take(size.0) {
            if bytes >= MAX_BYTES {
                break;
            }
            if key.len() > MAX_KEY_LEN {
                // It cannot have been written. It may be of 4 GiB: it is not even hashed.
                at_hand.push(Some(Last::None));
                continue;
            }
            bytes += key.len();
            let key = HashedKey::new(key);
            let remembered = self.remembered(key);
            if remembered.is_none() {
                missing.push(key);
            }
            at_hand.push(remembered.map(Last::Remembered));
        }
        let versions = self.read_together(&missing, size, pace, held).await?;
        let mut read = missing.into_iter().zip(versions);
        let mut found = Vec::with_capacity(at_hand.len());
        for value in at_hand {
            if let Some(value) = value {
                found.push(value);
            } else if let Some((key, version)) = read.next() {
                found.push(self.keep(key, version));
            } else {
                break;
            }
        }
        Ok(found)
    }

    /// What was found at `key`, one of many, after whoever watches was told.
    pub(crate) fn told<'a>(&'a self, key: &[u8], found: &'a Last) -> Result<&'a [u8], Fault> {
        let value = self.kept(found);
        self.watch.tell(Event::Read { key, value })?;
        Ok(value)
    }

    /// The newest versions of the first of `keys`.
    async fn read_together(
        &mut self,
        keys: &[HashedKey<'_>],
        size: &mut GroupSize,
        pace: &mut Pace<'_>,
        held: &mut HeldReads<'_>,
    ) -> Result<Vec<Option<Version>>, Fault> {
        if let Role::Scout { control, .. } = &self.role {
            if control.is_cancelled() {
                return Err(Fault::Timeout(GuestBacktrace::default()));
            }
            self.state = control.state();
        }
        let since = self.timed_reads().map(|_| CallReads::now());
        let mut reads = self.state.read_many(keys, MAX_BYTES);
        let beside = held.group;
        loop {
            held.hold_group(beside.saturating_add(reads.progress().1))?;
            if !reads.step().await? {
                break;
            }
            pace.look(|| self.is_cancelled()).await?;
        }
        let (count, bytes) = reads.progress();
        *size = GroupSize::after(count, bytes);
        let versions = reads.finish();
        if let (Some(reads), Some(since)) = (self.timed_reads(), since) {
            reads.add_time(since);
        }
        Ok(versions)
    }

    /// Where a block keeps the value of a key that it has read.
    fn remembered(&self, key: HashedKey<'_>) -> Option<MemoPlace> {
        match &self.role {
            Role::Index { writes, .. } => writes.find_remembered(key),
            Role::View | Role::Check | Role::Scout { .. } => None,
        }
    }

    /// Counts a version that was read, and keeps it as a block does.
    fn keep(&mut self, key: HashedKey<'_>, newest: Option<Version>) -> Last {
        // A key that was asked for twice was read once.
        if let Some(place) = self.remembered(key) {
            return Last::Remembered(place);
        }
        match &mut self.role {
            Role::Index {
                writes,
                timed,
                remembers,
                ..
            } => {
                if let Some(reads) = timed {
                    reads.count(newest.as_ref());
                }
                let place = remembers.then(|| writes.remember(key, newest.as_ref()));
                if let Some(place) = place.flatten() {
                    return Last::Remembered(place);
                }
            }
            Role::Scout { reads, .. } => *reads += 1,
            Role::View | Role::Check => {}
        }
        Last::Value(value_of(newest))
    }
}

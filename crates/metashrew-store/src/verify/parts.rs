//! Versions in a temporary file, parted by ranges of heights; within a part they keep
//! the order in which they came.

use std::ops::RangeInclusive;

use super::temporary::TemporaryFile;
use crate::block::Height;
use crate::error::VerifyError;

/// A part holds this many heights at most, whatever they wrote.
const MAX_HEIGHTS: u32 = 1 << 14;

/// There are this many parts at most, as long as no part has to hold too many heights.
const MAX_PARTS: u64 = 1024;

/// A thread holds this much of a part back at most, before it writes it down.
const MAX_BUFFER: usize = 1 << 20;

/// And at least this much.
const MIN_BUFFER: usize = 4 << 10;

/// Where one part ends and the next begins.
#[derive(Debug)]
pub(super) struct Plan {
    /// The last height of each part.
    ends: Vec<Height>,
    first: Height,
}

impl Plan {
    /// Parts for these heights, which wrote so many versions each, of about
    /// `versions_a_part` versions; a height is never parted.
    pub(super) fn new(
        heights: RangeInclusive<Height>,
        versions: &[u32],
        versions_a_part: u64,
    ) -> Self {
        let total: u64 = versions.iter().copied().map(u64::from).sum();
        let target = versions_a_part.max(total.div_ceil(MAX_PARTS)).max(1);
        let first = *heights.start();
        let mut ends = Vec::new();
        let (mut held, mut count) = (0, 0);
        for (height, versions) in heights.clone().zip(versions) {
            held += u64::from(*versions);
            count += 1;
            if held >= target || count == MAX_HEIGHTS || height == *heights.end() {
                ends.push(height);
                (held, count) = (0, 0);
            }
        }
        Self { ends, first }
    }

    /// The same heights, in two halves at least.
    pub(super) fn finer(
        heights: &RangeInclusive<Height>,
        versions: &[u32],
        versions_a_part: u64,
    ) -> Self {
        let mut plan = Self::new(heights.clone(), versions, versions_a_part);
        let (first, last) = (*heights.start(), *heights.end());
        if plan.ends.len() < 2 && first < last {
            plan.ends.insert(0, first + (last - first) / 2);
        }
        plan
    }

    /// The number of the part for `height`, if it is one of the plan's.
    fn part_of(&self, height: Height) -> Option<usize> {
        let part = self.ends.partition_point(|end| *end < height);
        (height >= self.first && part < self.ends.len()).then_some(part)
    }

    fn heights(&self) -> impl Iterator<Item = RangeInclusive<Height>> {
        let mut first = self.first;
        self.ends.iter().map(move |end| {
            let heights = first..=*end;
            first = end.saturating_add(1);
            heights
        })
    }
}

/// The versions of a range of heights.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) heights: RangeInclusive<Height>,
    /// Where they lie, in their order; a version lies in one stretch.
    stretches: Vec<Stretch>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    offset: u64,
    len: u32,
}

impl Part {
    /// Takes in what follows, of the same heights.
    fn append(&mut self, other: Self) {
        self.stretches.extend(other.stretches);
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    /// All of its bytes.
    pub(super) fn load(&self, file: &TemporaryFile) -> Result<Vec<u8>, VerifyError> {
        let mut bytes = vec![0; usize::try_from(self.bytes).unwrap_or(usize::MAX)];
        let mut rest = bytes.as_mut_slice();
        for stretch in &self.stretches {
            let Some((read, left)) = rest.split_at_mut_checked(stretch.len as usize) else {
                break;
            };
            file.read_at(stretch.offset, read)?;
            rest = left;
        }
        Ok(bytes)
    }

    /// Goes through its versions, a stretch at a time in memory.
    pub(super) fn stream<E: From<VerifyError>>(
        &self,
        file: &TemporaryFile,
        mut each: impl FnMut(&Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        for stretch in &self.stretches {
            bytes.resize(stretch.len as usize, 0);
            file.read_at(stretch.offset, &mut bytes)?;
            for (_, entry) in Entries::new(&bytes) {
                each(&entry)?;
            }
            bytes.clear();
            bytes.shrink_to(MAX_BUFFER);
        }
        Ok(())
    }
}

/// One version in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) height: Height,
    /// How far below the version before lies; 0 if there is none.
    pub(super) distance: Height,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Height, distance, and the lengths of key and value.
const HEADER_LEN: usize = 4 + 4 + 2 + 4;

impl<'a> Entry<'a> {
    fn len(&self) -> usize {
        HEADER_LEN + self.key.len() + self.value.len()
    }

    /// None if a length is beyond what any database may hold.
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<()> {
        let key_len = u16::try_from(self.key.len()).ok()?;
        let value_len = u32::try_from(self.value.len()).ok()?;
        let mut header = [0; HEADER_LEN];
        let (height, rest) = header.split_at_mut(4);
        let (distance, rest) = rest.split_at_mut(4);
        let (key, value) = rest.split_at_mut(2);
        height.copy_from_slice(&self.height.to_le_bytes());
        distance.copy_from_slice(&self.distance.to_le_bytes());
        key.copy_from_slice(&key_len.to_le_bytes());
        value.copy_from_slice(&value_len.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(self.key);
        bytes.extend_from_slice(self.value);
        Some(())
    }

    /// The version that `bytes` begin with.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (height, rest) = bytes.split_first_chunk()?;
        let (distance, rest) = rest.split_first_chunk()?;
        let (key_len, rest) = rest.split_first_chunk()?;
        let (value_len, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*key_len).into())?;
        Some(Self {
            height: Height::from_le_bytes(*height),
            distance: Height::from_le_bytes(*distance),
            key,
            value: rest.get(..u32::from_le_bytes(*value_len) as usize)?,
        })
    }
}

/// The versions in bytes of a part, each with where it begins.
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (usize, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next;
        let entry = Entry::decode(self.bytes.get(at..)?)?;
        self.next += entry.len();
        Some((at, entry))
    }
}

/// Takes versions, and writes them down part by part.
pub(super) struct Parter<'a> {
    plan: &'a Plan,
    file: &'a TemporaryFile,
    parts: Vec<(Part, Vec<u8>)>,
    buffer: usize,
}

impl<'a> Parter<'a> {
    /// `buffers` is the memory for all parts.
    pub(super) fn new(plan: &'a Plan, file: &'a TemporaryFile, buffers: usize) -> Self {
        let parts: Vec<_> = plan
            .heights()
            .map(|heights| {
                let part = Part {
                    heights,
                    stretches: Vec::new(),
                    entries: 0,
                    bytes: 0,
                };
                (part, Vec::new())
            })
            .collect();
        let buffer = (buffers / parts.len().max(1)).clamp(MIN_BUFFER, MAX_BUFFER);
        Self {
            plan,
            file,
            parts,
            buffer,
        }
    }

    /// Adds a version. None if it is not of the plan's heights, or longer than any may be.
    pub(super) fn push(&mut self, entry: &Entry<'_>) -> Result<Option<()>, VerifyError> {
        let number = self.plan.part_of(entry.height);
        let Some((part, buffer)) = number.and_then(|number| self.parts.get_mut(number)) else {
            return Ok(None);
        };
        if buffer.len() + entry.len() > self.buffer {
            flush(self.file, part, buffer)?;
            buffer.shrink_to(self.buffer);
        }
        if entry.encode(buffer).is_none() {
            return Ok(None);
        }
        part.entries += 1;
        part.bytes += entry.len() as u64;
        Ok(Some(()))
    }

    pub(super) fn finish(self) -> Result<Vec<Part>, VerifyError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for (mut part, mut buffer) in self.parts {
            flush(self.file, &mut part, &mut buffer)?;
            parts.push(part);
        }
        Ok(parts)
    }
}

fn flush(file: &TemporaryFile, part: &mut Part, buffer: &mut Vec<u8>) -> Result<(), VerifyError> {
    if !buffer.is_empty() {
        let len = u32::try_from(buffer.len()).expect("a buffer holds little beside one version");
        let offset = file.append(buffer)?;
        part.stretches.push(Stretch { offset, len });
        buffer.clear();
    }
    Ok(())
}

/// The parts of the same plan, of which each list holds what follows that before it.
pub(super) fn concatenate(lists: impl IntoIterator<Item = Vec<Part>>) -> Vec<Part> {
    let mut lists = lists.into_iter();
    let mut all = lists.next().unwrap_or_default();
    for list in lists {
        for (part, more) in all.iter_mut().zip(list) {
            part.append(more);
        }
    }
    all
}

//! Walks over the frames in a file: network magic, length (u32 LE) and block. What
//! stands between them is passed over, as by `-loadblock` of Core: zeros, that Core
//! reserved, and what a crash left there.
//!
//! A frame is believed if another one begins where it ends. Otherwise its block is
//! read, and what comes next is looked for behind that if it is whole, and within it
//! if not: the frame may have been cut by the next one, or its length be wrong. All
//! of it takes a time that grows with the file's length and no faster.

use std::fs::File;
use std::io;

use memchr::memmem;
use metashrew_store::{BlockHash, Height};

use super::block_file::BlockFile;
use super::places::Place;
use super::window::Window;
use crate::auxpow;
use crate::bip34;
use crate::block::{self, BlockFault, HEADER_LEN, Header, Rules};
use crate::work;

/// Bytes before each block.
pub(super) const FRAME_LEN: u64 = 8;

/// So many bytes of blocks that turn out not to be whole are read, beside as many as
/// the file has; then what is not followed by a frame counts as bad without.
const MAX_WASTE: u64 = 1 << 28;

/// A block that was found in a file.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) header: Header,
    /// The height its coinbase names.
    pub(super) named_height: Option<Height>,
    pub(super) state: State,
}

/// What is known of a block that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Another frame begins where its frame ends.
    Framed,
    /// It was read, and is whole.
    Whole,
    /// It was read, and is not whole.
    Bad,
    /// The file ends before its frame does, and it is not whole.
    Cut,
}

impl Found {
    /// From the block's first bytes.
    pub(super) fn new(place: Place, start: &[u8], state: State) -> Option<Self> {
        let header = Header::read(start)?;
        Some(Self {
            place,
            header,
            named_height: bip34::height(header.version, start),
            state,
        })
    }
}

/// What was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PassedOver {
    /// Bytes in no frame; zeros at the end of a stretch are not counted.
    pub(super) bytes: u64,
    /// In how many places.
    pub(super) places: u64,
    /// Where the first of them begins.
    pub(super) first: u64,
}

/// A walk over the frames of one file.
pub(super) struct Frames<'a> {
    window: Window<'a>,
    /// The file's own.
    index: usize,
    magic: [u8; 4],
    position: u64,
    /// Where the frames end that were found so far.
    covered: u64,
    passed_over: PassedOver,
    thorough: bool,
    wasted: u64,
}

impl<'a> Frames<'a> {
    /// A walk from an offset on.
    pub(super) fn new(
        file: &'a BlockFile,
        index: usize,
        opened: &'a mut File,
        position: u64,
        magic: [u8; 4],
    ) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(file, opened)?,
            index,
            magic,
            position,
            covered: position,
            passed_over: PassedOver::default(),
            thorough: false,
            wasted: 0,
        })
    }

    /// Reads every block: no frame is believed for what follows it.
    #[must_use]
    pub(super) fn thoroughly(self) -> Self {
        Self {
            thorough: true,
            ..self
        }
    }

    /// Where it goes on.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the file, as it was when the walk began.
    pub(super) fn length(&self) -> u64 {
        self.window.length()
    }

    /// What was passed over so far.
    pub(super) fn passed_over(&self) -> PassedOver {
        self.passed_over
    }

    /// Whether four zeros stand where it goes on.
    pub(super) fn is_at_zeros(&mut self) -> io::Result<bool> {
        self.window.is_zero(self.position)
    }

    /// The next block; none up to the file's end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        let mut start = self.position;
        if self.window.is_zero(start)? {
            let Some(content) = self.window.after_zeros(start)? else {
                return Ok(None);
            };
            // A masked magic may begin with zeros.
            start = content.saturating_sub(3).max(start);
        }
        // Nearly always the next frame begins right here.
        if let Some(found) = self.frame(start, true)? {
            return Ok(Some(self.take(start, found)));
        }
        let magic = self.magic;
        let finder = memmem::Finder::new(&magic);
        let (mut from, mut content_end) = (start, start);
        loop {
            let search = self.window.find(&finder, from)?;
            content_end = content_end.max(search.content_end);
            let Some(at) = search.at else {
                self.pass_over(start, content_end);
                return Ok(None);
            };
            let in_order = at == self.covered || content_end == start;
            if let Some(found) = self.frame(at, in_order)? {
                self.pass_over(start, content_end.min(at));
                return Ok(Some(self.take(at, found)));
            }
            from = at + 1;
            content_end = content_end.max(from);
        }
    }

    /// Goes on behind a block, or within it if it is bad: the next frame may begin
    /// there.
    fn take(&mut self, at: u64, found: Found) -> Found {
        let end = found.place.offset + u64::from(found.place.length);
        self.covered = self.covered.max(end);
        self.position = match found.state {
            State::Framed | State::Whole => end,
            State::Bad | State::Cut => at + 1,
        };
        found
    }

    /// Counts what lies in no frame.
    fn pass_over(&mut self, start: u64, end: u64) {
        let start = start.max(self.covered);
        if end > start {
            if self.passed_over.places == 0 {
                self.passed_over.first = start;
            }
            self.passed_over.places += 1;
            self.passed_over.bytes += end - start;
        }
    }

    /// The block in the frame that seems to begin there. One that is `in_order` is
    /// where it was to be expected.
    fn frame(&mut self, at: u64, in_order: bool) -> io::Result<Option<Found>> {
        let offset = at + FRAME_LEN;
        let Some(length) = self.frame_length(at)? else {
            return Ok(None);
        };
        let start = self
            .window
            .plain(offset, u64::from(length).min(bip34::PREFIX_LEN as u64))?;
        let Some(header) = Header::read(&start) else {
            return Ok(None);
        };
        if !work::is_target(header.bits) && !in_order {
            return Ok(None);
        }
        let end = offset + u64::from(length);
        let is_followed = self.frame_length(end)?.is_some();
        let index = self.index;
        let place = |length| Place {
            file: index,
            offset,
            length,
        };
        let (place, state) = if is_followed && !self.thorough {
            (place(length), State::Framed)
        } else if let Some(whole) = self.whole_length(offset, length)? {
            (place(whole), State::Whole)
        } else if in_order || is_followed || (meets_target(&header) && !self.is_exhausted()) {
            let rest = self.window.length() - offset;
            match u32::try_from(rest) {
                Ok(rest) if rest < length => (place(rest), State::Cut),
                _ => (place(length), State::Bad),
            }
        } else {
            return Ok(None);
        };
        let Some(found) = Found::new(place, &start, state) else {
            return Ok(None);
        };
        if found.named_height.is_none() && auxpow::is_marked(header.version) {
            // The coinbase of a merged-mined block may stand anywhere.
            let block = self.window.plain(offset, u64::from(place.length))?;
            return Ok(Found::new(place, &block, state));
        }
        Ok(Some(found))
    }

    /// The length that a frame names there, if one may begin there.
    fn frame_length(&mut self, at: u64) -> io::Result<Option<u32>> {
        let frame = self.window.plain(at, FRAME_LEN)?;
        let length = frame
            .strip_prefix(&self.magic)
            .and_then(|length| length.try_into().ok())
            .map(u32::from_le_bytes);
        let possible = |length: &u32| *length as usize > HEADER_LEN && *length <= block::MAX_LEN;
        Ok(length.filter(possible))
    }

    /// Whether enough was read in vain.
    fn is_exhausted(&self) -> bool {
        self.wasted > self.window.length() + MAX_WASTE
    }

    /// The length of the block there if it is whole, whatever its frame says of it.
    fn whole_length(&mut self, offset: u64, claimed: u32) -> io::Result<Option<u32>> {
        for length in [claimed, block::MAX_LEN] {
            if self.is_exhausted() {
                return Ok(None);
            }
            let bytes = self.window.plain(offset, u64::from(length))?;
            let whole = whole_length(&bytes);
            if let Ok(whole) = whole {
                return Ok(u32::try_from(whole).ok());
            }
            self.wasted += bytes.len() as u64;
            // If it was cut, it may be longer than its frame says.
            if !matches!(whole, Err(BlockFault::Malformed { .. })) {
                break;
            }
        }
        Ok(None)
    }
}

/// Bytes of the whole block that these begin with.
pub(super) fn whole_length(bytes: &[u8]) -> Result<usize, BlockFault> {
    let hash = Header::read(bytes).map_or(BlockHash::from_bytes([0; 32]), |header| header.hash);
    match block::check(bytes, &hash, Rules::Other) {
        Ok(_) => Ok(bytes.len()),
        Err(BlockFault::TooLong { extra }) => {
            let block = bytes.get(..bytes.len().saturating_sub(extra));
            block::check(block.unwrap_or_default(), &hash, Rules::Other)
                .map(|_| bytes.len() - extra)
        }
        Err(fault) => Err(fault),
    }
}

/// Whether a block's hash meets the target that its header names.
fn meets_target(header: &Header) -> bool {
    work::check(header, None).is_ok()
}

//! Reads a block file anywhere, unmasked, through a window of bounded size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use memchr::memmem;

use super::block_file::BlockFile;

/// Bytes read at a time where one frame is looked at after the other.
const STEP: u64 = 8 << 10;

/// Bytes looked through at a time, at first and at most: a short gap between two
/// frames costs little, and a long one few reads.
const STRIDES: (u64, u64) = (64, 1 << 20);

/// An open file, and the part of it that was read last.
pub(super) struct Window<'a> {
    file: &'a BlockFile,
    opened: &'a mut File,
    length: u64,
    /// Where the bytes begin.
    start: u64,
    /// As they are in the file.
    bytes: Vec<u8>,
}

/// What a search found.
pub(super) struct Found {
    /// Where the bytes are, if they are there.
    pub(super) at: Option<u64>,
    /// The end of the last byte before that, or before the file's end, that is not
    /// zero; the start of the search if all are.
    pub(super) content_end: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a BlockFile, opened: &'a mut File) -> io::Result<Self> {
        let length = opened.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            opened,
            length,
            start: 0,
            bytes: Vec::new(),
        })
    }

    /// Bytes of the file, as it was when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from an offset on as they are in the file, fewer at its end.
    fn raw(&mut self, offset: u64, length: u64) -> io::Result<&[u8]> {
        let length = length.min(self.length.saturating_sub(offset));
        let known = self.start..self.start + self.bytes.len() as u64;
        if offset < known.start || offset + length > known.end {
            self.opened.seek(SeekFrom::Start(offset))?;
            self.start = offset;
            self.bytes.clear();
            (&mut *self.opened)
                .take(length.max(STEP))
                .read_to_end(&mut self.bytes)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(rest.get(..length).unwrap_or(rest))
    }

    /// The bytes from an offset on, unmasked; fewer at the file's end.
    pub(super) fn plain(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let file = self.file;
        let mut bytes = self.raw(offset, length)?.to_vec();
        file.unmask(offset, &mut bytes);
        Ok(bytes)
    }

    /// Whether four zeros stand there: room that Core reserved, which is not masked.
    pub(super) fn is_zero(&mut self, offset: u64) -> io::Result<bool> {
        let bytes = self.raw(offset, 4)?;
        Ok(bytes.len() == 4 && bytes.iter().all(|byte| *byte == 0))
    }

    /// Where the next byte is that is not zero; none up to the file's end.
    pub(super) fn after_zeros(&mut self, mut offset: u64) -> io::Result<Option<u64>> {
        let (mut stride, longest) = STRIDES;
        loop {
            let bytes = self.raw(offset, stride)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            match bytes.iter().position(|byte| *byte != 0) {
                Some(index) => return Ok(Some(offset + index as u64)),
                None => offset += bytes.len() as u64,
            }
            stride = longest.min(2 * stride);
        }
    }

    /// Looks for bytes from an offset on.
    pub(super) fn find(
        &mut self,
        finder: &memmem::Finder<'_>,
        mut offset: u64,
    ) -> io::Result<Found> {
        let file = self.file;
        let wanted = finder.needle().len();
        let mut content_end = offset;
        let length = self.length;
        let (mut stride, longest) = STRIDES;
        loop {
            let raw = self.raw(offset, stride)?;
            let mut bytes = raw.to_vec();
            file.unmask(offset, &mut bytes);
            let at = finder.find(&bytes);
            let before = raw.get(..at.unwrap_or(raw.len())).unwrap_or_default();
            if let Some(last) = before.iter().rposition(|byte| *byte != 0) {
                content_end = offset + last as u64 + 1;
            }
            let is_last = offset + bytes.len() as u64 >= length || bytes.len() < wanted;
            if at.is_some() || is_last {
                let at = at.map(|at| offset + at as u64);
                return Ok(Found { at, content_end });
            }
            // The bytes may begin at the end of one stretch and end in the next.
            offset += (bytes.len() - (wanted - 1)) as u64;
            stride = longest.min(2 * stride);
        }
    }
}

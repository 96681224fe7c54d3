//! Finds the blocks in a file: frames of network magic, length (u32 LE) and
//! block, with zeros between and after them; or one raw block.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use metashrew_store::Height;

use super::block_file::BlockFile;
use super::{FilesError, Place};
use crate::auxpow;
use crate::bip34;
use crate::block::{self, HEADER_LEN, Header};
use crate::network::Network;

/// Bytes before each block.
pub(super) const FRAME_LEN: u64 = 8;

/// A block that was found in a file.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) header: Header,
    /// The height its coinbase names.
    pub(super) named_height: Option<Height>,
}

impl Found {
    /// From the block's first bytes.
    fn new(place: Place, start: &[u8]) -> Option<Self> {
        let header = Header::read(start)?;
        Some(Self {
            place,
            header,
            named_height: bip34::height(header.version, start),
        })
    }
}

/// Finds the blocks in a file; `index` is the file's own. The first frame of all
/// files gives the magic of the rest. Answers whether the file is one raw block.
pub(super) fn scan(
    file: &BlockFile,
    index: usize,
    magic: &mut Option<[u8; 4]>,
    found: &mut Vec<Found>,
) -> Result<bool, FilesError> {
    let (start, length) = file.with_file(|opened| {
        let length = opened.seek(SeekFrom::End(0))?;
        Ok((read_at(opened, 0, FRAME_LEN)?, length))
    })?;
    let mut start_plain = start.clone();
    file.unmask(0, &mut start_plain);
    let first = start_plain.first_chunk().copied();
    let framed = first.is_some_and(|first| Some(first) == *magic || is_known(first));
    if !framed && (HEADER_LEN as u64..=u64::from(block::MAX_LEN)).contains(&length) {
        let place = Place {
            file: index,
            offset: 0,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        let bytes = file.read(place)?;
        if block::is_whole(&bytes) {
            found.extend(Found::new(place, &bytes));
            return Ok(true);
        }
    }
    if !framed
        && magic.is_none()
        && start.iter().any(|byte| *byte != 0)
        && !is_plausible(&start_plain, length)
    {
        return Err(FilesError::NotBlocks {
            path: file.path().to_owned(),
        });
    }
    let bad_frame = file.with_file(|opened| {
        let mut walk = Frames::new(file, index, opened, 0, magic)?;
        loop {
            match walk.step()? {
                Step::Block(block) => found.push(block),
                Step::Zeros => {
                    walk.skip_zeros()?;
                }
                Step::Cut => {
                    tracing::warn!(
                        "`{}` ends within the frame at byte {}, which is ignored",
                        file.path().display(),
                        walk.position()
                    );
                    return Ok(None);
                }
                Step::Bad(what) => return Ok(Some((walk.position(), what))),
                Step::End => return Ok(None),
            }
        }
    })?;
    match bad_frame {
        None => Ok(false),
        Some((offset, what)) => Err(FilesError::BadFrame {
            path: file.path().to_owned(),
            offset,
            what,
        }),
    }
}

/// Whether a file that begins with an unknown magic may be framed all the same.
fn is_plausible(start: &[u8], length: u64) -> bool {
    let block_length = start
        .last_chunk()
        .copied()
        .map(u32::from_le_bytes)
        .map(u64::from);
    block_length.is_some_and(|block| block > HEADER_LEN as u64 && block + FRAME_LEN <= length)
}

fn is_known(magic: [u8; 4]) -> bool {
    Network::NAMED
        .iter()
        .any(|network| network.magic() == magic)
}

fn read_at(file: &mut File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a walk over frames comes to.
pub(super) enum Step {
    /// A block; the walk stands behind it.
    Block(Found),
    /// Zeros where a frame would begin; the walk stands before them.
    Zeros,
    /// A frame that goes on beyond the file's end; the walk stands before it.
    Cut,
    /// No frame, and why not; the walk stands before it.
    Bad(String),
    /// The file's end.
    End,
}

/// A walk over the frames of one file.
pub(super) struct Frames<'a> {
    file: &'a BlockFile,
    /// The file's own.
    index: usize,
    reader: BufReader<&'a mut File>,
    position: u64,
    length: u64,
    magic: &'a mut Option<[u8; 4]>,
}

impl<'a> Frames<'a> {
    /// A walk from an offset on. The first frame gives the magic, if it is not known.
    pub(super) fn new(
        file: &'a BlockFile,
        index: usize,
        opened: &'a mut File,
        position: u64,
        magic: &'a mut Option<[u8; 4]>,
    ) -> io::Result<Self> {
        let length = opened.seek(SeekFrom::End(0))?;
        opened.seek(SeekFrom::Start(position))?;
        Ok(Self {
            file,
            index,
            reader: BufReader::new(opened),
            position,
            length,
            magic,
        })
    }

    /// Where the next frame begins, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Looks at what begins here, and goes behind it if it is a block.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let offset = self.position;
        if offset >= self.length {
            return Ok(Step::End);
        }
        let mut frame = self.read(FRAME_LEN)?;
        let step = if frame.iter().take(4).all(|byte| *byte == 0) {
            Step::Zeros
        } else if (frame.len() as u64) < FRAME_LEN {
            Step::Cut
        } else {
            self.file.unmask(offset, &mut frame);
            self.framed(&frame)?
        };
        if !matches!(step, Step::Block(_)) {
            self.move_to(offset)?;
        }
        Ok(step)
    }

    /// What follows magic and length.
    fn framed(&mut self, frame: &[u8]) -> io::Result<Step> {
        let (magic, block_length) = split_frame(frame);
        let expected = *self.magic.get_or_insert(magic);
        if magic != expected {
            return Ok(Step::Bad(format!(
                "a frame begins with {magic:02x?} where {expected:02x?} is expected"
            )));
        }
        let possible = HEADER_LEN as u64 + 1..=u64::from(block::MAX_LEN);
        if !possible.contains(&u64::from(block_length)) {
            return Ok(Step::Bad(format!("no block has {block_length} bytes")));
        }
        let end = self.position + u64::from(block_length);
        if end > self.length {
            return Ok(Step::Cut);
        }
        let found = self.block(block_length)?;
        self.move_to(end)?;
        Ok(found.map_or_else(|| Step::Bad("no header".to_owned()), Step::Block))
    }

    /// The block here.
    fn block(&mut self, length: u32) -> io::Result<Option<Found>> {
        let offset = self.position;
        let mut start = self.read(u64::from(length).min(bip34::PREFIX_LEN as u64))?;
        self.file.unmask(offset, &mut start);
        let place = Place {
            file: self.index,
            offset,
            length,
        };
        let found = Found::new(place, &start);
        match found {
            Some(found)
                if found.named_height.is_none() && auxpow::is_marked(found.header.version) =>
            {
                // The coinbase of a merged-mined block may stand anywhere.
                self.move_to(offset)?;
                let mut block = self.read(u64::from(length))?;
                self.file.unmask(offset, &mut block);
                Ok(Found::new(place, &block))
            }
            found => Ok(found),
        }
    }

    /// Goes to the next byte that is not zero; answers whether there is one. Core
    /// reserves room ahead, and leaves zeros there.
    pub(super) fn skip_zeros(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.read(8192)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if bytes.is_empty() {
                return Ok(false);
            }
            if zeros < bytes.len() {
                self.move_to(self.position - (bytes.len() - zeros) as u64)?;
                return Ok(true);
            }
        }
    }

    fn read(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        self.position += bytes.len() as u64;
        Ok(bytes)
    }

    /// Moves within the buffer where that is enough.
    fn move_to(&mut self, position: u64) -> io::Result<()> {
        self.reader
            .seek_relative(position.cast_signed() - self.position.cast_signed())?;
        self.position = position;
        Ok(())
    }
}

fn split_frame(frame: &[u8]) -> ([u8; 4], u32) {
    let magic = frame.first_chunk().copied().unwrap_or_default();
    let length = frame
        .last_chunk()
        .copied()
        .map(u32::from_le_bytes)
        .unwrap_or_default();
    (magic, length)
}

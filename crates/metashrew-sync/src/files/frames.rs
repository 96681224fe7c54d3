//! Finds the blocks in a file: frames of network magic, length (u32 LE) and
//! block, with zeros between and after them; or one raw block.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use bitcoin::Network;
use metashrew_store::Height;

use super::block_file::BlockFile;
use super::{FilesError, Place};
use crate::bip34;
use crate::block::{self, HEADER_LEN, Header};

/// Bytes of a block at most; as in Core, far above what consensus allows.
const MAX_BLOCK_LEN: u64 = 0x0200_0000;

/// Bytes before each block.
const FRAME_LEN: u64 = 8;

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
    if !framed && (HEADER_LEN as u64..=MAX_BLOCK_LEN).contains(&length) {
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
        let reader = BufReader::new(opened);
        Frames {
            file,
            index,
            reader,
            position: 0,
            length,
            magic,
            found,
        }
        .run()
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
    [
        Network::Bitcoin,
        Network::Testnet,
        Network::Testnet4,
        Network::Signet,
        Network::Regtest,
    ]
    .iter()
    .any(|network| network.magic().to_bytes() == magic)
}

fn read_at(file: &mut File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A walk over the frames of one file.
struct Frames<'a> {
    file: &'a BlockFile,
    index: usize,
    reader: BufReader<&'a mut File>,
    position: u64,
    length: u64,
    magic: &'a mut Option<[u8; 4]>,
    found: &'a mut Vec<Found>,
}

impl Frames<'_> {
    /// Answers the offset of the first bad frame, and what is wrong with it.
    fn run(mut self) -> io::Result<Option<(u64, String)>> {
        self.reader.seek(SeekFrom::Start(0))?;
        while self.position < self.length {
            let offset = self.position;
            let mut frame = self.read(FRAME_LEN)?;
            if frame.iter().take(4).all(|byte| *byte == 0) {
                self.skip_zeros(offset)?;
                continue;
            }
            if frame.len() < 8 {
                self.warn_cut(offset);
                break;
            }
            self.file.unmask(offset, &mut frame);
            let (magic, block_length) = split_frame(&frame);
            let expected = *self.magic.get_or_insert(magic);
            if magic != expected {
                let what =
                    format!("a frame begins with {magic:02x?} where {expected:02x?} is expected");
                return Ok(Some((offset, what)));
            }
            if !(HEADER_LEN as u64 + 1..=MAX_BLOCK_LEN).contains(&u64::from(block_length)) {
                return Ok(Some((offset, format!("no block has {block_length} bytes"))));
            }
            let end = self.position + u64::from(block_length);
            if end > self.length {
                self.warn_cut(offset);
                break;
            }
            self.block(block_length)?;
            self.move_to(end)?;
        }
        Ok(None)
    }

    /// Takes note of the block here.
    fn block(&mut self, length: u32) -> io::Result<()> {
        let offset = self.position;
        let mut start = self.read(u64::from(length).min(bip34::PREFIX_LEN as u64))?;
        self.file.unmask(offset, &mut start);
        let place = Place {
            file: self.index,
            offset,
            length,
        };
        self.found.extend(Found::new(place, &start));
        Ok(())
    }

    /// Goes to the first byte from an offset on that is not zero. Core reserves
    /// room ahead, and leaves zeros there.
    fn skip_zeros(&mut self, offset: u64) -> io::Result<()> {
        self.move_to(offset)?;
        loop {
            let bytes = self.read(8192)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if bytes.is_empty() {
                return Ok(());
            }
            if zeros < bytes.len() {
                return self.move_to(self.position - (bytes.len() - zeros) as u64);
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

    fn warn_cut(&self, offset: u64) {
        let path = self.file.path().display();
        tracing::warn!("`{path}` ends within the frame at byte {offset}, which is ignored");
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

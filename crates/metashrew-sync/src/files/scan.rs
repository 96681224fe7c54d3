//! Looks through one file for blocks: what begins its frames and what they hold, or
//! whether it is one raw block.

use super::FilesError;
use super::block_file::BlockFile;
use super::frames::{self, FRAME_LEN, Found, Frames, State};
use super::places::Place;
use super::window::Window;
use crate::block::{self, BlockFault, HEADER_LEN, Rules};
use crate::network::Network;

/// Finds the blocks in a file; `index` is the file's own. The first frame of all
/// files gives the magic of the rest. Answers whether the file is one raw block.
pub(super) fn scan(
    file: &mut BlockFile,
    index: usize,
    magic: &mut Option<[u8; 4]>,
    found: &mut Vec<Found>,
) -> Result<bool, FilesError> {
    let begins = Beginning::of(file)?;
    let is_magic = |start| Some(start) == *magic || is_known(start);
    if begins.raw.is_some_and(is_magic) && !begins.plain.is_some_and(is_magic) {
        // It lies among masked files, and is not masked.
        file.forget_key();
    }
    let begins = Beginning::of(file)?;
    let is_framed = begins.plain.is_some_and(is_magic);
    if !is_framed && let Some(block) = raw_block(file, index, begins.length)? {
        found.push(block);
        return Ok(true);
    }
    let known = match *magic {
        Some(magic) => Some(magic),
        None => detect(file, index)?,
    };
    let Some(known) = known else {
        return if begins.is_empty {
            Ok(false)
        } else {
            Err(refusal(file))
        };
    };
    *magic = Some(known);
    let blocks = walk(file, index, known, false)?;
    let no_frame = blocks.is_empty() && !begins.is_empty && begins.plain != Some(known);
    if no_frame {
        return Err(match begins.plain {
            Some(other) if is_known(other) => FilesError::Mixed {
                path: file.path().to_owned(),
                found: other,
                expected: known,
            },
            _ => refusal(file),
        });
    }
    found.extend(blocks);
    Ok(false)
}

/// The blocks in a file whose frames begin with a magic. If it is to be thorough,
/// every block is read, and no frame believed for what follows it.
pub(super) fn walk(
    file: &BlockFile,
    index: usize,
    magic: [u8; 4],
    thorough: bool,
) -> Result<Vec<Found>, FilesError> {
    let mut found = Vec::new();
    let passed_over = file.with_file(|opened| {
        let mut walk = Frames::new(file, index, opened, 0, magic)?;
        if thorough {
            walk = walk.thoroughly();
        }
        while let Some(block) = walk.next()? {
            found.push(block);
        }
        Ok(walk.passed_over())
    })?;
    let path = file.path().display();
    if passed_over.places > 0 && !thorough {
        tracing::warn!(
            blocks = found.len(),
            bytes = passed_over.bytes,
            places = passed_over.places,
            "`{path}` holds bytes that are in no block's frame, the first at byte {}; they are passed over",
            passed_over.first
        );
    }
    if let Some(cut) = found.iter().find(|block| block.state == State::Cut) {
        let offset = cut.place.offset - FRAME_LEN;
        tracing::warn!("`{path}` ends within the frame at byte {offset}");
    }
    Ok(found)
}

/// How a file begins.
struct Beginning {
    length: u64,
    /// Its first bytes, as they are.
    raw: Option<[u8; 4]>,
    /// The same, unmasked.
    plain: Option<[u8; 4]>,
    /// Whether there is nothing in it but zeros.
    is_empty: bool,
}

impl Beginning {
    fn of(file: &BlockFile) -> Result<Self, FilesError> {
        file.with_file(|opened| {
            let mut window = Window::new(file, opened)?;
            let plain = window.plain(0, 4)?;
            let mut raw = plain.clone();
            file.unmask(0, &mut raw);
            Ok(Self {
                length: window.length(),
                raw: raw.first_chunk().copied(),
                plain: plain.first_chunk().copied(),
                is_empty: window.after_zeros(0)?.is_none(),
            })
        })
    }
}

/// The block that the whole file is, if it is one.
fn raw_block(file: &BlockFile, index: usize, length: u64) -> Result<Option<Found>, FilesError> {
    let possible = HEADER_LEN as u64..=u64::from(block::MAX_LEN);
    let Some(length) = u32::try_from(length)
        .ok()
        .filter(|_| possible.contains(&length))
    else {
        return Ok(None);
    };
    let place = Place {
        file: index,
        offset: 0,
        length,
    };
    let bytes = file.read(place)?;
    match frames::whole_length(&bytes) {
        Ok(length) if length == bytes.len() => {}
        // All else is a block's.
        Err(source @ (BlockFault::Stripped | BlockFault::Witnesses)) => {
            return Err(FilesError::BadWitnesses {
                path: file.path().to_owned(),
                source,
            });
        }
        _ => return Ok(None),
    }
    let found = Found::new(place, &bytes, State::Whole);
    // Nothing tells the network; whatever it is, a lone block could be made up.
    if let Some(found) = &found
        && let Err(BlockFault::NoWork { .. }) =
            block::check(&bytes, &found.header.hash, Rules::Unknown)
    {
        return Err(FilesError::NoWork {
            path: file.path().to_owned(),
        });
    }
    Ok(found)
}

/// What the frames of a file begin with: what it begins with itself if a block
/// follows, else the magic of the named network whose frame comes first in it.
pub(super) fn detect(file: &BlockFile, index: usize) -> Result<Option<[u8; 4]>, FilesError> {
    let start = file.with_file(|opened| {
        let mut window = Window::new(file, opened)?;
        let Some(start) = window.after_zeros(0)? else {
            return Ok(None);
        };
        let bytes = window.plain(start, 4)?;
        Ok(bytes.first_chunk().map(|magic| (start, *magic)))
    })?;
    let Some((start, own)) = start else {
        return Ok(None);
    };
    if is_known(own) {
        return Ok(Some(own));
    }
    if let Some(block) = first_block(file, index, own)?
        && block.place.offset == start + FRAME_LEN
        && matches!(block.state, State::Framed | State::Whole)
    {
        return Ok(Some(own));
    }
    let mut earliest = None;
    for magic in Network::NAMED.map(Network::magic) {
        if let Some(block) = first_block(file, index, magic)?
            && earliest.is_none_or(|(offset, _)| block.place.offset < offset)
        {
            earliest = Some((block.place.offset, magic));
        }
    }
    Ok(earliest.map(|(_, magic)| magic))
}

/// What a file begins with, unmasked; none if there is nothing but zeros.
pub(super) fn start(file: &BlockFile) -> Result<Option<[u8; 4]>, FilesError> {
    let begins = Beginning::of(file)?;
    Ok(begins.plain.filter(|_| !begins.is_empty))
}

/// The first block in a file whose frames begin with a magic.
pub(super) fn first_block(
    file: &BlockFile,
    index: usize,
    magic: [u8; 4],
) -> Result<Option<Found>, FilesError> {
    file.with_file(|opened| Frames::new(file, index, opened, 0, magic)?.next())
}

/// Why a file that holds no frame is refused.
pub(super) fn refusal(file: &BlockFile) -> FilesError {
    let path = file.path().to_owned();
    match (file.is_cores(), file.has_key()) {
        (true, false) => FilesError::Masked { path },
        (true, true) => FilesError::OtherKey { path },
        (false, _) => FilesError::NotBlocks { path },
    }
}

pub(super) fn is_known(magic: [u8; 4]) -> bool {
    Network::NAMED
        .iter()
        .any(|network| network.magic() == magic)
}

//! Block files as Bitcoin Core writes them: network magic, length (u32 LE),
//! block; a directory of `blk00000.dat` and so on, combined by XOR with the key in
//! `xor.dat` where there is one, files padded with zeros. All at once, or growing
//! block by block as under a running node.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The magic that begins each frame on mainnet.
pub const MAINNET_MAGIC: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];

/// The magic that begins each frame on regtest.
pub const REGTEST_MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// The frames of blocks, one after the other.
///
/// # Panics
/// If a block is longer than 4 GiB.
pub fn frames<B: AsRef<[u8]>>(magic: [u8; 4], blocks: impl IntoIterator<Item = B>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in blocks {
        let block = block.as_ref();
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(
            &u32::try_from(block.len())
                .expect("blocks are small")
                .to_le_bytes(),
        );
        bytes.extend_from_slice(block);
    }
    bytes
}

/// Writes directories of block files.
#[derive(Debug, Clone)]
pub struct BlockDirectory {
    magic: [u8; 4],
    key: Option<[u8; 8]>,
    blocks_each: usize,
    padding: usize,
}

impl BlockDirectory {
    /// Files of 100 blocks each, without XOR and padding.
    pub fn new(magic: [u8; 4]) -> Self {
        Self {
            magic,
            key: None,
            blocks_each: 100,
            padding: 0,
        }
    }

    /// XORs the files, and leaves the key in `xor.dat`.
    #[must_use]
    pub fn xor(mut self, key: [u8; 8]) -> Self {
        self.key = Some(key);
        self
    }

    /// How many blocks a file has; at least 1.
    #[must_use]
    pub fn blocks_each(mut self, count: usize) -> Self {
        self.blocks_each = count.max(1);
        self
    }

    /// Bytes of zeros after the last frame of every file. As in Core, which
    /// reserves space ahead, they are as they are.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// Writes the blocks in the order given, and answers the files' paths.
    pub fn write<B: AsRef<[u8]>>(
        &self,
        directory: &Path,
        blocks: &[B],
    ) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(directory)?;
        if let Some(key) = self.key {
            fs::write(directory.join("xor.dat"), key)?;
        }
        let mut paths = Vec::new();
        for (number, blocks) in blocks.chunks(self.blocks_each).enumerate() {
            let mut bytes = frames(self.magic, blocks);
            for (byte, key) in bytes
                .iter_mut()
                .zip(self.key.unwrap_or_default().iter().cycle())
            {
                *byte ^= key;
            }
            bytes.resize(bytes.len() + self.padding, 0);
            let path = directory.join(format!("blk{number:05}.dat"));
            fs::write(&path, bytes)?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// Writes a directory of block files block by block: room is reserved ahead in zeros,
/// and cut off when the next file begins.
#[derive(Debug)]
pub struct GrowingDirectory {
    directory: PathBuf,
    magic: [u8; 4],
    key: [u8; 8],
    reserve: u64,
    number: u32,
    /// Where the next frame goes, in bytes.
    end: u64,
    /// What of the last frame is still to be written.
    rest: Vec<u8>,
}

impl GrowingDirectory {
    /// Begins the first file, with its key in `xor.dat`; files grow by `reserve` bytes
    /// at a time.
    pub fn begin(directory: &Path, magic: [u8; 4], key: [u8; 8], reserve: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("xor.dat"), key)?;
        let growing = Self {
            directory: directory.to_owned(),
            magic,
            key,
            reserve,
            number: 0,
            end: 0,
            rest: Vec::new(),
        };
        File::create(growing.path())?;
        Ok(growing)
    }

    /// The file that is being written.
    pub fn path(&self) -> PathBuf {
        self.directory.join(format!("blk{:05}.dat", self.number))
    }

    /// Writes a block.
    pub fn append(&mut self, block: &[u8]) -> io::Result<()> {
        self.append_start(block, usize::MAX)
    }

    /// Writes the first bytes of a block's frame: it stays unfinished until
    /// [`finish`](Self::finish).
    pub fn append_start(&mut self, block: &[u8], length: usize) -> io::Result<()> {
        self.finish()?;
        let mut frame = frames(self.magic, [block]);
        self.rest = frame.split_off(length.min(frame.len()));
        self.write(&frame)
    }

    /// Writes the rest of the last block.
    pub fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        self.write(&rest)
    }

    /// Leaves the last block as far as it is written, as a node that is killed: what
    /// comes next is written behind it.
    pub fn forget_rest(&mut self) {
        self.rest.clear();
    }

    /// Goes on in the next file, and cuts off what was reserved in this one.
    pub fn next_file(&mut self) -> io::Result<()> {
        self.finish()?;
        OpenOptions::new()
            .write(true)
            .open(self.path())?
            .set_len(self.end)?;
        self.number += 1;
        self.end = 0;
        File::create(self.path())?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.path())?;
        let end = self.end + bytes.len() as u64;
        if file.metadata()?.len() < end {
            file.set_len(end.next_multiple_of(self.reserve.max(1)))?;
        }
        let masked: Vec<u8> = (self.end..)
            .zip(bytes)
            .map(|(at, byte)| byte ^ self.key_at(at))
            .collect();
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(&masked)?;
        self.end = end;
        Ok(())
    }

    fn key_at(&self, offset: u64) -> u8 {
        let index = usize::try_from(offset % 8).unwrap_or_default();
        self.key.get(index).copied().unwrap_or_default()
    }
}

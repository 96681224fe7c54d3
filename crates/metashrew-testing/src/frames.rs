//! Block files as Bitcoin Core writes them: network magic, length (u32 LE),
//! block; a directory of `blk00000.dat` and so on, combined by XOR with the key in
//! `xor.dat` where there is one, files padded with zeros.

use std::fs;
use std::io;
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

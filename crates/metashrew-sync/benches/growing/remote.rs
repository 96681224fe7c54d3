//! The node that the indexing process has: the chain that the bench makes.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};
use metashrew_sync::{Node, NodeBlock, NodeError};

use crate::feed::{BLOCK, HASHES};

/// A tip that is never reached: the chain has no end.
const FAR: Height = 10_000_000;

pub(crate) struct Remote {
    /// Hashes and blocks each have their connection: a question for one must not
    /// wait for the other.
    hashes: Mutex<UnixStream>,
    blocks: Mutex<UnixStream>,
    heights: Mutex<HashMap<BlockHash, Height>>,
}

impl Remote {
    pub(crate) fn connect(socket: &Path) -> Self {
        let connect = || Mutex::new(UnixStream::connect(socket).expect("the bench listens"));
        Self {
            hashes: connect(),
            blocks: connect(),
            heights: Mutex::default(),
        }
    }
}

/// Asks the bench. It answers as long as it lives, and nothing is measured without it.
fn ask(connection: &Mutex<UnixStream>, what: u8, height: Height, count: u32) -> Vec<u8> {
    let mut question = [what; 9];
    question[1..5].copy_from_slice(&height.to_le_bytes());
    question[5..].copy_from_slice(&count.to_le_bytes());
    let mut connection = connection.lock().expect("nobody panicked");
    connection.write_all(&question).expect("the bench is there");
    let mut length = [0; 4];
    connection
        .read_exact(&mut length)
        .expect("the bench answers");
    let mut answer = vec![0; u32::from_le_bytes(length) as usize];
    connection
        .read_exact(&mut answer)
        .expect("the bench answers");
    answer
}

impl Node for Remote {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        Ok(Some(NodeBlock {
            height: FAR,
            hash: BlockHash::from_bytes([0xff; 32]),
        }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        Ok(Some(1))
    }

    fn default_start(&self) -> Result<Option<Height>, NodeError> {
        self.first()
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        if height == 0 {
            return Ok(None);
        }
        Ok(self.hashes(height, 1)?.first().copied())
    }

    fn hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        let answer = ask(&self.hashes, HASHES, from, count as u32);
        let hashes: Vec<_> = answer
            .chunks_exact(32)
            .map(|hash| BlockHash::from_bytes(hash.try_into().expect("32 bytes")))
            .collect();
        let mut heights = self.heights.lock().expect("nobody panicked");
        heights.extend(hashes.iter().copied().zip(from..));
        Ok(hashes)
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let height = self
            .heights
            .lock()
            .expect("nobody panicked")
            .get(hash)
            .copied();
        let height = height.ok_or(NodeError::NoBlock { hash: *hash })?;
        Ok(ask(&self.blocks, BLOCK, height, 1).into())
    }
}

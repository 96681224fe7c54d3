//! What every candidate has to do: the writes of many blocks, then reads.

use bytes::Bytes;

/// Length of keys and values, in bytes.
const LEN: usize = 32;

/// A sequence of numbers that looks random and is the same in every run.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    pub fn bytes(&mut self) -> Bytes {
        let mut bytes = Vec::with_capacity(LEN);
        while bytes.len() < LEN {
            bytes.extend_from_slice(&self.next().to_be_bytes());
        }
        Bytes::from(bytes)
    }
}

/// The key numbered `number`.
pub fn key(number: u64) -> Bytes {
    Noise(number.wrapping_mul(0x1234_5678_9abc_def1)).bytes()
}

/// What block `height` writes at the key numbered `number`.
fn value(number: u64, height: u32) -> Bytes {
    Noise(number ^ (u64::from(height) << 40)).bytes()
}

/// One write of a block.
pub struct Write {
    pub key: Bytes,
    pub value: Bytes,
    /// The height and value it supersedes: what a guest has mostly just read.
    pub old: Option<(u32, Bytes)>,
}

/// The blocks, made one after the other.
pub struct Blocks {
    noise: Noise,
    writes_per_block: usize,
    height: u32,
    /// The height that last wrote each key.
    last_written: Vec<u32>,
}

impl Blocks {
    pub fn new(writes_per_block: usize) -> Self {
        Self {
            noise: Noise(1),
            writes_per_block,
            height: 0,
            last_written: Vec::new(),
        }
    }

    /// The number of different keys written so far.
    pub fn keys(&self) -> u64 {
        self.last_written.len() as u64
    }

    /// The next block's writes, in key order: half of them new keys, the others
    /// old keys drawn uniformly.
    pub fn next(&mut self) -> Vec<Write> {
        let height = self.height;
        let mut writes = Vec::with_capacity(self.writes_per_block);
        for turn in 0..self.writes_per_block {
            let keys = self.last_written.len() as u64;
            let number = if turn % 2 == 0 || keys == 0 {
                self.last_written.push(height);
                writes.push(Write {
                    key: key(keys),
                    value: value(keys, height),
                    old: None,
                });
                continue;
            } else {
                self.noise.next() % keys
            };
            let last = self
                .last_written
                .get_mut(usize::try_from(number).expect("an index"))
                .expect("a known key");
            if *last == height {
                continue;
            }
            writes.push(Write {
                key: key(number),
                value: value(number, height),
                old: Some((*last, value(number, *last))),
            });
            *last = height;
        }
        self.height += 1;
        writes.sort_by(|left, right| left.key.cmp(&right.key));
        writes
    }
}

//! What is kept of a block.

use guest_wire::Hash;
use guest_wire::compact::{Reader, Writer};
use serde::Serialize;

/// A block, as it is stored and as views answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    pub(crate) height: u32,
    pub(crate) hash: Hash,
    pub(crate) previous: Hash,
    /// Seconds since 1970, as the miner says.
    pub(crate) time: u32,
    pub(crate) txs: u32,
    /// Bytes.
    pub(crate) size: u32,
    pub(crate) weight: u32,
    /// Satoshi; `None` if an input's output was never seen.
    pub(crate) fees: Option<u64>,
}

impl Record {
    /// The record's value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer
            .raw(&self.hash.0)
            .raw(&self.previous.0)
            .number(self.time)
            .number(self.txs)
            .number(self.size)
            .number(self.weight);
        if let Some(fees) = self.fees {
            writer.number(fees);
        }
        writer.finish()
    }

    /// Reads the record of the block at `height`; `None` if there is none.
    pub(crate) fn decode(height: u32, value: &[u8]) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        let mut reader = Reader::new(value);
        Some(Self {
            height,
            hash: Hash(reader.raw()),
            previous: Hash(reader.raw()),
            time: reader.number(),
            txs: reader.number(),
            size: reader.number(),
            weight: reader.number(),
            fees: (!reader.is_empty()).then(|| reader.number()),
        })
    }
}

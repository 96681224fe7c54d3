//! What a transaction created, as its spenders need it: for each output whose
//! it is and what it is worth.
//!
//! The record is written once and stays when the outputs are spent; whether they
//! are is in their owners' records.

use crate::keys::{self, OUTPUTS_PER_CHUNK, ScriptId};
use guest_wire::compact::{Reader, Writer};

/// An output that can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) owner: ScriptId,
    /// Which of the owner's outputs it is.
    pub(crate) sequence: u32,
    /// Satoshi.
    pub(crate) value: u64,
}

/// The value of a chunk of outputs; those that nobody can spend are `None`.
pub(crate) fn encode(outputs: &[Option<Created>]) -> Vec<u8> {
    let mut writer = Writer::default();
    for output in outputs {
        match output {
            None => writer.number(0u8),
            // Sequence numbers are shifted by one, to leave 0 for `None`.
            Some(created) => writer
                .number(u64::from(created.sequence) + 1)
                .raw(&created.owner)
                .number(created.value),
        };
    }
    writer.finish()
}

/// Reads a chunk of outputs.
pub(crate) fn decode(value: &[u8]) -> Vec<Option<Created>> {
    let mut reader = Reader::new(value);
    let mut outputs = Vec::new();
    while !reader.is_empty() {
        let sequence = reader.number::<u64>().checked_sub(1);
        outputs.push(sequence.map(|sequence| Created {
            sequence: u32::try_from(sequence).expect("it was written from a u32"),
            owner: reader.raw(),
            value: reader.number(),
        }));
    }
    outputs
}

/// The writes that record a transaction's outputs.
pub(crate) fn writes(
    txid: &[u8; 32],
    outputs: &[Option<Created>],
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..)
        .zip(outputs.chunks(OUTPUTS_PER_CHUNK as usize))
        .filter(|(_, chunk)| chunk.iter().any(Option::is_some))
        .map(|(number, chunk)| (keys::outputs(txid, number), encode(chunk)))
}

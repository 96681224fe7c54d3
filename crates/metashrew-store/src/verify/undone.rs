//! Verifying the records of undone blocks: each is whole, and they are as many as is said.
//!
//! What they say of blocks that are gone cannot be compared with anything.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::backend::{Scan, View};
use crate::block::BlockHash;
use crate::error::ReadError;
use crate::keys::corrupt;
use crate::touched::decode_chunk;
use crate::undone::{LISTS, ORDER, RECORDS, Record, Totals, decode_order, list_key, scan};

/// The records by their numbers, each with the hash that it lies under.
type Records = BTreeMap<u64, (BlockHash, Record)>;

pub(super) fn check(view: &dyn View) -> Result<(), ReadError> {
    let records = read_records(view)?;
    check_order(view, &records)?;
    check_lists(view, &records)?;
    let totals = Totals::of(view)?;
    let last = records.keys().next_back();
    let bytes = records.values().map(|(_, record)| record.bytes());
    if totals.blocks != records.len() as u64
        || totals.bytes != bytes.sum::<u64>()
        || last.is_some_and(|last| *last >= totals.next)
    {
        return Err(corrupt(
            "the totals of undone blocks are not those of their records",
        ));
    }
    Ok(())
}

fn read_records(view: &dyn View) -> Result<Records, ReadError> {
    let mut records = Records::new();
    for entry in scan(view, RECORDS) {
        let (key, value) = entry?;
        let hash = key.strip_prefix(RECORDS).and_then(|it| it.try_into().ok());
        let hash = BlockHash::from_bytes(
            hash.ok_or_else(|| corrupt("the record of an undone block has no hash"))?,
        );
        let record = Record::decode(&value)?;
        if records.insert(record.number, (hash, record)).is_some() {
            return Err(corrupt(format!(
                "the undone block {hash} has the number of another one"
            )));
        }
    }
    Ok(records)
}

fn check_order(view: &dyn View, records: &Records) -> Result<(), ReadError> {
    let differs = || corrupt("the order of undone blocks is not that of their records");
    let mut expected = records.iter();
    for entry in scan(view, ORDER) {
        let found = decode_order(&entry?)?;
        let (number, (hash, _)) = expected.next().ok_or_else(differs)?;
        if found != (*number, *hash) {
            return Err(differs());
        }
    }
    match expected.next() {
        Some(_) => Err(differs()),
        None => Ok(()),
    }
}

fn check_lists(view: &dyn View, records: &Records) -> Result<(), ReadError> {
    let mut chunks = scan(view, LISTS);
    for (hash, record) in records.values() {
        check_list(&mut chunks, record)?.ok_or_else(|| {
            corrupt(format!(
                "the list of keys of the undone block {hash} is not what its record says"
            ))
        })?;
    }
    match chunks.next().transpose()? {
        Some(_) => Err(corrupt("there is a list of keys of no undone block")),
        None => Ok(()),
    }
}

/// Takes the chunks of one list. None if it is not what `record` says.
fn check_list(chunks: &mut Scan, record: &Record) -> Result<Option<()>, ReadError> {
    let (mut keys, mut bytes) = (0, 0);
    let mut last: Option<Bytes> = None;
    for number in 0..record.chunks {
        let Some((key, chunk)) = chunks.next().transpose()? else {
            return Ok(None);
        };
        let mut is_in_order = key == list_key(record.number, Some(number));
        bytes += chunk.len() as u64;
        let decoded = decode_chunk(&chunk, record.height, |key, _| {
            is_in_order &= last.as_ref().is_none_or(|last| last.as_ref() < key);
            last = Some(Bytes::copy_from_slice(key));
            keys += 1;
        });
        if decoded.is_none() || !is_in_order {
            return Ok(None);
        }
    }
    Ok((keys == record.keys && bytes == record.list_bytes).then_some(()))
}

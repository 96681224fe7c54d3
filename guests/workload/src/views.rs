//! The views.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use metashrew_core::host;
use prost::Message;

use crate::state::{TABLE, Table, key};

thread_local! {
    /// Built once a memory. The guest does not say that it keeps heights apart, so a
    /// memory serves one block only.
    static NUMBERS: OnceCell<HashMap<String, u64>> = const { OnceCell::new() };
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the SDK's entry takes what may fail"
)]
pub(crate) fn trivial(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(Vec::new())
}

pub(crate) fn reads(_height: u32, input: &[u8]) -> Result<Vec<u8>, &'static str> {
    sum(input, |key| {
        metashrew_core::get(Arc::new(key)).first().copied()
    })
}

pub(crate) fn reads_uncached(_height: u32, input: &[u8]) -> Result<Vec<u8>, &'static str> {
    sum(input, |key| host::read(&key).first().copied())
}

fn sum(input: &[u8], first_byte: impl Fn(Vec<u8>) -> Option<u8>) -> Result<Vec<u8>, &'static str> {
    let count = input.try_into().map_err(|_| "a count has four bytes")?;
    let bytes = (0..u32::from_le_bytes(count)).map(|number| first_byte(key(number)));
    let sum: u64 = bytes.map(|byte| u64::from(byte.unwrap_or(0))).sum();
    Ok(sum.to_le_bytes().to_vec())
}

pub(crate) fn lookup(_height: u32, input: &[u8]) -> Result<Vec<u8>, &'static str> {
    let name = std::str::from_utf8(input).map_err(|_| "a name is UTF-8")?;
    NUMBERS.with(|numbers| {
        let number = numbers.get_or_init(build).get(name);
        let number = number.ok_or("there is no entry of that name")?;
        Ok(number.to_le_bytes().to_vec())
    })
}

fn build() -> HashMap<String, u64> {
    let table = Table::decode(host::read(TABLE).as_slice()).unwrap_or_default();
    let entries = table.entries.into_iter();
    entries.map(|entry| (entry.name, entry.number)).collect()
}

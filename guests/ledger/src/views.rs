//! `get`, `sum`, `cached` and `stats`.

use crate::state::{ACCOUNTS, TIP, balance, read};
use metashrew_core::{cache_get, cache_set, get_actual_cache_memory_limit, lru_cache_stats};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

/// The value of the key that the input is.
pub(crate) fn get(_height: u32, key: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(read(key.to_vec()).to_vec())
}

/// What the newest block says of itself, and the sum of the balances of the
/// accounts that the input lists.
pub(crate) fn sum(_height: u32, accounts: &[u8]) -> Result<Vec<u8>, Infallible> {
    Ok(add_up(accounts))
}

/// The same, made once for each height and list.
pub(crate) fn cached(height: u32, accounts: &[u8]) -> Result<Vec<u8>, Infallible> {
    let mut name = format!("sum/{height}/");
    for account in accounts {
        let _ = write!(name, "{account:02x}");
    }
    if let Some(known) = cache_get(&name) {
        return Ok(known.to_vec());
    }
    let made = add_up(accounts);
    cache_set(name, Arc::new(made.clone()));
    Ok(made)
}

/// What the caches did and hold. Unlike the other answers, this one depends on
/// what the instance answered before.
pub(crate) fn stats(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
    let stats = lru_cache_stats();
    let counts = [stats.hits, stats.misses, stats.evictions];
    let sizes = [
        stats.items,
        stats.memory_usage,
        get_actual_cache_memory_limit(),
    ];
    let counts = counts.into_iter().flat_map(u64::to_le_bytes);
    let sizes = sizes.map(|size| u32::try_from(size).unwrap_or(u32::MAX));
    Ok(counts
        .chain(sizes.into_iter().flat_map(u32::to_le_bytes))
        .collect())
}

fn add_up(accounts: &[u8]) -> Vec<u8> {
    let sum = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers.fold(0u64, |sum, number| {
            sum.wrapping_add(balance(number % ACCOUNTS))
        })
    };
    let sum = if accounts.is_empty() {
        sum(&mut (0..ACCOUNTS))
    } else {
        sum(&mut accounts.iter().copied())
    };
    [&**read(TIP.to_vec()), &sum.to_le_bytes()].concat()
}

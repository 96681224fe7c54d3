//! Sharing out many reads among a few threads.

use std::panic::resume_unwind;
use std::thread::{Builder, available_parallelism};

use crate::error::ReadError;

/// Another thread pays once it has this many keys to read.
const KEYS_PER_READER: usize = 500;

/// The most threads that read at once.
const MAX_READERS: usize = 4;

/// How many threads may read at once on this machine.
pub(crate) fn count() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(MAX_READERS))
}

/// What `read` finds for each of `keys`, in their order. Long lists are shared out
/// among up to `readers` threads: reading is most of a commit's time.
pub(crate) fn read_all<R: Send>(
    keys: &[&[u8]],
    readers: usize,
    read: impl Fn(&[&[u8]]) -> Result<Vec<R>, ReadError> + Sync,
) -> Result<Vec<R>, ReadError> {
    let threads = readers.min(keys.len() / KEYS_PER_READER);
    if threads < 2 {
        return read(keys);
    }
    let shares = std::thread::scope(|scope| {
        let read = &read;
        let readers: Vec<_> = keys
            .chunks(keys.len().div_ceil(threads))
            .map(|share| {
                let reader = Builder::new().spawn_scoped(scope, move || read(share));
                (share, reader)
            })
            .collect();
        readers
            .into_iter()
            .map(|(share, reader)| match reader {
                Ok(reader) => reader.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The system has no thread left to give.
                Err(_) => read(share),
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(shares.into_iter().flatten().collect())
}

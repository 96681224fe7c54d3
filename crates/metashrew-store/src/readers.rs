//! Sharing out many reads among a few threads.

use std::panic::resume_unwind;
use std::thread::available_parallelism;

use crate::error::ReadError;

/// Another thread pays once it has this many keys to read.
const KEYS_PER_READER: usize = 500;

/// The most threads that read at once.
const MAX_READERS: usize = 4;

/// How many threads may read at once on this machine.
pub(crate) fn count() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(MAX_READERS))
}

/// What `read` finds for each of `items`, in their order. Long lists are shared out
/// among up to `readers` threads: reading is most of a commit's time.
pub(crate) fn read_all<T: Sync, R: Send>(
    items: &[T],
    readers: usize,
    read: impl Fn(&T) -> Result<R, ReadError> + Sync,
) -> Result<Vec<R>, ReadError> {
    let threads = readers.min(items.len() / KEYS_PER_READER);
    if threads < 2 {
        return items.iter().map(read).collect();
    }
    let shares = std::thread::scope(|scope| {
        let read = &read;
        let readers: Vec<_> = items
            .chunks(items.len().div_ceil(threads))
            .map(|share| scope.spawn(move || share.iter().map(read).collect::<Result<Vec<_>, _>>()))
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(shares.into_iter().flatten().collect())
}

//! The allocator of the process, and how the system gets memory back from it.

use std::time::Duration;

use mimalloc::MiMalloc;

/// Chosen by measurement (`BENCHMARKS.md`), and among the fast ones the one that needs
/// no more to be compiled than Rust's linker does: a C compiler.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often unused memory is looked for. The allocator itself keeps pages for a second
/// after their last use, since most are used again (`MIMALLOC_PURGE_DELAY`).
const EVERY: Duration = Duration::from_secs(1);

/// Gives memory that the process no longer uses back to the system, from now on and on a
/// thread of its own.
///
/// The allocator does so by itself only while it is asked for new pages. After a peak
/// that is followed by quiet it would keep all it had.
pub(crate) fn give_back_unused() {
    let thread = std::thread::Builder::new().name("metashrew-memory".to_owned());
    let run = || {
        loop {
            std::thread::sleep(EVERY);
            purge();
        }
    };
    if let Err(error) = thread.spawn(run) {
        tracing::debug!("unused memory is given back to the system late: {error}");
    }
}

/// Gives back the pages that have been unused for long enough, of all threads.
#[allow(unsafe_code, reason = "the allocator's own interface is C")]
fn purge() {
    // SAFETY: it may be called at any time, by any thread, and touches no memory in use.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    fn resident() -> u64 {
        metashrew_server::resident_memory().expect("the system tells it")
    }

    /// As many short values as make about 256 MiB, as a guest's keys and values are.
    fn burst() -> Vec<Box<[u8]>> {
        (0..1_600_000_usize)
            .map(|index| vec![1; 64 + index % 200].into_boxed_slice())
            .collect()
    }

    #[test]
    fn what_a_burst_took_is_given_back_though_nothing_is_allocated_any_more() {
        const MOST_OF_IT: u64 = 200 << 20;
        // Other threads than this one free it, and end.
        let bursts = [std::thread::spawn(burst), std::thread::spawn(burst)];
        let bursts = bursts.map(|thread| thread.join().unwrap());
        let peak = resident();
        std::thread::spawn(move || drop(bursts)).join().unwrap();
        give_back_unused();
        let begun = Instant::now();
        while resident() + MOST_OF_IT > peak {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{} of {peak} bytes are still resident",
                resident()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

//! File descriptors: as many as the system allows, and how they are shared out.

use metashrew_store::StoreOptions;

/// Connections are not worth more than this.
const MAX_CONNECTIONS: u64 = 10_000;

/// Bytes that a connection takes at most, apart from what `--request-memory` counts: its
/// buffers, and the part of a request and of an answer that needs no room.
const CONNECTION_MEMORY: u64 = 64 * 1024;

/// By default connections take one part in so many of the memory at most.
const MEMORY_PART: u64 = 8;

/// One part in so many of the descriptors is kept from connections, besides the storage
/// engine's share.
const RESERVE: u64 = 8;

/// Raises the process's limit as far as it may be raised; answers what it then is, if
/// the system tells.
#[cfg(unix)]
pub(crate) fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
    getrlimit(Resource::Nofile).current
}

#[cfg(not(unix))]
pub(crate) fn raise_limit() -> Option<u64> {
    None
}

/// How many of the process's descriptors each part may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Files of the database that stay open.
    pub(crate) files: usize,
    /// Connections to the server.
    pub(crate) connections: usize,
}

impl Descriptors {
    /// Shares out `limit` descriptors, where so many files and connections are wanted.
    ///
    /// By default the storage engine keeps a quarter of them open, and half are for
    /// connections, where there is `memory` for so many; the rest is for its log, for what
    /// a compaction opens, and for the node. What is wanted beyond what that needs would stop the engine: fewer are then
    /// allowed, with a warning.
    pub(crate) fn share(
        limit: Option<u64>,
        files: Option<usize>,
        connections: Option<usize>,
        memory: Option<u64>,
    ) -> Self {
        let most_files = limit.map_or(u64::MAX, |limit| limit / 2);
        let files = files.map_or(StoreOptions::open_files_of(limit), |wanted| {
            bounded("--max-open-files", wanted, most_files, limit)
        });
        let most = limit.map_or(u64::MAX, |limit| {
            (limit - limit / RESERVE).saturating_sub(files as u64)
        });
        let default = limit.map_or(MAX_CONNECTIONS, |limit| limit / 2);
        let in_memory = memory.map_or(u64::MAX, |bytes| bytes / MEMORY_PART / CONNECTION_MEMORY);
        let default = default.min(in_memory).min(MAX_CONNECTIONS).min(most);
        let connections = connections.map_or(at_least_one(default), |wanted| {
            bounded("--max-connections", wanted, most, limit)
        });
        Self { files, connections }
    }
}

/// So many as are wanted, or as many as there may be.
fn bounded(flag: &str, wanted: usize, most: u64, limit: Option<u64>) -> usize {
    let most = at_least_one(most);
    if wanted > most {
        tracing::warn!(
            wanted,
            descriptors = limit,
            "{flag} is more than the process's descriptors allow: {most} may be open"
        );
    }
    wanted.min(most)
}

fn at_least_one(count: u64) -> usize {
    usize::try_from(count.max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(wanted: Option<usize>, limit: Option<u64>) -> usize {
        Descriptors::share(limit, None, wanted, None).connections
    }

    fn files(wanted: Option<usize>, limit: Option<u64>) -> usize {
        Descriptors::share(limit, wanted, None, None).files
    }

    #[test]
    fn half_of_the_descriptors_are_for_connections() {
        assert_eq!(connections(None, Some(1_024)), 512);
        assert_eq!(connections(None, Some(1_048_576)), 10_000);
        assert_eq!(connections(None, Some(1)), 1);
        assert_eq!(connections(None, None), 10_000);
    }

    #[test]
    fn connections_take_an_eighth_of_the_memory_by_default() {
        let share = |wanted| Descriptors::share(Some(20_000), None, wanted, Some(1 << 30));
        assert_eq!(share(None).connections, 2_048);
        assert_eq!(share(Some(5_000)).connections, 5_000);
    }

    #[test]
    fn connections_that_are_asked_for_leave_the_engine_its_share() {
        assert_eq!(connections(Some(20_000), Some(1_024)), 640);
        assert_eq!(connections(Some(640), Some(1_024)), 640);
        assert_eq!(connections(Some(7), Some(1_024)), 7);
        assert_eq!(connections(Some(20_000), Some(1_048_576)), 20_000);
        assert_eq!(connections(Some(9), Some(0)), 1);
        assert_eq!(connections(Some(20_000), None), 20_000);
    }

    #[test]
    fn the_engine_keeps_a_quarter_open_unless_told_otherwise() {
        assert_eq!(files(None, Some(1_024)), 256);
        assert_eq!(files(None, Some(1_048_576)), 8_192);
        assert_eq!(files(None, Some(1)), 16);
        assert_eq!(files(Some(100), Some(1_024)), 100);
        assert_eq!(files(Some(20_000), Some(1_024)), 512);
        let both = Descriptors::share(Some(1_024), Some(512), Some(1_024), None);
        assert_eq!((both.files, both.connections), (512, 384));
    }
}

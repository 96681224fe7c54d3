//! File descriptors: as many as the system allows, and how they are shared out.

/// Connections are not worth more than this; each takes memory, too.
const MAX_CONNECTIONS: u64 = 10_000;

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

/// How many connections may be open where `limit` descriptors may: as many as are
/// `wanted`, else half of the descriptors. The storage engine keeps up to a quarter of
/// them open; the rest is for its journals, for what a compaction opens, and for the
/// node. More than are left for connections would stop the engine: fewer are then
/// allowed, with a warning.
pub(crate) fn connections(wanted: Option<usize>, limit: Option<u64>) -> usize {
    let at_least_one = |count: u64| usize::try_from(count.max(1)).unwrap_or(usize::MAX);
    let Some(wanted) = wanted else {
        let half = limit.map_or(MAX_CONNECTIONS, |limit| limit / 2);
        return at_least_one(half.min(MAX_CONNECTIONS));
    };
    let most = limit.map_or(usize::MAX, |limit| {
        at_least_one(limit - limit / 4 - limit / RESERVE)
    });
    if wanted > most {
        tracing::warn!(
            wanted,
            descriptors = limit,
            "--max-connections is more than the process's descriptors allow: {most} connections may be open"
        );
    }
    wanted.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_for_connections() {
        assert_eq!(connections(None, Some(1_024)), 512);
        assert_eq!(connections(None, Some(1_048_576)), 10_000);
        assert_eq!(connections(None, Some(1)), 1);
        assert_eq!(connections(None, None), 10_000);
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
}

//! File descriptors: as many as the system allows, and how they are shared out.

/// Connections are not worth more than this; each takes memory, too.
const MAX_CONNECTIONS: u64 = 10_000;

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

/// How many connections may be open where `limit` descriptors may: half of them. The
/// storage engine keeps up to a quarter of them open; the rest is for its journals, for
/// what a compaction opens, and for the node.
pub(crate) fn connections(limit: Option<u64>) -> usize {
    let half = limit.map_or(MAX_CONNECTIONS, |limit| limit / 2);
    usize::try_from(half.clamp(1, MAX_CONNECTIONS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_for_connections() {
        assert_eq!(connections(Some(1_024)), 512);
        assert_eq!(connections(Some(1_048_576)), 10_000);
        assert_eq!(connections(Some(1)), 1);
        assert_eq!(connections(None), 10_000);
    }
}

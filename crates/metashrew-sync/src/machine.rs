//! Faults of the machine: what they leave to wait for, and which errors tell of
//! them. Like a node's, they may pass; a guest's or a damaged database's do not.

use std::error::Error;
use std::io;

use metashrew_runtime::HostFault;

use crate::error::IndexError;
use crate::node::NodeError;

/// What has to get better before indexing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    /// The node: it cannot be reached, is behind, or misbehaves.
    Node,
    /// The machine: a read or write failed, or memory, threads or descriptors are
    /// short.
    Machine,
    /// Room on the disk.
    Disk,
}

/// The process, or the system, has as many files open as it may.
#[cfg(unix)]
const TOO_MANY_FILES: [i32; 2] = [24 /* EMFILE */, 23 /* ENFILE */];
#[cfg(not(unix))]
const TOO_MANY_FILES: [i32; 0] = [];

/// What an error of the operating system, somewhere among the causes, says that
/// the machine is short of.
pub(crate) fn shortage(error: &(dyn Error + 'static)) -> Option<WaitsFor> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<io::Error>().and_then(of_io) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn of_io(error: &io::Error) -> Option<WaitsFor> {
    match error.kind() {
        // The last one is what a limit on the size of files gives.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            return Some(WaitsFor::Disk);
        }
        io::ErrorKind::OutOfMemory => return Some(WaitsFor::Machine),
        _ => {}
    }
    if let Some(code) = error.raw_os_error() {
        return TOO_MANY_FILES.contains(&code).then_some(WaitsFor::Machine);
    }
    // One that only wraps another leaves that out of its causes.
    shortage(error.get_ref()?)
}

impl NodeError {
    /// What has to get better before the same question is asked again; none if
    /// that never helps.
    pub(crate) fn waits_for(&self) -> Option<WaitsFor> {
        shortage(self).or_else(|| self.is_transient().then_some(WaitsFor::Node))
    }
}

impl IndexError {
    /// What has to get better before the same is tried again; none if that never
    /// helps.
    pub(crate) fn waits_for(&self) -> Option<WaitsFor> {
        let fails_for_a_while = match self {
            Self::Node(error) => return error.waits_for(),
            Self::Host { source, .. } => match source {
                HostFault::Store(error) => error.is_transient(),
                HostFault::Resources(_) => true,
                HostFault::Panic(_)
                | HostFault::Stack { .. }
                | HostFault::Observer(_)
                | HostFault::TimedOut { .. } => false,
            },
            Self::Commit { source, .. } => source.is_transient(),
            Self::Rollback(error) => error.is_transient(),
            Self::Read(error) => error.is_transient(),
            Self::Thread { source, .. } => source.is_some(),
            _ => false,
        };
        fails_for_a_while.then(|| shortage(self).unwrap_or(WaitsFor::Machine))
    }
}

#[cfg(test)]
mod tests {
    use metashrew_store::{BackendError, CommitError, ReadError};

    use super::*;

    fn commit(source: impl Into<Box<dyn Error + Send + Sync>>) -> IndexError {
        IndexError::Commit {
            first: 1,
            last: 2,
            source: CommitError::Backend {
                height: 2,
                source: BackendError::new("testing", source),
            },
        }
    }

    #[test]
    fn the_operating_system_says_what_is_short() {
        for (code, expect) in [
            (28, WaitsFor::Disk),    // ENOSPC
            (122, WaitsFor::Disk),   // EDQUOT
            (27, WaitsFor::Disk),    // EFBIG
            (24, WaitsFor::Machine), // EMFILE
            (23, WaitsFor::Machine), // ENFILE
            (12, WaitsFor::Machine), // ENOMEM
            (5, WaitsFor::Machine),  // EIO
        ] {
            let error = commit(io::Error::from_raw_os_error(code));
            assert_eq!(error.waits_for(), Some(expect), "{code}");
        }
        let wrapped =
            NodeError::Unavailable(io::Error::other(io::Error::from_raw_os_error(28)).into());
        assert_eq!(wrapped.waits_for(), Some(WaitsFor::Disk));
    }

    #[test]
    fn a_node_that_cannot_be_asked_for_want_of_descriptors_is_not_at_fault() {
        let down = |code| NodeError::Unavailable(io::Error::from_raw_os_error(code).into());
        assert_eq!(down(24).waits_for(), Some(WaitsFor::Machine));
        assert_eq!(down(111).waits_for(), Some(WaitsFor::Node)); // ECONNREFUSED
    }

    #[test]
    fn what_another_try_does_not_mend_is_not_waited_for() {
        let corrupt = || ReadError::Corrupt {
            what: "all of it".to_owned(),
        };
        assert_eq!(IndexError::Read(corrupt()).waits_for(), None);
        assert_eq!(commit("no error of the machine").waits_for(), None);
        let host = |source| IndexError::Host {
            height: 1,
            hash: metashrew_store::BlockHash::from_bytes([1; 32]),
            tries: 1,
            source,
        };
        assert_eq!(host(HostFault::Store(corrupt())).waits_for(), None);
        assert_eq!(host(HostFault::Panic("oh".to_owned())).waits_for(), None);
        let short = HostFault::Resources("no memory".to_owned());
        assert_eq!(host(short).waits_for(), Some(WaitsFor::Machine));
        let died = IndexError::Thread {
            task: "tests",
            source: None,
        };
        assert_eq!(died.waits_for(), None);
    }
}

//! What an error asks for: patience, a repair, or another caller.

use std::error::Error;
use std::io;

/// What has to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The machine is at fault: a full disk, a failing one, no file descriptors left.
    /// Nothing stored is wrong, and the same may succeed later.
    Machine,
    /// What is stored is wrong or gone. No waiting mends it.
    Damage,
    /// The caller asked for what cannot be.
    Misuse,
}

impl ErrorKind {
    /// The kind of an error that some engine returned.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Self::of_io(error);
            }
            cause = error.source();
        }
        Self::Damage
    }

    /// The operating system's errors carry a code. Without one, the bytes read were
    /// not what was expected; and a file that is gone does not come back.
    fn of_io(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(_) if error.kind() != io::ErrorKind::NotFound => Self::Machine,
            Some(_) => Self::Damage,
            None => match error.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::OutOfMemory
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted
                | io::ErrorKind::WriteZero => Self::Machine,
                _ => Self::Damage,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendError;

    #[test]
    fn an_error_says_what_it_asks_for() {
        let os = io::Error::from_raw_os_error;
        let of = |error: Box<dyn Error + Send + Sync>| BackendError::new("testing", error).kind;
        // EIO, ENOSPC, EMFILE, EFBIG; ENOENT.
        for code in [5, 28, 24, 27] {
            assert_eq!(of(os(code).into()), ErrorKind::Machine, "{code}");
            assert_eq!(
                of(lsm_tree::Error::Io(os(code)).into()),
                ErrorKind::Machine,
                "{code}"
            );
        }
        assert_eq!(of(os(2).into()), ErrorKind::Damage);
        assert_eq!(of(lsm_tree::Error::Unrecoverable.into()), ErrorKind::Damage);
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(of(lsm_tree::Error::Io(cut).into()), ErrorKind::Damage);
        assert_eq!(of("no idea".into()), ErrorKind::Damage);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(BackendError::new("testing", full).is_transient());
    }
}

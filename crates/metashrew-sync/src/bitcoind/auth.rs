//! Who we are to the node.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;

/// Bytes that are read of a cookie's file: Core writes 75. What is cut there is no cookie, and refused.
const MAX_COOKIE: u64 = 64 << 10;

/// How to log in.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all, or as the URL says.
    #[default]
    None,
    /// With a user and a password (`rpcuser`, `rpcauth`).
    UserPass {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// With the file that Core writes at every start, `.cookie` in its folder. It is
    /// read again when the node refuses what it said before.
    CookieFile(PathBuf),
}

impl Auth {
    /// From `user:password`; none if there is no colon.
    pub fn from_user_pass(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':')?;
        Some(Self::UserPass {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl fmt::Debug for Auth {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::UserPass { user, .. } => write!(f, "UserPass {{ user: {user:?}, .. }}"),
            Self::CookieFile(path) => write!(f, "CookieFile({})", path.display()),
        }
    }
}

/// The cookie file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the cookie file `{}` cannot be read; the node writes it when it starts", path.display())]
pub struct CookieError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// The `Authorization` header, kept as long as it serves.
pub(super) struct Login {
    auth: Auth,
    /// What the cookie file said last.
    cookie: Mutex<Option<String>>,
}

impl Login {
    pub(super) fn new(auth: Auth) -> Self {
        Self {
            auth,
            cookie: Mutex::new(None),
        }
    }

    /// The header's value, if there is one to send.
    pub(super) fn header(&self) -> Result<Option<String>, CookieError> {
        match &self.auth {
            Auth::None => Ok(None),
            Auth::UserPass { user, password } => Ok(Some(basic(&format!("{user}:{password}")))),
            Auth::CookieFile(path) => {
                let mut cookie = self.cookie.lock();
                if cookie.is_none() {
                    *cookie = Some(read(path)?);
                }
                Ok(cookie.clone())
            }
        }
    }

    /// Takes note that the node refused a header; answers whether another one is to
    /// be tried.
    pub(super) fn refused(&self, header: Option<&str>) -> Result<bool, CookieError> {
        let Auth::CookieFile(path) = &self.auth else {
            return Ok(false);
        };
        let mut cookie = self.cookie.lock();
        *cookie = Some(read(path)?);
        Ok(cookie.as_deref() != header)
    }
}

fn read(path: &Path) -> Result<String, CookieError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_COOKIE).read_to_string(&mut text))
        .map_err(|source| CookieError {
            path: path.to_owned(),
            source,
        })?;
    Ok(basic(text.trim_end()))
}

fn basic(login: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_printed() {
        let auth = Auth::from_user_pass("alice:secret:word").unwrap();
        assert_eq!(
            auth,
            Auth::UserPass {
                user: "alice".to_owned(),
                password: "secret:word".to_owned()
            }
        );
        assert!(!format!("{auth:?}").contains("secret"));
        assert_eq!(Auth::from_user_pass("alice"), None);
    }

    #[test]
    fn a_new_cookie_is_tried_and_the_old_one_not_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".cookie");
        let login = Login::new(Auth::CookieFile(path.clone()));
        assert!(login.header().is_err());
        std::fs::write(&path, "__cookie__:1").unwrap();
        let first = login.header().unwrap();
        assert_eq!(first.as_deref(), Some("Basic X19jb29raWVfXzox"));
        assert!(!login.refused(first.as_deref()).unwrap());
        std::fs::write(&path, "__cookie__:2\n").unwrap();
        assert_eq!(login.header().unwrap(), first);
        assert!(login.refused(first.as_deref()).unwrap());
        assert_eq!(
            login.header().unwrap().as_deref(),
            Some("Basic X19jb29raWVfXzoy")
        );
    }
}
